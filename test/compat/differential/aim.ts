/**
 * Aim: what the makers of random requests share: the dice, what is known of the tree, small helpers.
 */
import type { Bytes, LoosePath } from "../../support/bodies.ts";
import type { Random } from "../../support/random.ts";
import type { Facts } from "./canonical.ts";
import type { Request } from "./step.ts";
import { pickPath, type WatchKind, watchRule } from "./vocabulary.ts";

export interface Aim {
  readonly random: Random;
  /** What the first server has answered so far. */
  readonly facts: Facts;
  /** Hard limits are set and enforced: then no bursts, for 3.8.0 does not count what is pending. */
  readonly quotaEnforced: boolean;
}

export function anyPath(aim: Aim): LoosePath {
  return pickPath(aim.random, aim.facts.sequential, aim.facts.alive);
}

export function pathInMulti(aim: Aim): LoosePath {
  // DIVERGENCES "a null path inside a multi or multiRead": 3.8.0 stumbles over it before it takes a zxid.
  return anyPath(aim) ?? "/a";
}

export function mayWatch(path: string | null, slot: number, kind: WatchKind): boolean {
  if (path === null) return false;
  const rule = watchRule(path);
  return rule.kind === kind && (rule.owner === -1 || rule.owner === slot);
}

export function make(op: number, xid: number, body: Bytes, path: string | null, text: string): Request {
  return { op, xid, body, path, subs: null, text };
}

export function showPath(path: LoosePath): string {
  if (path === null) return "null";
  return typeof path === "string"
    ? JSON.stringify(path).slice(1, -1)
    : `bytes ${[...path].map((b) => b.toString(16)).join(" ")}`;
}
