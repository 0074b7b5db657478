/**
 * Watch requests: watches added, asked for, removed and brought back, within what `watchRule` allows.
 */
import { OpCode, opName } from "../../../src/core/wire/opcodes.ts";
import { pathNumberBody, setWatchesBody } from "../../support/bodies.ts";
import { type Aim, make, mayWatch } from "./aim.ts";
import type { Request } from "./step.ts";
import { pickPlainPath, type WatchKind, watchRule } from "./vocabulary.ts";

export function addWatchRequest(aim: Aim, slot: number, xid: number): Request {
  const { random } = aim;
  for (let i = 0; i < 20; i++) {
    const path = random.percent(10)
      ? random.pick(["/", "/zookeeper", "relative", "/a/", "/never"])
      : pickPlainPath(random);
    const mode = random.below(2);
    if (!mayWatch(path, slot, mode === 0 ? "persistent" : "recursive")) continue;
    return make(OpCode.AddWatch, xid, pathNumberBody(path, mode), path, `addWatch ${path} mode ${mode}`);
  }
  const mode = random.pick([2, -1, 100]);
  return make(OpCode.AddWatch, xid, pathNumberBody("/a", mode), null, `addWatch /a mode ${mode}`);
}

export function checkWatchesRequest(aim: Aim, slot: number, xid: number, op: number): Request {
  const { random } = aim;
  for (let i = 0; i < 20; i++) {
    const path = pickPlainPath(random);
    const rule = watchRule(path);
    if (rule.owner !== slot) continue;
    // DIVERGENCES "watch modes coexist": types 1 and 2 mean standard watches only, so the others are asked for with 3.
    const type = rule.kind === "standard" ? random.pick([1, 2, 3]) : 3;
    return make(op, xid, pathNumberBody(path, type), path, `${opName(op)} ${path} type ${type}`);
  }
  // DIVERGENCES "watcher types 4 and 5": unknown to 3.8.0.
  const type = random.pick([0, 6, -1, 99]);
  return make(op, xid, pathNumberBody("/a", type), null, `${opName(op)} /a type ${type}`);
}

export function setWatchesRequest(aim: Aim, slot: number, xid: number): Request {
  const { random } = aim;
  const listOf = (kind: WatchKind): string[] => {
    const list: string[] = [];
    for (let i = random.below(6); i > 0; i--) {
      const path = pickPlainPath(random);
      if (mayWatch(path, slot, kind)) list.push(path);
    }
    return list;
  };
  const last = aim.facts.zxidLast;
  const relative = BigInt(random.pick([0, 1, last, Math.max(0, last - random.below(100)), last + 1000]));
  const second = random.percent(50);
  const lists: (string[] | null)[] = [listOf("standard"), listOf("standard"), listOf("standard")];
  if (second) lists.push(listOf("persistent"), listOf("recursive"));
  // DIVERGENCES "setWatches with a null list": 3.8.0 works through the lists before it.
  if (random.percent(4)) {
    lists.fill([]);
    lists[random.below(lists.length)] = null;
  }
  const op = second ? OpCode.SetWatches2 : OpCode.SetWatches;
  const text = `${opName(op)} since ${relative} ${JSON.stringify(lists)}`;
  return make(op, random.percent(80) ? -8 : xid, setWatchesBody(relative, lists), null, text);
}
