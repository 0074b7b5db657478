/**
 * A source of status made up: what one Apache ZooKeeper 3.8.0 told in one run, so that the answers
 * can be compared with what it wrote then, and whatever a test changes.
 */
import { LatencyHistogram } from "../../src/core/base/histogram.ts";
import type { SessionId } from "../../src/core/base/zxid.ts";
import type { ConnectionStatus, PeerStatus, PeerStatusSource } from "../../src/core/peer/status.ts";
import { traceMaskDefault, type WordSource } from "../../src/server/four_letter_words.ts";
import type { ServerSettings } from "../../src/server/config_types.ts";
import type { StorageStats } from "../../src/storage/storage.ts";
import type { ProcessInfo } from "../../src/runtime/ports.ts";
import type { Zxid } from "../../src/core/base/zxid.ts";
import { clock } from "../../src/runtime/shared/clock.ts";

export const sessionId = 0x1000015d6210000n as SessionId;

export function latencyOf(...values: number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

export const statusFake: PeerStatus = {
  ensemble: null,
  mode: "standalone",
  serving: true,
  serverId: 0,
  zxidLast: 5,
  znodes: 9,
  ephemerals: 1,
  watches: 3,
  watchPaths: 2,
  watchConnections: 1,
  watchesData: 2,
  sessions: 1,
  sessionsWithEphemerals: 1,
  dataBytes: 74,
  connections: 2,
  outstanding: 0,
  unsentBytes: 4711,
  connectionsSlow: 2,
  connectionsWatching: 1,
  watchesRefused: 3,
  packetsReceived: 10,
  packetsSent: 9,
  bytesReceived: 363,
  bytesSent: 234,
  uptimeMs: 38230.5,
  latency: latencyOf(0, 1, 1, 9).summary(),
  stages: {
    read: latencyOf(0.25).summary(),
    write: latencyOf(3, 4).summary(),
    append: latencyOf(2).summary(),
  },
  requestsByOp: new Map([["create", 4], ["getData", 1]]),
  events: { created: 2, deleted: 0, dataChanged: 1, childrenChanged: 0 },
  connectionsAccepted: 12,
  connectionsRejected: 1,
  connectionsDropped: 0,
  sessionlessExpired: 0,
  sessionsExpired: 0,
  authFailed: 0,
  commits: 8,
  responseBytesLast: 22,
  responseBytesMin: 16,
  responseBytesMax: 98,
  digest: 9387463759n,
  digestMismatches: 0,
  wrong: null,
  loading: null,
};

export const connectionFake: ConnectionStatus = {
  remoteAddress: "127.0.0.1",
  remotePort: 45730,
  secure: false,
  packetsReceived: 8,
  packetsSent: 8,
  outstanding: 0,
  session: {
    id: sessionId,
    timeoutMs: 30000,
    operationLast: "CREA",
    establishedMs: 1795176574561,
    cxidLast: 7,
    zxidLast: 5,
    responseLastMs: 1468951.4,
    latencyLastMs: 0.2,
    latencyMinMs: 0,
    latencyAvgMs: 2.75,
    latencyMaxMs: 9,
  },
};

export const connectionWordFake: ConnectionStatus = {
  ...connectionFake,
  remoteAddress: "::ffff:127.0.0.1",
  remotePort: 45766,
  packetsReceived: 1,
  packetsSent: 0,
  session: null,
};

export const settingsFake: ServerSettings = {
  ensemble: null,
  storageKind: "disk",
  source: "/etc/zoo.cfg",
  sourceText: "tickTime=2000\nclientPort=23181\n",
  dataDir: "/var/lib/zookeeper",
  dataLogDir: "/var/lib/zookeeper",
  clientPort: 23181,
  clientPortAddress: null,
  secureClientPort: -1,
  secureClientPortAddress: null,
  clientPortListenBacklog: -1,
  clientTcpKeepAlive: false,
  tickMs: 2000,
  sessionTimeoutMsMin: 4000,
  sessionTimeoutMsMax: 40000,
  connectionsPerAddressMax: 60,
  connectionsMax: 0,
  watchesPerConnectionMax: 1_000_000,
  watchesMax: 2_000_000,
  outstandingRequestsMax: 1000,
  frameBytesMax: 0xfffff,
  frameExtraBytes: 0xfffff,
  sessionlessMsMax: 10000,
  serverId: 0,
  serverIdShown: 0,
  extendedTypes: false,
  enforceQuota: false,
  skipAcl: false,
  digestEnabled: true,
  closeSessionTxn: true,
  superDigest: null,
  digestAuthEnabled: true,
  enforceAuthSchemes: [],
  containerCheckMs: 60000,
  containerPerMinuteMax: 10000,
  containerNeverUsedMs: 0,
  fourLetterWords: "all",
  readOnlyMode: false,
  sync: "full",
  logRetainTxns: 100000,
  logRetainMs: 0,
  dataDirAutocreate: true,
  fsyncWarningMs: 1000,
  admin: { enabled: true, address: "127.0.0.1", port: 8080, commandUrl: "/commands" },
  metrics: null,
  logFormat: "text",
  logLevel: "info",
  tls: null,
  origins: new Map(),
  warnings: [],
  notes: [],
};

export const storageFake: StorageStats = {
  logBytes: 67109330,
  treeBytes: 7,
  zxidTree: 3 as Zxid,
  zxidLogFirst: 1 as Zxid,
  commits: 5,
  txns: 8,
  commitMsTotal: 1,
  commitMsMax: 0.6,
  checkpoints: 1,
  checkpointMsLast: 2,
  checkpointAtMs: 1795176536000,
};

const processInfo: ProcessInfo = {
  runtime: "bun",
  executable: "/usr/bin/bun",
  runtimeVersion: "1.4.5",
  pid: 42,
  argv: [],
  env: {},
  cwd: "/srv",
  platform: "linux",
  arch: "x64",
  osRelease: "6.18.44",
  hostname: "zk-0",
  user: "zookeeper",
  home: "/home/zookeeper",
};

export interface FakeChanges {
  readonly status?: Partial<PeerStatus>;
  readonly settings?: Partial<ServerSettings>;
  readonly storage?: Partial<StorageStats>;
  readonly peer?: Partial<PeerStatusSource>;
}

/** Also tells what was reset. */
export function fakeSource(changes: FakeChanges = {}): WordSource & { readonly resets: string[] } {
  const resets: string[] = [];
  const status: PeerStatus = { ...statusFake, ...changes.status };
  return {
    resets,
    peer: {
      status: () => status,
      connections: () => [connectionFake, connectionWordFake],
      sessions: () => [{ id: sessionId, timeoutMs: 30000, expiresAtMs: 1795176603500 }],
      ephemerals: () => new Map([[sessionId, ["/eph"]]]),
      watchesBySession: () => new Map([[sessionId, ["/app", "/nope"]]]),
      watchesByPath: () => new Map([["/app", [sessionId]], ["/nope", [sessionId]]]),
      digests: () => [{ zxid: 128, digest: 9387463759n }, { zxid: 256, digest: 10403202430n }],
      quotas: () => [{ path: "/q", countLimit: 5, bytesLimit: -1, count: 1, bytes: 6 }],
      resetStats: () => void resets.push("stats"),
      resetConnectionStats: () => void resets.push("connections"),
      ...changes.peer,
    },
    storage: { stats: () => ({ ...storageFake, ...changes.storage }) },
    settings: { ...settingsFake, ...changes.settings },
    process: {
      info: processInfo,
      memory: () => ({ residentBytes: 50 << 20, heapUsedBytes: 10 << 20, heapTotalBytes: 30 << 20 }),
      residentBytes: () => 50 << 20,
      cpuSeconds: () => 1.5,
      fileDescriptors: () => ({ open: 90, max: 20000 }),
    },
    clock: { wallMs: () => 1795176575000, monotonicMs: () => 0, after: clock.after },
    traceMask: { value: traceMaskDefault },
  };
}
