/**
 * Events: all that a peer is ever told.
 *
 * Time rides on each: `wallMs` is what a txn is stamped with, `monoMs` what deadlines are measured
 * by. A client's frame is the hot one; the shell makes one such object and reuses it.
 */
import type { Zxid } from "../base/zxid.ts";

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

export type PeerEvent =
  | ClientFrame
  | {
    readonly kind: "clientClosed";
    readonly connection: number;
    readonly wallMs: number;
    readonly monoMs: number;
  }
  | { readonly kind: "durable"; readonly last: Zxid; readonly wallMs: number; readonly monoMs: number }
  | { readonly kind: "tick"; readonly wallMs: number; readonly monoMs: number };
