/**
 * Disk commands: all that a peer ever asks of its disk, one at a time.
 *
 * `peer.takeDisk()` gives the next one; the shell carries it out and tells `durable` (for an append)
 * or `stored` (for all others) when its effect would survive a power cut. Only then is the next one
 * taken, so the order in which they were asked for is the order on the disk.
 */
import type { Zxid } from "../base/zxid.ts";

export type DiskCommand =
  /** `bytes`: repeated `i32 length, txn`. What is committed rides along, for the next start. */
  | {
    readonly kind: "append";
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly first: Zxid;
    readonly last: Zxid;
    readonly txns: number;
    readonly committed: Zxid;
  }
  /** The two promises of the protocol: the highest epoch accepted, and that of the last leader followed. */
  | { readonly kind: "epochs"; readonly accepted: number; readonly current: number }
  /** Every txn behind `after` leaves the log. Never below what is committed. */
  | { readonly kind: "truncate"; readonly after: Zxid }
  /**
   * A snapshot replaces table and log: begin, rows (layout of `RecoverySink.rows`), sessions (triples
   * of id's high half, low half, timeout), end. Until `replaceEnd` is stored the old ones are what a
   * new start finds; after it the new ones. A second `replaceBegin` drops what the first had begun.
   * `tail` is the first batch of the new log, and there in the same moment: a log that went further
   * than the snapshot may hold what is committed, and must not be without it for an instant.
   */
  | { readonly kind: "replaceBegin" }
  | { readonly kind: "replaceRows"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "replaceSessions"; readonly list: Int32Array<ArrayBuffer> }
  | { readonly kind: "replaceEnd"; readonly zxid: Zxid; readonly tail?: LogTail | null }
  /** Memory is to be filled again from the disk, through `peer.reloader()`; `stored` when that is done. */
  | { readonly kind: "reload" };

/** As in an append. */
export interface LogTail {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly first: Zxid;
  readonly last: Zxid;
  readonly txns: number;
  readonly committed: Zxid;
}

/** What the core asks to read of its own log, for a learner that was away longer than memory reaches. */
export interface LogRead {
  /** Names the read; its chunk is told under the same number. */
  readonly read: number;
  /** The txns behind this zxid are wanted, up to `upTo`. */
  readonly after: Zxid;
  readonly upTo: Zxid;
}

export interface LogChunk {
  /**
   * Where `after` stands: `exact`, the log has that txn or begins right behind it; `between`, it has
   * none with that zxid but one before and one behind it; `missing`, it does not reach back so far.
   */
  readonly found: "exact" | "between" | "missing";
  /** With `between`: the last txn before `after`. */
  readonly previous: Zxid;
  /** About a megabyte of txns behind `after` in the layout of an append; empty when there are none. */
  readonly bytes: Uint8Array;
  /** Of the last txn in `bytes`; `after` when empty. */
  readonly last: Zxid;
  /** Bytes of the log behind `after`, about. */
  readonly bytesBehind: number;
}
