/**
 * Wing and Gong: the dumb way to check a history, for small ones: try every order.
 *
 * An operation may come next when nothing that is left had ended before it began. The znode is its
 * version and its value; an operation that does not fit what they are cannot come next. Those with an
 * unknown outcome may come at any time after they began, or never. Exponential, so it is only held
 * against the quick checker on histories of a dozen operations.
 */
import { firstValue, type RegisterOp } from "./register_check.ts";

export function isLinearizable(ops: readonly RegisterOp[]): boolean {
  return search(ops.filter((op) => op.kind !== "peek"), 0, firstValue);
}

function search(left: readonly RegisterOp[], version: number, value: string): boolean {
  const due = left.filter((op) => op.outcome !== "unknown");
  if (due.length === 0) return true;
  const endsFirst = Math.min(...due.map((op) => op.returned));
  for (const op of left) {
    if (op.called > endsFirst) continue;
    const rest = left.filter((other) => other !== op);
    if (op.kind === "read") {
      // One that was never answered says nothing.
      if (op.outcome === "unknown" ? false : op.version !== version || op.value !== value) continue;
      if (search(rest, version, value)) return true;
      continue;
    }
    const fits = op.expected === null || op.expected === version;
    if (op.outcome === "refused") {
      if (!fits && search(rest, version, value)) return true;
      continue;
    }
    if (!fits || (op.outcome === "ok" && op.version !== version + 1)) continue;
    if (search(rest, version + 1, op.value)) return true;
  }
  return false;
}
