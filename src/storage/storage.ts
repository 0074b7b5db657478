/**
 * Storage: what the server sees of the disk.
 *
 * The whole of it runs in one worker thread, the only one that opens the files for writing. The main
 * thread appends batches and hears when they are durable; it never waits for the disk.
 */
import type { Zxid } from "../core/base/zxid.ts";
import type { DiskCommand, LogChunk } from "../core/zab/disk.ts";

/** `full`: an fsync of the log before each `durable`. `off`: none, for clusters that may be thrown away. */
export type SyncMode = "full" | "off";

export interface StorageOptions {
  /** Holds `tree.db`. Made when it is not there. */
  readonly dataDir: string;
  /** Holds `log.db`. Often the same. */
  readonly dataLogDir: string;
  readonly sync: SyncMode;
  /** Txns that the log keeps behind the tree table, for learners that were away. */
  readonly logRetainTxns: number;
  /** And for how long at most, in ms; 0 is for ever. */
  readonly logRetainMs: number;
  /** Refuse to make a database where there is none. */
  readonly mustExist: boolean;
  /**
   * Sid of the member that these files belong to; null stands alone. Noted in the log when first
   * given; other than what is noted there, the directory is refused as `foreign`.
   */
  readonly serverId?: number | null;
  /** Other members hold what is here: what is damaged is taken from them. */
  readonly hasPeers?: boolean;
}

/** The tree's digest (server-semantics 10.9), in halves. */
export interface TreeDigest {
  readonly hi: number;
  readonly lo: number;
}

/** One znode row of the tree table, as recovery hands it over. Parents come before their children. */
export interface RecoverySink {
  /**
   * Rows of the tree table, packed: per row
   * `i32 pathBytes, path, i32 dataBytes (-1 null), data, i64 czxid, mzxid, ctime, mtime,
   * i32 version, cversion, aversion, i64 ephemeralOwner, i64 pzxid, i32 aclBytes, acls vector`
   * where an `aclBytes` of 0 is the open ACL. cversion is the stored one (creations only).
   */
  rows(bytes: Uint8Array): void;
  session(idHi: number, idLo: number, timeoutMs: number): void;
  /**
   * All rows are there; they are the tree as of this zxid, with that digest where it is known. The batches that follow were committed up
   * to `committed` (never below `zxid`) for all that the disk knows; what lies behind it may yet be
   * truncated by a leader.
   */
  treeComplete(zxid: Zxid, committed: Zxid, digest?: TreeDigest | null): void;
  /** What was told so far is void: the files were damaged, and all comes again from the beginning. */
  again?(): void;
  /** A batch of the log behind it, in order: repeated `i32 length, txn`. */
  batch(bytes: Uint8Array): void;
}

export interface Recovered {
  /** The last zxid of the log (or of the table when the log holds none); 0 for a fresh directory. */
  readonly zxidLast: Zxid;
  readonly zxidTree: Zxid;
  /** Known to be committed when the last batch was appended; at least `zxidTree`. */
  readonly zxidCommitted: Zxid;
  /** As stored; where nothing was ever stored, the epoch of `zxidLast`. */
  readonly epochAccepted: number;
  readonly epochCurrent: number;
  readonly txnsReplayed: number;
  readonly znodes: number;
  readonly tookMs: number;
  /** Anything an operator should read: a torn tail that was cut, a half-made file that was replaced. */
  readonly notes: readonly string[];
  /**
   * Why this member has less than it ever acknowledged, until a leader that others elected has given it
   * all; null where nothing is missing. Its log must not count as its word in an election.
   */
  readonly lacks?: string | null;
}

export interface StorageStats {
  readonly logBytes: number;
  readonly treeBytes: number;
  readonly zxidTree: Zxid;
  readonly zxidLogFirst: Zxid;
  /** Since start: transactions of SQLite, txns in them, and the time of each with its fsync, in ms. */
  readonly commits: number;
  readonly txns: number;
  readonly commitMsTotal: number;
  readonly commitMsMax: number;
  readonly checkpoints: number;
  readonly checkpointMsLast: number;
  /** Wall time of the last complete checkpoint of the tree table; 0 for none. */
  readonly checkpointAtMs: number;
}

/** A fault of the disk or of what is on it. `message` says what was tried, what was found and what to do. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly code: StorageErrorCode;
  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type StorageErrorCode =
  | "locked" // another process has this directory
  | "foreign" // a file that is not ours
  | "damaged" // ours, but not as it was written
  | "full" // no room
  | "io" // a failed write or fsync
  | "access"; // no permission, or not a directory

export interface Storage {
  /** Opens or makes the files and tells the sink all that they hold. Once, first. */
  recover(sink: RecoverySink): Promise<Recovered>;
  /**
   * Appends one batch, `repeated i32 length, txn`, in one transaction. The bytes move to the worker.
   * One batch at a time: the next only after `onDurable` for this one.
   */
  append(batch: Uint8Array<ArrayBuffer>, first: Zxid, last: Zxid, txns: number, committed?: Zxid): void;
  /** Carries out any command but append and reload; `onStored` follows. Never two commands at once. */
  execute(command: Exclude<DiskCommand, { kind: "append" | "reload" }>): void;
  /** As `recover`, once more, from what the files hold now. */
  reload(sink: RecoverySink): Promise<Recovered>;
  /** Reads the log for a learner, beside appends and without making them wait for more than a millisecond or two. */
  readLog(after: Zxid, upTo: Zxid): Promise<LogChunk>;
  /** The tree table may follow the log up to here; it does so at leisure. */
  committed(zxid: Zxid): void;
  stats(): StorageStats;
  /** Lets the table catch up with what is committed, then closes the files. */
  close(): Promise<void>;
  onDurable: (last: Zxid) => void;
  onStored: () => void;
  /** Something was found damaged and is made good. */
  onNote: (message: string) => void;
  /** After this nothing is durable any more, and the process has to end. */
  onFailure: (error: StorageError) => void;
}
