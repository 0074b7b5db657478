/**
 * Status as JSON: what the status page shows, for it and for anyone who wants the same in one request.
 *
 * Our own shape, so ids and zxids are hex text here and no reader needs 64-bit integers.
 */
import { sessionHex, type Zxid, zxidHex } from "../core/base/zxid.ts";
import { versionText } from "../core/base/version.ts";
import type { ConnectionStatus, LatencySummary, PeerStatus } from "../core/peer/status.ts";
import type { WordSource } from "../server/four_letter_words.ts";
import { txnsBetween } from "../server/words_ensemble.ts";
import { socketText } from "../server/words_java.ts";
import { portsOf } from "../server/words_text.ts";
import { ensembleJson } from "./status_ensemble.ts";

/** Connections that are listed. With more of them the page would weigh on the server that it watches. */
const connectionsListedMax = 200;

export interface HealthJson {
  readonly status: "ok" | "not-serving" | "wrong-tree";
  readonly mode: string;
  readonly zxid: string;
  readonly uptimeMs: number;
  readonly version: string;
  /** Null stands alone. */
  readonly ensemble: {
    readonly sid: number;
    readonly role: string;
    readonly phase: string;
    readonly leader: number | null;
  } | null;
  /** Why it does not serve; null while it does. */
  readonly reason: string | null;
  /** What of its data is in memory so far; only while it is being loaded. */
  readonly loading?: { readonly znodes: number; readonly txns: number };
}

export function healthJson(source: WordSource): HealthJson {
  const status = source.peer.status();
  const { serving, mode, zxidLast, uptimeMs, ensemble, loading, wrong } = status;
  return {
    status: !serving ? "not-serving" : wrong === null ? "ok" : "wrong-tree",
    mode,
    zxid: zxidHex(zxidLast as Zxid),
    uptimeMs: Math.trunc(uptimeMs),
    version: versionText,
    ensemble: ensemble === null
      ? null
      : { sid: ensemble.sid, role: ensemble.role, phase: ensemble.phase, leader: ensemble.leader },
    reason: wrong ?? (serving ? null : reasonOf(status)),
    ...(loading === null ? {} : { loading }),
  };
}

/** Said so that whoever reads it knows where to look next. */
function reasonOf({ ensemble, loading }: PeerStatus): string {
  if (loading !== null) {
    return `It is loading its data: ${loading.znodes} znodes and ${loading.txns} txns behind them so far`;
  }
  if (ensemble === null) return "The server is starting or stopping";
  const forText = `for ${(ensemble.phaseMs / 1000).toFixed(1)} s`;
  if (ensemble.role === "looking") {
    const others = ensemble.voters.filter((sid) => sid !== ensemble.sid);
    return `It has been looking for a leader ${forText}: more than half of the voters ${
      ensemble.voters.join(", ")
    } have to reach each other on their election ports${
      others.length === 0 ? "" : `. See how ${others.join(", ")} are`
    }`;
  }
  if (ensemble.phase === "broadcast") return "It has a quorum and leaves clients to the other members";
  if (ensemble.role === "leader") {
    return `It was elected and has been waiting ${forText} for more than half of the voters to follow on its quorum port`;
  }
  return `It has been getting level with ${ensemble.master ?? ensemble.leader ?? "its leader"} ${forText}`;
}

export function statusJson(source: WordSource) {
  const status = source.peer.status();
  const storage = source.storage.stats();
  const { settings, process } = source;
  const ports = portsOf(source);
  const listed = status.connections <= connectionsListedMax ? [...source.peer.connections()] : null;
  return {
    ...healthJson(source),
    serverId: settings.serverIdShown,
    host: process.info.hostname,
    runtime: `${process.info.runtime} ${process.info.runtimeVersion}`,
    pid: process.info.pid,
    residentBytes: process.residentBytes(),
    cpuSeconds: process.cpuSeconds(),
    clientPort: ports.client,
    secureClientPort: ports.secure,
    sync: settings.sync,
    znodes: status.znodes,
    ephemerals: status.ephemerals,
    dataBytes: status.dataBytes,
    sessions: status.sessions,
    connections: status.connections,
    watches: status.watches,
    outstanding: status.outstanding,
    packetsReceived: status.packetsReceived,
    packetsSent: status.packetsSent,
    bytesReceived: status.bytesReceived,
    bytesSent: status.bytesSent,
    sessionsExpired: status.sessionsExpired,
    connectionsRejected: status.connectionsRejected,
    digestMismatches: status.digestMismatches,
    latency: {
      read: latencyJson(status.stages.read),
      write: latencyJson(status.stages.write),
      append: latencyJson(status.stages.append),
    },
    storage: {
      dataDir: settings.dataDir,
      logBytes: storage.logBytes,
      treeBytes: storage.treeBytes,
      behindTxns: txnsBetween(storage.zxidTree, status.zxidLast),
      commits: storage.commits,
      commitMsAvg: storage.commits === 0 ? 0 : storage.commitMsTotal / storage.commits,
      commitMsMax: storage.commitMsMax,
      txns: storage.txns,
      checkpointAtMs: storage.checkpointAtMs,
      checkpointMsLast: storage.checkpointMsLast,
    },
    members: ensembleJson(source, status),
    /** Null when there are too many to list. */
    clients: listed === null ? null : listed.slice(0, connectionsListedMax).map(clientJson),
  };
}

function latencyJson(latency: LatencySummary) {
  return {
    count: latency.count,
    avgMs: latency.count === 0 ? 0 : latency.sumMs / latency.count,
    p50Ms: latency.quantileMs(0.5),
    p95Ms: latency.quantileMs(0.95),
    p99Ms: latency.quantileMs(0.99),
    maxMs: latency.maxMs,
  };
}

function clientJson(connection: ConnectionStatus) {
  const { session } = connection;
  return {
    address: socketText(connection.remoteAddress, connection.remotePort),
    secure: connection.secure,
    session: session === null ? null : sessionHex(session.id),
    timeoutMs: session?.timeoutMs ?? null,
    operationLast: session?.operationLast ?? null,
    establishedMs: session?.establishedMs ?? null,
    latencyAvgMs: session?.latencyAvgMs ?? null,
    latencyMaxMs: session?.latencyMaxMs ?? null,
    outstanding: connection.outstanding,
    packetsReceived: connection.packetsReceived,
    packetsSent: connection.packetsSent,
  };
}
