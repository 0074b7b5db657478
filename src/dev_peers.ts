/**
 * Dev peers: ports, directories and configurations for the peers of `zoolet dev`.
 *
 * All ports of a run are in one short range: those for clients, then those for members, then, where
 * clients' ports were asked for, those of the admin endpoints. So the next start has the same ones, and
 * two ensembles meet only where their ranges do. Where something else has one of them, the next one that
 * is free is taken.
 *
 * Always true: what is written is a configuration as anybody could write it, so a peer can also be
 * started by hand with `zoolet server`.
 */
import type { DevCommand } from "./dev_ensemble.ts";
import type { Runtime } from "./runtime/ports.ts";

export interface PeerPlan {
  /** `peer 1` */
  readonly name: string;
  readonly sid: number;
  /** All of its ports, without those that the system chooses. */
  readonly ports: readonly number[];
  readonly dataDir: string;
  readonly configFile: string;
  /** `scripts/zoolet` of this clone. */
  readonly script: string;
}

/** Something that the person at the keyboard can mend. */
export class DevError extends Error {
  override readonly name = "DevError";
}

const host = "127.0.0.1";
const clientPortFirst = 2181;
const adminPortFirst = 8080;
const portMax = 65_535;
/** How far a free port is looked for. */
const triesMax = 200;

interface Ports {
  readonly client: number;
  readonly admin: number;
  readonly quorum: number;
  readonly election: number;
}

/** Makes the directories and files. Rejects with a DevError, or with the system's error of a file. */
export async function makePeers(runtime: Runtime, command: DevCommand): Promise<readonly PeerPlan[]> {
  const { files } = runtime;
  const dataDir = files.absolute(command.dataDir ?? ".zoolet");
  const script = decodeURIComponent(new URL("../scripts/zoolet", import.meta.url).pathname);
  const ports = await choosePorts(runtime, command);
  return ports.map((own, i) => {
    const sid = i + 1;
    const directory = `${dataDir}/peer-${sid}`;
    const configFile = `${directory}/zoolet.toml`;
    files.makeDirectory(directory);
    files.write(`${directory}/myid`, `${sid}\n`);
    files.write(configFile, configText(command, ports, own, directory));
    const { client, admin, quorum, election } = own;
    const known = [client, quorum, election, ...(admin === 0 ? [] : [admin])];
    return { name: `peer ${sid}`, sid, ports: known, dataDir: directory, configFile, script };
  });
}

function configText(command: DevCommand, ports: readonly Ports[], own: Ports, directory: string): string {
  const { log, sync } = command;
  const members = ports.map(({ quorum, election }, i) => `${i + 1} = "${host}:${quorum}:${election}"\n`);
  return `# Written by \`zoolet dev\` at each of its starts. The server's number is in the file myid.
[server]
tick_ms = 2000

[client]
port = ${own.client}
address = "${host}"

[storage]
data_dir = ${JSON.stringify(directory)}
sync = "${sync ?? "full"}"

[words]
allow = ["*"]

[admin]
port = ${own.admin}

[log]
format = "${log.format ?? "text"}"
level = "${log.level ?? "info"}"

[ensemble.servers]
${members.join("")}`;
}

async function choosePorts(runtime: Runtime, command: DevCommand): Promise<readonly Ports[]> {
  const taken = new Set<number>();
  const isFree = async (port: number): Promise<boolean> => {
    if (taken.has(port)) return false;
    const bound = await tryPort(runtime, port);
    if (bound) taken.add(port);
    return bound;
  };
  const nextFree = async (from: number): Promise<number> => {
    for (let i = 0; i < triesMax; i++) {
      const port = 1024 + ((from + i - 1024) % (portMax - 1024));
      if (await isFree(port)) return port;
    }
    throw new DevError(`found no free port from ${from} to ${from + triesMax}`);
  };

  const peers = Array.from({ length: command.peers }, (_, i) => i);
  const first = command.port === 0
    ? await anyRange(runtime, 4 * command.peers)
    : command.port ?? clientPortFirst;
  if (first + 4 * command.peers - 1 > portMax) {
    throw new DevError(`--port ${first} leaves no ports for ${command.peers} peers`);
  }
  const clients = peers.map((i) => first + i);
  for (const port of clients) {
    if (await isFree(port)) continue;
    throw new DevError(`port ${port} on ${host} is taken; choose others with --port, or 0 for any free ones`);
  }
  const members: (Omit<Ports, "admin">)[] = [];
  const next = first + command.peers;
  for (const client of clients) {
    members.push({ client, quorum: await nextFree(next), election: await nextFree(next) });
  }
  const ports: Ports[] = [];
  for (const [i, member] of members.entries()) {
    // Who asks for a port gets it, or a warning of the peer; who does not, gets a free one.
    const admin = command.adminPort === null
      ? await nextFree(command.port === null ? adminPortFirst : next)
      : command.adminPort === 0
      ? 0
      : command.adminPort + i;
    if (admin > portMax) {
      throw new DevError(`--admin-port ${command.adminPort} leaves no ports for all peers`);
    }
    taken.add(admin);
    ports.push({ ...member, admin });
  }
  return ports;
}

async function tryPort(runtime: Runtime, port: number): Promise<boolean> {
  try {
    await (await listen(runtime, port)).close();
    return true;
  } catch {
    // Taken or not for us; either way another one is needed.
    return false;
  }
}

/** The first of `count` ports in a row that are free, where the system would give one. */
async function anyRange(runtime: Runtime, count: number): Promise<number> {
  for (let i = 0; i < triesMax; i++) {
    const listener = await listen(runtime, 0);
    const { port } = listener;
    await listener.close();
    let free = 0;
    while (free < count && port + free <= portMax && await tryPort(runtime, port + free)) free++;
    if (free === count) return port;
  }
  throw new DevError("the system gave no free ports");
}

function listen(runtime: Runtime, port: number) {
  return runtime.tcp.listen({ host, port, backlog: -1, keepAlive: false }, (socket) => {
    socket.destroy();
    return { data: () => {}, ended: () => {}, drained: () => {}, closed: () => {} };
  });
}
