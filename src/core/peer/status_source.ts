/**
 * Status of a peer: reads its rooms and makes the values that `status.ts` describes.
 */
import type { SessionId } from "../base/zxid.ts";
import { OpCode, opName } from "../wire/opcodes.ts";
import type { Connection } from "./connection.ts";
import { opSlot } from "./counters.ts";
import { ensembleStatus } from "./ensemble_status.ts";
import type { Peer } from "./peer.ts";
import type { ConnectionStatus, PeerStatus, PeerStatusSource, SessionStatus } from "./status.ts";

/** What the shell counts: connections it turned away, bytes it moved. */
export interface ShellCounters {
  bytesReceived: number;
  bytesSent: number;
  connectionsAccepted: number;
  connectionsRejected: number;
  connectionsDropped: number;
  sessionlessExpired: number;
}

export function makeShellCounters(): ShellCounters {
  return {
    bytesReceived: 0,
    bytesSent: 0,
    connectionsAccepted: 0,
    connectionsRejected: 0,
    connectionsDropped: 0,
    sessionlessExpired: 0,
  };
}

/** As `cons` names the last operation. operations 2.4. */
const opShort = new Map<number, string>([
  [OpCode.CreateSession, "SESS"],
  [OpCode.Ping, "PING"],
  [OpCode.CloseSession, "CLOS"],
  [OpCode.Create, "CREA"],
  [OpCode.Create2, "CREA"],
  [OpCode.CreateTtl, "CREA"],
  [OpCode.CreateContainer, "CREA"],
  [OpCode.Delete, "DELE"],
  [OpCode.Exists, "EXIS"],
  [OpCode.GetData, "GETD"],
  [OpCode.SetData, "SETD"],
  [OpCode.GetChildren, "GETC"],
  [OpCode.GetChildren2, "GETC"],
  [OpCode.GetAcl, "GETA"],
  [OpCode.SetAcl, "SETA"],
  [OpCode.GetEphemerals, "GETE"],
  [OpCode.GetAllChildrenNumber, "GETACN"],
  [OpCode.Check, "CHEC"],
  [OpCode.Multi, "MULT"],
  [OpCode.MultiRead, "MLTR"],
  [OpCode.Sync, "SYNC"],
  [OpCode.SetWatches, "SETW"],
  [OpCode.SetWatches2, "SETW"],
  [OpCode.AddWatch, "ADDW"],
  [OpCode.RemoveWatches, "REMW"],
  [OpCode.CheckWatches, "CHKW"],
  [OpCode.Reconfig, "RECO"],
  [OpCode.WhoAmI, "HOMI"],
]);

export function makeStatusSource(
  peer: Peer,
  shell: ShellCounters,
  clock: { wallMs(): number; monotonicMs(): number },
): PeerStatusSource {
  const { counters } = peer;
  return {
    status(): PeerStatus {
      const requestsByOp = new Map<string, number>();
      for (const op of Object.values(OpCode)) {
        const count = counters.requests[opSlot(op)] as number;
        if (count > 0) requestsByOp.set(opName(op), count);
      }
      return {
        ensemble: ensembleStatus(peer, clock.monotonicMs()),
        mode: peer.mode,
        serving: peer.serving,
        serverId: peer.options.serverId,
        zxidLast: peer.zxid,
        // The root counts twice, once as "" and once as "/", as it always has.
        znodes: peer.tree.liveCount + 1,
        ephemerals: peer.tree.ephemeralCount,
        watches: peer.dataWatches.size + peer.childWatches.size,
        watchPaths: peer.dataWatches.pathCount,
        watchConnections:
          peer.connections.filter((c) => c !== null && peer.dataWatches.hasConnection(c.number)).length,
        watchesData: peer.dataWatches.size,
        sessions: peer.sessions.size,
        sessionsWithEphemerals: peer.tree.ephemerals.size,
        // The root's other name, "/", is counted with one byte.
        dataBytes: peer.tree.dataBytes + 1,
        connections: peer.connectionCount,
        outstanding: peer.outstanding,
        unsentBytes: peer.unsentBytes,
        connectionsSlow: counters.connectionsSlow,
        connectionsWatching: counters.connectionsWatching,
        watchesRefused: counters.watchesRefused,
        packetsReceived: counters.packetsReceived,
        packetsSent: counters.packetsSent,
        bytesReceived: shell.bytesReceived,
        bytesSent: shell.bytesSent,
        uptimeMs: clock.monotonicMs() - peer.options.bornMonoMs,
        latency: counters.latency.summary(),
        stages: {
          read: counters.read.summary(),
          write: counters.write.summary(),
          append: counters.append.summary(),
        },
        requestsByOp,
        events: { ...peer.applier.events },
        connectionsAccepted: shell.connectionsAccepted,
        connectionsRejected: shell.connectionsRejected,
        connectionsDropped: shell.connectionsDropped,
        sessionlessExpired: shell.sessionlessExpired,
        sessionsExpired: counters.sessionsExpired,
        authFailed: counters.authFailed,
        commits: counters.commits,
        responseBytesLast: counters.responseBytesLast,
        responseBytesMin: counters.responseBytesMin,
        responseBytesMax: counters.responseBytesMax,
        digest: peer.tree.digest.value,
        digestMismatches: peer.applier.digestMismatches,
        wrong: peer.doubts.lacks ?? peer.doubts.wrong,
        loading: peer.loading,
      };
    },
    *connections(): Generator<ConnectionStatus> {
      for (const connection of live(peer)) yield connectionStatus(connection);
    },
    *sessions(): Generator<SessionStatus> {
      const toWall = clock.wallMs() - clock.monotonicMs();
      for (const session of peer.sessions.all()) {
        const expiresAtMs = peer.sessions.expiresAtMs(session) + toWall;
        yield { id: session.id, timeoutMs: session.timeoutMs, expiresAtMs };
      }
    },
    *ephemerals(): Generator<[SessionId, Iterable<string>]> {
      for (const [id, rows] of peer.tree.ephemerals) yield [id, pathsOf(peer, rows)];
    },
    *watchesBySession(): Generator<[SessionId, Iterable<string>]> {
      for (const { session, number } of live(peer)) {
        if (session === null || !peer.dataWatches.hasConnection(number)) continue;
        yield [session.id, peer.dataWatches.pathsOf(number)];
      }
    },
    *watchesByPath(): Generator<[string, SessionId[]]> {
      for (const { path, connections } of peer.dataWatches.paths()) {
        const ids: SessionId[] = [];
        for (const number of connections) {
          const session = peer.connections[number]?.session;
          if (session !== null && session !== undefined) ids.push(session.id);
        }
        yield [path, ids];
      }
    },
    digests: () => [...peer.applier.digests],
    quotas: () =>
      [...peer.quotas.paths].flatMap((path) => {
        const limits = peer.quotas.limitsOf(path);
        if (limits === null) return [];
        const use = peer.quotas.useOf(path);
        return [{
          path,
          countLimit: Math.max(limits.count, limits.countHard),
          bytesLimit: Math.max(limits.bytes, limits.bytesHard),
          count: use?.count ?? 0,
          bytes: use?.bytes ?? 0,
        }];
      }),
    resetStats: () => {
      counters.reset();
      peer.stats.reset();
    },
    resetConnectionStats: () => {
      for (const connection of live(peer)) connection.resetStats();
    },
  };
}

/** A connection that comes or goes while they are listed may be among them or not. */
function* live(peer: Peer): Generator<Connection> {
  for (const connection of peer.connections) if (connection !== null) yield connection;
}

function* pathsOf(peer: Peer, rows: Iterable<number>): Generator<string> {
  for (const row of rows) yield peer.tree.pathOf(row);
}

function connectionStatus(connection: Connection): ConnectionStatus {
  const { session } = connection;
  return {
    remoteAddress: connection.address,
    remotePort: connection.port,
    secure: connection.secure,
    packetsReceived: connection.packetsReceived,
    packetsSent: connection.packetsSent,
    outstanding: connection.order.outstanding,
    session: session === null ? null : {
      id: session.id,
      timeoutMs: session.timeoutMs,
      operationLast: opShort.get(connection.opLast) ?? "NA",
      establishedMs: connection.establishedWallMs,
      cxidLast: connection.cxidLast,
      zxidLast: connection.zxidLast,
      responseLastMs: connection.responseLastMs,
      latencyLastMs: connection.latencyLastMs,
      latencyMinMs: connection.latencyCount === 0 ? 0 : connection.latencyMinMs,
      latencyAvgMs: connection.latencyCount === 0 ? 0 : connection.latencySumMs / connection.latencyCount,
      latencyMaxMs: connection.latencyMaxMs,
    },
  };
}
