/**
 * Voter: what the election links know of one other server, whether it is a member or a stranger.
 */
import type { Address } from "./address.ts";
import { Backoff } from "./backoff.ts";
import type { Dial } from "./dial.ts";
import type { ElectionLine } from "./election_line.ts";

export class Voter {
  readonly sid: number;
  readonly addresses: readonly Address[];
  readonly member: boolean;
  /** Where the last knock said to call back. */
  told: readonly Address[] | null = null;
  line: ElectionLine | null = null;
  dial: Dial | null = null;
  dialSinceMs = 0;
  dialNotBeforeMs = 0;
  wishedUntilMs = 0;
  cancelTimer: (() => void) | null = null;
  readonly refusals = new Backoff(20, 1000);
  readonly knocks = new Backoff(250, 2000);
  /** Framed, not sent yet. */
  slot: Uint8Array | null = null;
  /** Framed, the last one sent. */
  last: Uint8Array | null = null;
  /** When the first vote went out that nothing has come back since; Infinity when there is none. */
  unansweredSinceMs = Infinity;
  failures = 0;
  failureNotedMs = 0;

  constructor(sid: number, addresses: readonly Address[], member: boolean) {
    this.sid = sid;
    this.addresses = addresses;
    this.member = member;
  }
}

/** A notification behind its length. */
export function framed(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  const frame = new Uint8Array(4 + length);
  frame[0] = length >>> 24;
  frame[1] = length >>> 16;
  frame[2] = length >>> 8;
  frame[3] = length;
  frame.set(bytes, 4);
  return frame;
}
