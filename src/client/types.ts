/**
 * What a user of the client hands in and is told: options, states, watch events.
 */
import type { ProcessPort, Runtime } from "../runtime/ports.ts";
import type { Acl, Stat } from "../core/wire/records.ts";

/** What of the runtime the client needs. */
export interface ClientRuntime extends Pick<Runtime, "tcp" | "clock"> {
  readonly process: Pick<ProcessPort, "randomU32">;
}

/**
 * ```
 * connecting ⇄ connected | connected-read-only      again and again, the session stays
 *      └──► expired | auth-failed | closed           for good
 * ```
 */
export type ClientState =
  | "connecting"
  | "connected"
  | "connected-read-only"
  | "expired"
  | "auth-failed"
  | "closed";

/** Types 1 to 4 come from the server (`EventType`); 5 to 7 the client makes when watches are removed. */
export const LocalEventType = {
  DataWatchRemoved: 5,
  ChildWatchRemoved: 6,
  PersistentWatchRemoved: 7,
} as const;

export interface WatchEvent {
  readonly type: number;
  readonly state: number;
  /** As the caller names it, without the chroot. */
  readonly path: string;
  /** Of the header: the txn's where the server tells it (3.9 and later), else -1. */
  readonly zxid: number;
}

export type WatchCall = (event: WatchEvent) => void;
/** True: a watch whose events go to `onEvent` alone. */
export type WatchChoice = boolean | WatchCall;

export interface SessionCredentials {
  readonly id: bigint;
  readonly password: Uint8Array;
  /** The highest zxid that the session has seen; a server behind it will not take the session. */
  readonly zxidSeen?: number;
}

export interface ClientOptions {
  /** `host:port[,host:port…][/chroot]` */
  readonly servers: string;
  /** Session timeout to ask for; the server may grant another. */
  readonly timeoutMs?: number;
  /** Content with a server that has no quorum and only reads. */
  readonly readOnly?: boolean;
  /** Goes on with a session of before. */
  readonly session?: SessionCredentials;
  /** Whether paths are checked before they are sent. Default true. */
  readonly checkPaths?: boolean;
  /** How long a request may wait for a connection. Default: the session timeout. */
  readonly queueMsMax?: number;
  /** Delay before the next round over all servers, at most. Default `reconnectMsMax`. */
  readonly reconnectMsMax?: number;
  /** Every watch event of the session, in order, whoever set the watch. */
  readonly onEvent?: WatchCall;
  readonly onState?: (state: ClientState) => void;
}

export interface CreateOptions {
  /** A `CreateMode`; persistent unless told. */
  readonly mode?: number;
  /** Open unless told. */
  readonly acls?: readonly Acl[] | null;
  /** For the two TTL modes. */
  readonly ttlMs?: number;
}

export interface Created {
  readonly path: string;
  readonly stat: Stat;
}

export interface DataAndStat {
  readonly data: Uint8Array | null;
  readonly stat: Stat;
}

/** A reply as it came, for those who compare bytes. */
export interface RawReply {
  readonly zxid: number;
  readonly err: number;
  readonly body: Uint8Array;
}
