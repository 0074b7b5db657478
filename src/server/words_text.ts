/**
 * Words, text: the bodies of the answers, line by line as the original writes them.
 *
 * Paths cannot hold line breaks (they are refused when a znode is created), so no client can forge a
 * line. A list stops after `linesMax` lines and says so: a word must not take the memory that a
 * million watches would ask for.
 */
import { sessionHex } from "../core/base/zxid.ts";
import { sessionlessMsMax } from "../core/base/limits.ts";
import { versionLine, versionText } from "../core/base/version.ts";
import type { ConnectionStatus, PeerStatus } from "../core/peer/status.ts";
import type { WordSource } from "./four_letter_words.ts";
import { membersOf } from "./words_members.ts";
import { javaDate, javaDouble, socketText, whole } from "./words_java.ts";
import { proposalSizesLine } from "./words_ensemble.ts";
import { averageMs } from "./words_monitor.ts";

export const linesMax = 100_000;

/** Collects lines up to the limit. */
class Lines {
  #text = "";
  #count = 0;

  add(line: string): void {
    if (this.#count === linesMax) this.#text += `... cut after ${linesMax} lines\n`;
    if (this.#count++ < linesMax) this.#text += `${line}\n`;
  }

  get full(): boolean {
    return this.#count > linesMax;
  }

  toString(): string {
    return this.#text;
  }
}

// ------------------------------------------------------------------------------- srvr, stat, cons

/** `srvr`, or `stat` when told which port's connections to list. */
export function serverText(source: WordSource, clientsOf: boolean | null): string {
  const status = source.peer.status();
  const lines = new Lines();
  lines.add(versionLine);
  if (status.mode === "read-only") lines.add("READ-ONLY mode; serving only read-only clients");
  if (clientsOf !== null) {
    lines.add("Clients:");
    for (const connection of source.peer.connections()) {
      if (connection.secure === clientsOf && !lines.full) lines.add(connectionLine(connection, false));
    }
  }
  const { latency } = status;
  const latencies = `${whole(latency.minMs)}/${javaDouble(averageMs(latency))}/${
    whole(Math.ceil(latency.maxMs))
  }`;
  return `${lines}${clientsOf === null ? "" : "\n"}Latency min/avg/max: ${latencies}
Received: ${status.packetsReceived}
Sent: ${status.packetsSent}
Connections: ${status.connections}
Outstanding: ${status.outstanding}
Zxid: 0x${status.zxidLast.toString(16)}
Mode: ${status.mode}
Node count: ${status.znodes}
${proposalSizesLine(status.ensemble)}${
    source.settings.sync === "off" ? "Sync: off, acknowledged writes can be lost in a crash\n" : ""
  }`;
}

export function connectionsText(source: WordSource, secure: boolean): string {
  const lines = new Lines();
  for (const connection of source.peer.connections()) {
    if (connection.secure === secure && !lines.full) lines.add(connectionLine(connection, true));
  }
  return `${lines}\n`;
}

/**
 * ` /127.0.0.1:49406[1](queued=0,…)`. The bracket is what the original's selector waits for: 1 is
 * reading, 0 a connection that is answered once, such as a word's own.
 */
function connectionLine(connection: ConnectionStatus, all: boolean): string {
  const { session } = connection;
  const where = socketText(connection.remoteAddress, connection.remotePort);
  const counts =
    `queued=${connection.outstanding},recved=${connection.packetsReceived},sent=${connection.packetsSent}`;
  const more = !all || session === null ? "" : `,${
    [
      `sid=${sessionHex(session.id)}`,
      `lop=${session.operationLast}`,
      `est=${whole(session.establishedMs)}`,
      `to=${session.timeoutMs}`,
      ...(session.cxidLast >= 0 ? [`lcxid=0x${session.cxidLast.toString(16)}`] : []),
      `lzxid=${zxidText(session.zxidLast)}`,
      `lresp=${whole(session.responseLastMs)}`,
      `llat=${whole(session.latencyLastMs)}`,
      `minlat=${whole(session.latencyMinMs)}`,
      `avglat=${whole(session.latencyAvgMs)}`,
      `maxlat=${whole(session.latencyMaxMs)}`,
    ].join(",")
  }`;
  return ` /${where}[${session === null ? 0 : 1}](${counts}${more})`;
}

/** Before the first reply there is none, and -1 is printed as 64 bits. */
function zxidText(zxid: number): string {
  return zxid < 0 ? "0xffffffffffffffff" : `0x${zxid.toString(16)}`;
}

// ------------------------------------------------------------------------------------------ dump

export function dumpText(source: WordSource): string {
  const tickMs = source.settings.tickMs;
  const sessions = source.peer.sessions();
  const lines = new Lines();

  lines.add("SessionTracker dump:");
  const learns = isLearner(source.peer.status());
  if (learns) {
    // Only the leader knows when a session expires.
    lines.add(`Global Sessions(${sessions.length}):`);
    for (const { id, timeoutMs } of sessions) {
      if (lines.full) break;
      lines.add(`${sessionHex(id)}\t${timeoutMs}ms`);
    }
  } else {
    const buckets = bucketed(sessions, (session) => session.expiresAtMs, tickMs);
    lines.add(`Session Sets (${buckets.length})/(${sessions.length}):`);
    for (const [atMs, members] of buckets) {
      lines.add(`${members.length} expire at ${javaDate(atMs)}:`);
      for (const session of members) lines.add(`\t${sessionHex(session.id)}`);
    }
  }

  lines.add("ephemeral nodes dump:");
  const ephemerals = source.peer.ephemerals();
  lines.add(`Sessions with Ephemerals (${ephemerals.size}):`);
  for (const [id, paths] of ephemerals) {
    if (lines.full) break;
    lines.add(`${sessionHex(id)}:`);
    for (const path of paths) lines.add(`\t${path}`);
  }

  lines.add("Connections dump:");
  const nowMs = source.clock.wallMs();
  const expiresAt = new Map(
    sessions.map(({ id, timeoutMs, expiresAtMs }) => [id, learns ? nowMs + timeoutMs : expiresAtMs]),
  );
  const soon = nowMs + sessionlessMsMax;
  const connections = source.peer.connections();
  const connectionBuckets = bucketed(
    connections,
    ({ session }) => (session === null ? undefined : expiresAt.get(session.id)) ?? soon,
    sessionlessMsMax,
  );
  lines.add(`Connections Sets (${connectionBuckets.length})/(${connections.length}):`);
  for (const [atMs, members] of connectionBuckets) {
    if (lines.full) break;
    lines.add(`${members.length} expire at ${javaDate(atMs)}:`);
    for (const { remoteAddress, remotePort, session } of members) {
      const where = socketText(remoteAddress, remotePort);
      lines.add(`\tip: /${where} sessionId: ${session === null ? "0x0" : sessionHex(session.id)}`);
    }
  }
  return lines.toString();
}

/** Follows another's word of who is alive. */
export function isLearner(status: PeerStatus): boolean {
  return status.ensemble?.role === "follower" || status.ensemble?.role === "observer";
}

/** Grouped by the end of the interval in which they fall, soonest first. */
export function bucketed<T>(
  items: readonly T[],
  timeOf: (item: T) => number,
  everyMs: number,
): [number, T[]][] {
  const buckets = new Map<number, T[]>();
  for (const item of items) {
    const atMs = Math.ceil(timeOf(item) / everyMs) * everyMs;
    const bucket = buckets.get(atMs);
    if (bucket === undefined) buckets.set(atMs, [item]);
    else bucket.push(item);
  }
  return [...buckets].sort(([a], [b]) => a - b);
}

// --------------------------------------------------------------------------------------- watches

export function watchSummaryText(source: WordSource): string {
  const { watchConnections, watchPaths, watchesData } = source.peer.status();
  return `${watchConnections} connections watching ${watchPaths} paths\nTotal watches:${watchesData}\n`;
}

export function watchesBySessionText(source: WordSource): string {
  const lines = new Lines();
  for (const [id, paths] of source.peer.watchesBySession()) {
    if (lines.full) break;
    lines.add(sessionHex(id));
    for (const path of paths) lines.add(`\t${path}`);
  }
  return `${lines}\n`;
}

export function watchesByPathText(source: WordSource): string {
  const lines = new Lines();
  for (const [path, ids] of source.peer.watchesByPath()) {
    if (lines.full) break;
    lines.add(path);
    for (const id of ids) lines.add(`\t${sessionHex(id)}`);
  }
  return `${lines}\n`;
}

// ----------------------------------------------------------------------------- conf, dirs, hash

/** Bytes on disk. In one directory both names mean the whole of it, as they always did. */
export function directoryBytes(source: WordSource): { data: number; log: number } {
  const { logBytes, treeBytes } = source.storage.stats();
  if (source.settings.dataDir === source.settings.dataLogDir) {
    return { data: logBytes + treeBytes, log: logBytes + treeBytes };
  }
  return { data: treeBytes, log: logBytes };
}

/** Ports as clients reach them, -1 where there is none. */
export function portsOf(source: WordSource): { client: number; secure: number } {
  const { settings, ports } = source;
  return { client: ports?.client ?? settings.clientPort, secure: ports?.secure ?? settings.secureClientPort };
}

export function confText(source: WordSource): string {
  const { settings } = source;
  const bytes = directoryBytes(source);
  const ports = portsOf(source);
  return `clientPort=${ports.client}
secureClientPort=${ports.secure}
dataDir=${settings.dataDir}
dataDirSize=${bytes.data}
dataLogDir=${settings.dataLogDir}
dataLogSize=${bytes.log}
tickTime=${settings.tickMs}
maxClientCnxns=${settings.connectionsPerAddressMax}
minSessionTimeout=${settings.sessionTimeoutMsMin}
maxSessionTimeout=${settings.sessionTimeoutMsMax}
clientPortListenBacklog=${settings.clientPortListenBacklog}
serverId=${settings.serverIdShown}
${settings.sync === "off" ? "sync=off\n" : ""}${membershipText(source)}`;
}

/** What a member tells besides. No line break behind the last line, as in the original. */
function membershipText(source: WordSource): string {
  const { ensemble } = source.peer.status();
  const configured = source.settings.ensemble;
  if (ensemble === null || configured === null) return "";
  const own = membersOf(source, ensemble).find(({ sid }) => sid === ensemble.sid)?.addresses ?? [];
  return `initLimit=${configured.initLimit}
syncLimit=${configured.syncLimit}
electionAlg=3
electionPort=${own.map(({ electionPort }) => electionPort).join("|")}
quorumPort=${own.map(({ quorumPort }) => quorumPort).join("|")}
peerType=${configured.observer ? 1 : 0}
membership: 
${ensemble.configText.trimEnd()}`;
}

export function dirsText(source: WordSource): string {
  const bytes = directoryBytes(source);
  return `datadir_size: ${bytes.data}\nlogdir_size: ${bytes.log}\n`;
}

export function digestsText(source: WordSource): string {
  return source.peer.digests()
    .map(({ zxid, digest }) => `${zxid.toString(16)}: ${BigInt.asIntN(64, digest)}\n`)
    .join("");
}

// ------------------------------------------------------------------------------------------ envi

const osNames: Readonly<Record<string, string>> = { linux: "Linux", darwin: "Mac OS X", win32: "Windows" };
const archNames: Readonly<Record<string, string>> = { x64: "amd64", x86_64: "amd64", arm64: "aarch64" };

/** What scripts look for stays; what only a JVM has is `<NA>`, the original's own word for "not there". */
export function environmentOf(source: WordSource): [string, string][] {
  const { info } = source.process;
  const memory = source.process.memory();
  const megabytes = (bytes: number) => `${Math.max(0, Math.floor(bytes / (1 << 20)))}MB`;
  return [
    ["zookeeper.version", versionText],
    ["host.name", info.hostname],
    ["java.version", "<NA>"],
    ["java.vendor", `${info.runtime} ${info.runtimeVersion}`],
    ["java.home", "<NA>"],
    ["java.class.path", "<NA>"],
    ["java.library.path", "<NA>"],
    ["java.io.tmpdir", info.env["TMPDIR"] ?? "/tmp"],
    ["java.compiler", "<NA>"],
    ["os.name", osNames[info.platform] ?? info.platform],
    ["os.arch", archNames[info.arch] ?? info.arch],
    ["os.version", info.osRelease],
    ["user.name", info.user],
    ["user.home", info.home],
    ["user.dir", info.cwd],
    ["os.memory.free", megabytes(memory.heapTotalBytes - memory.heapUsedBytes)],
    ["os.memory.max", "<NA>"],
    ["os.memory.total", megabytes(memory.residentBytes)],
  ];
}

export function environmentText(source: WordSource): string {
  return `Environment:\n${environmentOf(source).map(([key, value]) => `${key}=${value}\n`).join("")}`;
}
