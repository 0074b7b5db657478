/**
 * Sync plan: how a learner gets level with its leader. quorum-protocol 4.5.
 *
 * The learner told the last zxid of its log. If our history has that txn, the rest is sent (DIFF).
 * If it has more than we have and the surplus is of the same epoch as our end, it is cut (TRUNC):
 * txns of one epoch come from one leader in one order, so up to our end it has what we have. In all
 * other cases it gets the tree (SNAP). What is too old for memory is looked for in the log.
 */
import { counterOf, epochOf, type Zxid } from "../base/zxid.ts";
import type { Ledger } from "./ledger.ts";

export type SyncPlan =
  | { readonly kind: "diff" }
  | { readonly kind: "trunc"; readonly to: Zxid }
  | { readonly kind: "snap" }
  | { readonly kind: "log" };

/** `cut`: the end of what the learner is to have before it is told of a new leader. */
export function planSync(ledger: Ledger, zxidOwn: number, cut: Zxid): SyncPlan {
  if (zxidOwn === cut) return { kind: "diff" };
  if (!(zxidOwn >= 0)) return { kind: "snap" };
  const own = zxidOwn as Zxid;
  if (own > cut) {
    // `epoch << 32` is no txn: nobody can cut there, and what lies before it is not known.
    if (counterOf(own) === 0 || epochOf(own) !== epochOf(cut)) return { kind: "snap" };
    return { kind: "trunc", to: cut };
  }
  if (own < ledger.floor) return { kind: "log" };
  return ledger.has(own) ? { kind: "diff" } : { kind: "snap" };
}
