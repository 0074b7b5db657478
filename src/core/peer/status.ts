/**
 * Status: one value that says how a peer is, for the four-letter words, the admin endpoint and the
 * metrics. They read it and own no state; it is made anew when somebody asks.
 */
import type { LatencySummary } from "../base/histogram.ts";
import type { SessionId } from "../base/zxid.ts";

export type { LatencySummary };

export type ServingMode = "standalone" | "leader" | "follower" | "observer" | "read-only" | "not-serving";

export interface ConnectionStatus {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly secure: boolean;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  /** Requests that wait for their reply. */
  readonly outstanding: number;
  /** Null before the session is there. */
  readonly session: {
    readonly id: SessionId;
    readonly timeoutMs: number;
    /** As in `cons`: NA, SESS, PING, CREA, … */
    readonly operationLast: string;
    readonly establishedMs: number;
    /** -1 before the first. */
    readonly cxidLast: number;
    readonly zxidLast: number;
    /** Monotonic ms. */
    readonly responseLastMs: number;
    readonly latencyLastMs: number;
    readonly latencyMinMs: number;
    readonly latencyAvgMs: number;
    readonly latencyMaxMs: number;
  } | null;
}

export interface SessionStatus {
  readonly id: SessionId;
  readonly timeoutMs: number;
  /** Wall time at which it will expire if nothing is heard, ms since 1970. */
  readonly expiresAtMs: number;
}

/** How a learner got level with its leader. */
export type SyncKind = "diff" | "trunc" | "snap";

/** One learner, as its leader sees it. */
export interface LearnerStatus {
  readonly sid: number;
  readonly role: "follower" | "observer";
  /** Follows and acknowledges, but is no voter of the configuration. */
  readonly voting: boolean;
  readonly remote: string;
  readonly phase: "discovery" | "synchronization" | "broadcast";
  /** Last zxid it acknowledged (a follower) or was sent (an observer). */
  readonly zxidAcked: number;
  /** Txns proposed and not acknowledged by it; 0 for an observer. */
  readonly lagTxns: number;
  /** Bytes to it that the kernel did not take yet. */
  readonly unsentBytes: number;
  readonly syncKind: SyncKind | null;
  readonly syncMs: number;
  readonly connectedMs: number;
  /** Since anything was heard of it. */
  readonly silentMs: number;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  /** Requests of its clients that it forwarded. */
  readonly requests: number;
  /** From a proposal to its ACK; empty for an observer. */
  readonly ackTimes: LatencySummary;
}

/** A member's part in the ensemble. Counts are since the start or the last `resetStats`. */
export interface EnsembleStatus {
  readonly sid: number;
  readonly role: "looking" | "leader" | "follower" | "observer";
  readonly phase: "election" | "discovery" | "synchronization" | "broadcast";
  /** How long role and phase have been what they are: while looking, how long it looks. */
  readonly phaseMs: number;
  /** Null while there is none. */
  readonly leader: number | null;
  /** Whom a learner hangs on: its leader, or the follower that serves this observer. Null elsewhere. */
  readonly master: number | null;
  readonly voters: readonly number[];
  readonly observers: readonly number[];
  readonly configText: string;
  readonly configVersion: number;
  readonly epochAccepted: number;
  readonly epochCurrent: number;
  readonly round: number;
  readonly zxidProposed: number;
  readonly zxidDurable: number;
  readonly zxidCommitted: number;
  readonly proposalsInFlight: number;
  /** On a leader, how long it has been serving; 0 elsewhere. */
  readonly leaderUptimeMs: number;
  /** Proposals a leader made, with their sizes in bytes: -1 before the first and where no leader is. */
  readonly proposals: number;
  readonly proposalBytesLast: number;
  readonly proposalBytesMin: number;
  readonly proposalBytesMax: number;
  /** Client syncs that wait for a quorum to answer. */
  readonly pendingSyncs: number;
  /** What a learner was sent. */
  readonly proposalsReceived: number;
  readonly commitsReceived: number;
  /** The last election: how long it took, and how many were begun. */
  readonly electionMsLast: number;
  readonly elections: number;
  /** Of those that were decided. */
  readonly electionTimes: LatencySummary;
  /** From the decision to serving. */
  readonly syncMsLast: number;
  readonly syncKindLast: SyncKind | null;
  readonly syncTimes: LatencySummary;
  /** From the end of serving to serving again. */
  readonly unavailableTimes: LatencySummary;
  /** On a leader, from a proposal to its quorum. */
  readonly quorumTimes: LatencySummary;
  readonly quorumPacketsReceived: number;
  readonly quorumPacketsSent: number;
  readonly forwarded: number;
  /** On a leader, and on a follower that serves observers; empty elsewhere. */
  readonly learners: readonly LearnerStatus[];
  /** On a leader: votes of quorum links that were turned away, and why they ended. */
  readonly learnersRefused: number;
  readonly snapSyncs: number;
  readonly diffSyncs: number;
}

/** What costs nothing to know: numbers alone. */
export interface PeerStatus {
  /** Null stands alone. */
  readonly ensemble: EnsembleStatus | null;
  readonly mode: ServingMode;
  readonly serving: boolean;
  readonly serverId: number;
  readonly zxidLast: number;
  readonly znodes: number;
  readonly ephemerals: number;
  readonly watches: number;
  readonly watchPaths: number;
  readonly watchConnections: number;
  /** Data and exists watches alone, as `wchs` counts. */
  readonly watchesData: number;
  readonly sessions: number;
  /** Those of them that have ephemerals. */
  readonly sessionsWithEphemerals: number;
  /** Bytes of paths and data. */
  readonly dataBytes: number;
  readonly connections: number;
  readonly outstanding: number;
  /** Bytes of replies and events that clients did not take yet. */
  readonly unsentBytes: number;
  /** Clients that were cut off because they did not read, or had most of too many watches. */
  readonly connectionsSlow: number;
  readonly connectionsWatching: number;
  readonly watchesRefused: number;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly uptimeMs: number;
  readonly latency: LatencySummary;
  /** Where the time of a request goes. */
  readonly stages: {
    readonly read: LatencySummary;
    readonly write: LatencySummary;
    /** From a proposal to its durable event. */
    readonly append: LatencySummary;
  };
  readonly requestsByOp: ReadonlyMap<string, number>;
  readonly events: { created: number; deleted: number; dataChanged: number; childrenChanged: number };
  readonly connectionsAccepted: number;
  readonly connectionsRejected: number;
  readonly connectionsDropped: number;
  readonly sessionlessExpired: number;
  readonly sessionsExpired: number;
  readonly authFailed: number;
  readonly commits: number;
  readonly responseBytesLast: number;
  readonly responseBytesMin: number;
  readonly responseBytesMax: number;
  readonly digest: bigint;
  readonly digestMismatches: number;
  /** Why what is here is not to be believed, in words. */
  readonly wrong: string | null;
  /** What of the data is in memory so far; null once all of it is. */
  readonly loading: { readonly znodes: number; readonly txns: number } | null;
}

/**
 * The lists: made only for the commands that show them, entry by entry. They may be of a million, so whoever
 * reads one lets the server work in between; what comes or goes meanwhile may be in it or not.
 */
export interface PeerStatusSource {
  status(): PeerStatus;
  connections(): Iterable<ConnectionStatus>;
  sessions(): Iterable<SessionStatus>;
  /** Session to the paths of its ephemerals. */
  ephemerals(): Iterable<readonly [SessionId, Iterable<string>]>;
  /** Session to the paths it watches (data and exists watches). */
  watchesBySession(): Iterable<readonly [SessionId, Iterable<string>]>;
  watchesByPath(): Iterable<readonly [string, readonly SessionId[]]>;
  /** Oldest first. */
  digests(): { readonly zxid: number; readonly digest: bigint }[];
  /** Quotas by top-level name, for the quota gauges: limits (-1 for none) and use. */
  quotas(): {
    readonly path: string;
    readonly countLimit: number;
    readonly bytesLimit: number;
    readonly count: number;
    readonly bytes: number;
  }[];
  resetStats(): void;
  resetConnectionStats(): void;
}
