/**
 * Events: all that a peer is ever told.
 *
 * Time rides on each: `wallMs` is what a txn is stamped with, `monoMs` what deadlines are measured
 * by. A client's frame is the hot one; the shell makes one such object and reuses it.
 */
import type { Zxid } from "../base/zxid.ts";
import type { LogChunk } from "../zab/disk.ts";

export interface ClientFrame {
  readonly kind: "clientFrame";
  /** Number of the connection, as `Peer.open` gave it. */
  connection: number;
  /** The frame's payload, without its length, is `bytes[start, end)`. The peer may keep the array. */
  bytes: Uint8Array;
  start: number;
  end: number;
  wallMs: number;
  monoMs: number;
}

/** Bytes of a quorum link, `bytes[start, end)`, cut anywhere. The peer may keep the array. */
export interface LinkBytes {
  readonly kind: "linkBytes";
  link: number;
  bytes: Uint8Array;
  start: number;
  end: number;
  wallMs: number;
  monoMs: number;
}

interface Timed {
  readonly wallMs: number;
  readonly monoMs: number;
}

export type PeerEvent =
  | ClientFrame
  | LinkBytes
  /** A notification, without its length, from the election connection of that sid. */
  | (Timed & { readonly kind: "vote"; readonly from: number; readonly bytes: Uint8Array })
  /** There is an election connection to that sid now, or no longer. */
  | (Timed & { readonly kind: "voterUp"; readonly sid: number })
  | (Timed & { readonly kind: "voterDown"; readonly sid: number })
  | (Timed & { readonly kind: "linkClosed"; readonly link: number })
  /** All that was written to the link has left for the kernel; told when `link.wantsDrain` asks for it. */
  | (Timed & { readonly kind: "linkDrained"; readonly link: number })
  /** The disk command that was taken last is done. An append has `durable` instead. */
  | (Timed & { readonly kind: "stored" })
  | (Timed & { readonly kind: "logChunk"; readonly read: number; readonly chunk: LogChunk })
  | {
    readonly kind: "clientClosed";
    readonly connection: number;
    readonly wallMs: number;
    readonly monoMs: number;
  }
  /** The client took some of what it was sent: reads that waited for that go on. */
  | {
    readonly kind: "clientDrained";
    readonly connection: number;
    readonly wallMs: number;
    readonly monoMs: number;
  }
  | { readonly kind: "durable"; readonly last: Zxid; readonly wallMs: number; readonly monoMs: number }
  | { readonly kind: "tick"; readonly wallMs: number; readonly monoMs: number };
