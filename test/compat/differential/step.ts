/**
 * Step: one thing done to both servers alike.
 */
import type { Bytes } from "../../support/bodies.ts";

export interface Request {
  readonly op: number;
  readonly xid: number;
  readonly body: Bytes;
  /** What it is about, where a Stat in the reply belongs to one path. */
  readonly path: string | null;
  /** For multi and multiRead: the operations inside, which the reply alone does not tell. */
  readonly subs: readonly number[] | null;
  /** For a person. */
  readonly text: string;
}

export type ReattachVariant =
  /** Cut the connection, take the session up again. */
  | "drop"
  /** Take it up while the old connection lives: that one is closed. */
  | "takeover"
  /** Cut, then try with a wrong password, then rightly. */
  | "wrong password"
  /** Cut, then ask for a session that never was, then rightly. */
  | "unknown session"
  /** Cut, claim to have seen the future (closed without a word), then rightly. */
  | "future zxid"
  /** Cut, and come back without the readOnly byte. */
  | "no readOnly byte";

export type Step =
  /** All frames in one write; compared when every one has its reply or the connection is closed. */
  | { readonly kind: "requests"; readonly slot: number; readonly requests: readonly Request[] }
  /** closeSession, the end of the connection, a new session in the same slot. */
  | {
    readonly kind: "renew";
    readonly slot: number;
    readonly timeoutMs: number;
    readonly passwordSent: boolean;
  }
  | {
    readonly kind: "reattach";
    readonly slot: number;
    readonly variant: ReattachVariant;
    readonly timeoutMs: number;
  }
  /** Bytes that are no frame, or no request: both must close the connection without a word. */
  | { readonly kind: "raw"; readonly slot: number; readonly bytes: Bytes; readonly text: string };

export function stepText(step: Step): string {
  switch (step.kind) {
    case "requests":
      return `slot ${step.slot}: ${step.requests.map((request) => request.text).join(" | ")}`;
    case "renew":
      return `slot ${step.slot}: close the session, open another (timeout ${step.timeoutMs})`;
    case "reattach":
      return `slot ${step.slot}: reattach, ${step.variant} (timeout ${step.timeoutMs})`;
    case "raw":
      return `slot ${step.slot}: ${step.text}`;
  }
}
