/**
 * Quotas: what statistics must say, and what a hard limit lets through.
 *
 * A znode of statistics always says what a recount says; nobody writes that by a txn. Whoever judges
 * a write sees the limits that are applied, and counts what is in flight; so a limit that changed a
 * moment ago may hold or not.
 */
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { hex, hold } from "../violation.ts";
import type { Model } from "./model.ts";

export const quotaRoot = "/zookeeper/quota";
/** More proposals are never in flight. */
const inFlightMax = 64;

const decided = { yes: 1, no: 2 } as const;

/** Was this write, the one txn at `zxid`, rightly let through or refused for its quota? */
export function checkQuota(
  where: () => string,
  model: Model,
  path: string,
  err: number,
  zxid: number,
  count: number,
  size: number,
): void {
  let answers: number = decided.yes;
  let isSure = true;
  for (let cut = path.length; cut > 0; cut = path.lastIndexOf("/", cut - 1)) {
    const found = answersAt(model, path.slice(0, cut), zxid - 1, count, size);
    // Each of them may refuse, and all must agree to let it through.
    if (found === decided.no) answers = decided.no;
    else if (found !== decided.yes) isSure = false;
  }
  if (!isSure && answers === decided.yes) return;
  hold(
    (err === ErrorCode.QuotaExceeded) === (answers === decided.no),
    "hard limits hold",
    () => `${where()}: it adds ${count} and ${size} bytes to ${path} at ${hex(zxid)}`,
  );
}

/** `yes`, `no`, or both where the limits changed so late that either is right. */
function answersAt(model: Model, subject: string, zxid: number, count: number, size: number): number {
  const limits = `${quotaRoot}${subject}/zookeeper_limits`;
  const stats = `${quotaRoot}${subject}/zookeeper_stats`;
  if (model.now(limits).zxid === 0 || model.now(stats).zxid === 0) return decided.yes;
  const used = model.usage(subject, zxid);
  let answers = 0;
  for (let at = zxid; at >= zxid - inFlightMax; at--) {
    const text = model.as(limits, at).data;
    const isOn = text !== null && model.as(stats, at).exists;
    const no = isOn &&
      ((count > 0 && used.count + count > numberIn(text, "countHardLimit")) ||
        (size !== 0 && used.bytes + size > numberIn(text, "byteHardLimit")));
    answers |= no ? decided.no : decided.yes;
  }
  return answers;
}

function numberIn(text: string, key: string): number {
  return Number(text.match(`${key}=(\\d+)`)?.[1] ?? Infinity);
}
