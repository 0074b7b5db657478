/**
 * Messages between the main thread and the storage worker. Bytes always move, they are never copied.
 */
import type { DiskCommand } from "../core/zab/disk.ts";
import type { LogPiece } from "./log_reader.ts";
import type { StorageErrorCode, StorageOptions, TreeDigest } from "./storage.ts";

export type StoredCommand = Exclude<DiskCommand, { kind: "append" | "reload" }>;

export type ToWorker =
  | { readonly kind: "open"; readonly options: StorageOptions }
  /** A chunk of the recovery was taken: one more may come. */
  | { readonly kind: "taken" }
  /** The rows make no tree. */
  | { readonly kind: "refused"; readonly reason: string }
  | {
    readonly kind: "append";
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly first: number;
    readonly last: number;
    readonly txns: number;
    readonly committed: number;
  }
  | { readonly kind: "committed"; readonly zxid: number }
  | { readonly kind: "execute"; readonly command: StoredCommand }
  /** All that the files hold, once more. */
  | { readonly kind: "reload" }
  | { readonly kind: "readLog"; readonly read: number; readonly after: number; readonly upTo: number }
  | { readonly kind: "close" };

export type FromWorker =
  | { readonly kind: "rows"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Triples of id's high half, low half, timeout. */
  | { readonly kind: "sessions"; readonly list: Int32Array<ArrayBuffer> }
  /** What was told so far is void: the files were damaged, and all comes again. */
  | { readonly kind: "again" }
  | {
    readonly kind: "treeComplete";
    readonly zxid: number;
    readonly committed: number;
    readonly digest: TreeDigest | null;
  }
  | { readonly kind: "batch"; readonly bytes: Uint8Array<ArrayBuffer> }
  | {
    readonly kind: "recovered";
    readonly zxidLast: number;
    readonly zxidTree: number;
    readonly zxidCommitted: number;
    readonly epochAccepted: number;
    readonly epochCurrent: number;
    readonly txnsReplayed: number;
    readonly znodes: number;
    readonly notes: readonly string[];
    readonly lacks?: string | null;
  }
  | { readonly kind: "durable"; readonly last: number; readonly ms: number }
  | { readonly kind: "stored" }
  | { readonly kind: "logPiece"; readonly read: number; readonly piece: LogPiece }
  | { readonly kind: "stats"; readonly stats: WorkerStats }
  /** An operator should read it; nothing ends. */
  | { readonly kind: "note"; readonly message: string }
  | { readonly kind: "failed"; readonly code: StorageErrorCode; readonly message: string }
  | { readonly kind: "closed" };

export interface WorkerStats {
  readonly logBytes: number;
  readonly treeBytes: number;
  readonly zxidTree: number;
  readonly zxidLogFirst: number;
  readonly checkpoints: number;
  readonly checkpointMsLast: number;
  readonly checkpointAtMs: number;
}

/** Chunks of a recovery that may be on their way at once: about so many megabytes. */
export const chunksUnderWayMax = 8;
