/**
 * Ensembles: three peers of one kind on this machine, and an observer beside them.
 *
 * All peers of an ensemble have the same `zoo.cfg` but for their directories and client ports, and the
 * original's and ours have the same. Only the observer differs: the original's is a member with an empty
 * directory; ours is an edge replica, which the others know nothing of and which has no directory at all.
 *
 * Always true: a peer that is down was killed here, and whoever is running in the end is ended.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts, kill, residentBytes, sleep } from "./processes.ts";
import { askWord, endOf, firstWrite, lastWords, type ServerName, startProcess } from "./servers.ts";

const leaderMsMax = 30_000;
const pauseMs = 20;
const voters = [1, 2, 3];
const observer = 4;

interface Peer {
  readonly sid: number;
  readonly clientPort: number;
  readonly quorumPort: number;
  readonly electionPort: number;
  readonly directory: string;
  process: ChildProcess | null;
}

export class Ensemble {
  readonly #name: ServerName;
  readonly #peers: readonly Peer[];
  /** From the start of the first process to the first write that any peer acknowledged. */
  firstWriteMs = 0;

  private constructor(name: ServerName, peers: readonly Peer[]) {
    this.#name = name;
    this.#peers = peers;
  }

  static async start(name: ServerName, directory: string): Promise<Ensemble> {
    const sids = [...voters, observer];
    const ports = await freePorts(3 * sids.length);
    const peers = sids.map((sid, i): Peer => ({
      sid,
      clientPort: ports[3 * i] ?? 0,
      quorumPort: ports[3 * i + 1] ?? 0,
      electionPort: ports[3 * i + 2] ?? 0,
      directory: join(directory, `peer-${sid}`),
      process: null,
    }));
    const ensemble = new Ensemble(name, peers);
    for (const peer of peers) ensemble.#prepare(peer);
    const startMs = performance.now();
    for (const sid of voters) ensemble.#launch(sid);
    try {
      ensemble.firstWriteMs = await ensemble.#firstWrite(voters) - startMs;
      await ensemble.#allServe();
    } catch (error) {
      await ensemble.stop();
      throw error;
    }
    return ensemble;
  }

  /** Of the peers that vote. */
  get ports(): number[] {
    return voters.map((sid) => this.#peer(sid).clientPort);
  }

  portOf(sid: number): number {
    return this.#peer(sid).clientPort;
  }

  /** Asks until one says that it leads. */
  async leader(): Promise<number> {
    const end = performance.now() + leaderMsMax;
    while (performance.now() < end) {
      for (const sid of voters) {
        const { clientPort, process } = this.#peer(sid);
        if (process === null || endOf(process) !== null) continue;
        if (/^Mode: leader$/m.test(await askWord(clientPort, "srvr"))) return sid;
      }
      await sleep(pauseMs);
    }
    throw new Error(`No peer of ${this.#name} said within ${leaderMsMax / 1000} s that it leads`);
  }

  async follower(): Promise<number> {
    const leader = await this.leader();
    return voters.find((sid) => sid !== leader) ?? 0;
  }

  kill(sid: number): Promise<void> {
    const { process } = this.#peer(sid);
    return process === null ? Promise.resolve() : kill(process);
  }

  /** SIGKILL to the leader, and how long it takes until another acknowledges a write. */
  async failover(): Promise<{ readonly killed: number; readonly ms: number }> {
    const killed = await this.leader();
    const startMs = performance.now();
    const gone = this.kill(killed);
    const ms = await this.#firstWrite(voters.filter((sid) => sid !== killed)) - startMs;
    await gone;
    return { killed, ms };
  }

  /** Starts one that is down; how long until it acknowledges a write itself. */
  async back(sid: number): Promise<number> {
    const startMs = performance.now();
    this.#launch(sid);
    return await this.#firstWrite([sid]) - startMs;
  }

  /** Starts the observer; how long until it acknowledges a write. */
  observe(): Promise<number> {
    return this.back(observer);
  }

  /** Of the voter that has the most; null where there is no /proc. */
  residentBytesMax(): number | null {
    const bytes = voters.map((sid) => residentBytes(this.#peer(sid).process?.pid ?? 0) ?? 0);
    return bytes.includes(0) ? null : Math.max(...bytes);
  }

  /** As a crash would: what they would do in the end for a later start nobody waits for. */
  async stop(): Promise<void> {
    await Promise.all(this.#peers.map(({ process }) => process === null ? null : kill(process)));
  }

  #peer(sid: number): Peer {
    const peer = this.#peers.find((one) => one.sid === sid);
    if (peer === undefined) throw new Error(`There is no peer ${sid}`);
    return peer;
  }

  #prepare(peer: Peer): void {
    const data = join(peer.directory, "data");
    mkdirSync(data, { recursive: true });
    const isEdge = peer.sid === observer && this.#name !== "apache";
    if (!isEdge) writeFileSync(join(data, "myid"), `${peer.sid}\n`);
    const addressOf = (one: Peer): string => `127.0.0.1:${one.quorumPort}:${one.electionPort}`;
    const members = this.#peers.filter(({ sid }) => sid !== observer || this.#name === "apache");
    const lines = [
      ...["tickTime=2000", "initLimit=10", "syncLimit=5"],
      ...[`clientPort=${peer.clientPort}`, "clientPortAddress=127.0.0.1", "maxClientCnxns=0"],
      ...["4lw.commands.whitelist=*", "admin.enableServer=false"],
      ...(peer.sid === observer ? ["peerType=observer"] : []),
      ...(isEdge ? [`zoolet.observe=${members.map((one) => `${one.sid}=${addressOf(one)}`).join()}`] : [
        `dataDir=${data}`,
        ...members.map((one) =>
          `server.${one.sid}=${addressOf(one)}${one.sid === observer ? ":observer" : ""}`
        ),
      ]),
    ];
    writeFileSync(join(peer.directory, "zoo.cfg"), `${lines.join("\n")}\n`);
  }

  #launch(sid: number): void {
    const peer = this.#peer(sid);
    const { directory } = peer;
    peer.process = startProcess(this.#name, join(directory, "zoo.cfg"), join(directory, "log"));
  }

  async #firstWrite(sids: readonly number[]): Promise<number> {
    const peers = sids.map((sid) => this.#peer(sid));
    const gone = (): string | null => {
      for (const { sid, process } of peers) {
        const end = process === null ? "it was not started" : endOf(process);
        if (end !== null) return `peer ${sid}: ${end}`;
      }
      return null;
    };
    try {
      return await firstWrite(peers.map((peer) => peer.clientPort), gone);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const words = peers.map(({ sid, directory }) => `${sid}: ${lastWords(join(directory, "log"))}`);
      throw new Error(`An ensemble of ${this.#name} did not serve: ${why}. ${words.join("; ")}`);
    }
  }

  async #allServe(): Promise<void> {
    await Promise.all(voters.map((sid) => this.#firstWrite([sid])));
  }
}
