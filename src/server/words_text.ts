/**
 * Words, text: the bodies of the answers, line by line as the original writes them.
 *
 * Paths cannot hold line breaks (they are refused when a znode is created), so no client can forge a
 * line. A list is made piece by piece, stops after `linesMax` lines and says so: a word must take neither
 * the memory nor the time that a million watches would ask for.
 */
import { sessionHex, type SessionId } from "../core/base/zxid.ts";
import { sessionlessMsMax } from "../core/base/limits.ts";
import { versionLine, versionText } from "../core/base/version.ts";
import type { ConnectionStatus, PeerStatus } from "../core/peer/status.ts";
import type { WordSource } from "./four_letter_words.ts";
import { membersOf } from "./words_members.ts";
import { javaDate, javaDouble, socketText, whole } from "./words_java.ts";
import { proposalSizesLine } from "./words_ensemble.ts";
import { averageMs } from "./words_monitor.ts";

export const linesMax = 100_000;

/**
 * A long answer: pieces of text, made when they are asked for. Between two the server may do other work;
 * an empty one is nothing but a chance for that.
 */
export type Pieces = Iterable<string>;

/** Lines up to the limit. */
function* cut(lines: Pieces): Generator<string> {
  let left = linesMax;
  for (const line of lines) {
    if (line !== "" && left-- === 0) return yield `... cut after ${linesMax} lines\n`;
    yield line;
  }
}

// ------------------------------------------------------------------------------- srvr, stat, cons

/** `srvr`, or `stat` when told which port's connections to list. */
export function* serverText(source: WordSource, clientsOf: boolean | null): Pieces {
  const status = source.peer.status();
  yield `${versionLine}\n`;
  if (status.mode === "read-only") yield "READ-ONLY mode; serving only read-only clients\n";
  if (clientsOf !== null) {
    yield "Clients:\n";
    yield* cut(connectionLines(source, clientsOf, false));
    yield "\n";
  }
  const { latency } = status;
  const latencies = `${whole(latency.minMs)}/${javaDouble(averageMs(latency))}/${
    whole(Math.ceil(latency.maxMs))
  }`;
  yield `Latency min/avg/max: ${latencies}
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

export function* connectionsText(source: WordSource, secure: boolean): Pieces {
  yield* cut(connectionLines(source, secure, true));
  yield "\n";
}

function* connectionLines(source: WordSource, secure: boolean, all: boolean): Pieces {
  for (const connection of source.peer.connections()) {
    yield connection.secure === secure ? `${connectionLine(connection, all)}\n` : "";
  }
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

export function dumpText(source: WordSource): Pieces {
  return cut(dumpLines(source));
}

function* dumpLines(source: WordSource): Pieces {
  const tickMs = source.settings.tickMs;
  const status = source.peer.status();
  const expiresAt = new Map<SessionId, number>();
  const nowMs = source.clock.wallMs();

  yield "SessionTracker dump:\n";
  // Only the leader knows when a session expires.
  const learns = isLearner(status);
  if (learns) yield `Global Sessions(${status.sessions}):\n`;
  const sets = new Sets<SessionId>(tickMs);
  for (const { id, timeoutMs, expiresAtMs } of source.peer.sessions()) {
    if (expiresAt.size < linesMax) expiresAt.set(id, learns ? nowMs + timeoutMs : expiresAtMs);
    if (!learns) sets.add(expiresAtMs, id);
    yield learns ? `${sessionHex(id)}\t${timeoutMs}ms\n` : "";
  }
  if (!learns) {
    yield `Session Sets (${sets.size})/(${sets.count}):\n`;
    yield* sets.lines((id) => `\t${sessionHex(id)}\n`);
  }

  yield `ephemeral nodes dump:\nSessions with Ephemerals (${status.sessionsWithEphemerals}):\n`;
  for (const [id, paths] of source.peer.ephemerals()) {
    yield `${sessionHex(id)}:\n`;
    for (const path of paths) yield `\t${path}\n`;
  }

  yield "Connections dump:\n";
  const soon = nowMs + sessionlessMsMax;
  const connections = new Sets<ConnectionStatus>(sessionlessMsMax);
  for (const connection of source.peer.connections()) {
    const { session } = connection;
    connections.add((session === null ? undefined : expiresAt.get(session.id)) ?? soon, connection);
    yield "";
  }
  yield `Connections Sets (${connections.size})/(${connections.count}):\n`;
  yield* connections.lines(({ remoteAddress, remotePort, session }) =>
    `\tip: /${socketText(remoteAddress, remotePort)} sessionId: ${
      session === null ? "0x0" : sessionHex(session.id)
    }\n`
  );
}

/** Follows another's word of who is alive. */
export function isLearner(status: PeerStatus): boolean {
  return status.ensemble?.role === "follower" || status.ensemble?.role === "observer";
}

/** Things grouped by the end of the interval in which their time falls. All are counted, `linesMax` kept. */
export class Sets<T> {
  readonly #everyMs: number;
  readonly #sets = new Map<number, { count: number; members: T[] }>();
  count = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  get size(): number {
    return this.#sets.size;
  }

  add(timeMs: number, member: T): void {
    const atMs = Math.ceil(timeMs / this.#everyMs) * this.#everyMs;
    let set = this.#sets.get(atMs);
    if (set === undefined) this.#sets.set(atMs, set = { count: 0, members: [] });
    set.count++;
    if (this.count++ <= linesMax) set.members.push(member);
  }

  /** The soonest first. */
  sorted(): (readonly [number, { readonly count: number; readonly members: readonly T[] }])[] {
    return [...this.#sets].sort(([a], [b]) => a - b);
  }

  *lines(lineOf: (member: T) => string): Pieces {
    for (const [atMs, { count, members }] of this.sorted()) {
      yield `${count} expire at ${javaDate(atMs)}:\n`;
      for (const member of members) yield lineOf(member);
    }
  }
}

// --------------------------------------------------------------------------------------- watches

export function watchSummaryText(source: WordSource): string {
  const { watchConnections, watchPaths, watchesData } = source.peer.status();
  return `${watchConnections} connections watching ${watchPaths} paths\nTotal watches:${watchesData}\n`;
}

export function* watchesBySessionText(source: WordSource): Pieces {
  yield* cut(watchLines(source.peer.watchesBySession(), sessionHex, String));
  yield "\n";
}

export function* watchesByPathText(source: WordSource): Pieces {
  yield* cut(watchLines(source.peer.watchesByPath(), String, sessionHex));
  yield "\n";
}

function* watchLines<K, V>(
  lists: Iterable<readonly [K, Iterable<V>]>,
  keyText: (key: K) => string,
  valueText: (value: V) => string,
): Pieces {
  for (const [key, values] of lists) {
    yield `${keyText(key)}\n`;
    for (const value of values) yield `\t${valueText(value)}\n`;
  }
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
