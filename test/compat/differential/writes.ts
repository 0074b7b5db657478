/**
 * Writes: random creates of every kind, multis, their reading sister, and quotas.
 */
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { OpCode, opName } from "../../../src/core/wire/opcodes.ts";
import {
  createBody,
  multiBody,
  noBody,
  openAcl,
  pathNumberBody,
  pathWatchBody,
  setDataBody,
  type SubRequest,
} from "../../support/bodies.ts";
import { type Aim, anyPath, make, pathInMulti, showPath } from "./aim.ts";
import type { Request } from "./step.ts";
import { pickAcls, pickData, pickPlainPath, pickVersion } from "./vocabulary.ts";

/** DIVERGENCES "every quota above counts": none inside another. */
const quotaRoots = ["/a/b", "/b"];

/** A create of any kind; in a multi only what has the same meaning there. */
export function createRequest(aim: Aim, xid: number, inMulti: boolean): Request {
  const { random } = aim;
  const path = random.percent(70) ? pickPlainPath(random) : inMulti ? pathInMulti(aim) : anyPath(aim);
  const acls = pickAcls(random, 85);
  const data = pickData(random);
  const op = random.weighted<number>([
    [10, OpCode.Create],
    [7, OpCode.Create2],
    [2, OpCode.CreateContainer],
    [3, OpCode.CreateTtl],
  ]);
  let flags: number;
  let ttl: bigint | undefined;
  if (op === OpCode.CreateTtl) {
    ttl = random.pick([1n, 1000n, 3_600_000n, 3_600_000n, 0xff_ffff_ffffn, 0x100_0000_0000n, 0n, -1n, -5n]);
    flags = random.pick([5, 5, 5, 6]);
    // DIVERGENCES "createTTL with a flag that is no TTL's": with a negative ttl it kills 3.8.0, so only others are sent.
    if (!inMulti && random.percent(5)) {
      flags = random.pick([0, 1, 2, 3, 4, -1, 7]);
      ttl = random.pick([0n, 1n, 1000n]);
    }
  } else if (op === OpCode.CreateContainer) {
    // DIVERGENCES "flags must fit the operation": 19 with 0-3 makes a container there.
    flags = random.percent(95) ? 4 : random.pick([5, 6, -1, 7]);
  } else {
    flags = random.pick([0, 0, 0, 0, 1, 1, 2, 2, 3]);
    // DIVERGENCES "flags must fit the operation": 1 and 15 with 4 is left out.
    if (random.percent(3)) flags = random.pick([5, 6, -1, 7, 100]);
  }
  // DIVERGENCES "wrong create flags inside a multi": 3.8.0 looks when the operation's turn has come.
  if (inMulti && op !== OpCode.CreateTtl && (flags < 0 || flags > 4)) {
    flags = op === OpCode.CreateContainer ? 4 : 0;
  }
  // DIVERGENCES "a null path in a create": 3.8.0 looks at the flags first.
  if (path === null) {
    flags = op === OpCode.CreateTtl ? 5 : op === OpCode.CreateContainer ? 4 : 0;
    ttl = ttl === undefined ? undefined : 1000n;
  }
  const text = `${opName(op)} ${showPath(path)} flags ${flags}${ttl === undefined ? "" : ` ttl ${ttl}`}` +
    (acls === openAcl ? "" : ` ${JSON.stringify(acls)}`);
  const known = typeof path === "string" ? path : null;
  return make(op, xid, createBody(path, data, flags, acls, ttl), known, text);
}

export function multiRequest(aim: Aim, xid: number): Request {
  const { random } = aim;
  const subs: SubRequest[] = [];
  const texts: string[] = [];
  const count = random.pick([0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 12]);
  // Half of them are made to succeed as far as one can know; the others mostly fail somewhere.
  const likely = random.percent(50);
  for (let i = 0; i < count; i++) {
    const path = likely && aim.facts.alive.size > 0 ? random.pick([...aim.facts.alive]) : pathInMulti(aim);
    const current = typeof path === "string" ? aim.facts.versions.get(path) : undefined;
    const version = likely || random.percent(60) ? -1 : pickVersion(random, current?.version);
    if (likely && random.percent(40)) {
      const flags = random.pick([2, 3]);
      subs.push({
        op: random.pick([OpCode.Create, OpCode.Create2]),
        body: createBody(path, pickData(random), flags),
      });
      texts.push(`create ${showPath(path)} flags ${flags}`);
      continue;
    }
    switch (random.below(5)) {
      case 0:
      case 1: {
        const create = createRequest(aim, xid, true);
        subs.push({ op: create.op, body: create.body });
        texts.push(create.text);
        break;
      }
      case 2:
        subs.push({ op: OpCode.Delete, body: pathNumberBody(path, version) });
        texts.push(`delete ${showPath(path)} v${version}`);
        break;
      case 3:
        subs.push({ op: OpCode.SetData, body: setDataBody(path, pickData(random), version) });
        texts.push(`setData ${showPath(path)} v${version}`);
        break;
      default:
        subs.push({ op: OpCode.Check, body: pathNumberBody(path, version) });
        texts.push(`check ${showPath(path)} v${version}`);
    }
  }
  if (random.percent(2)) {
    const op = random.pick([3, 7, 8, 4, 9, 11, 14, 16, 22, 99, -1, 0]);
    subs.splice(random.below(subs.length + 1), 0, { op, body: pathWatchBody("/a", false) });
    texts.push(`and ${opName(op)}`);
  }
  return {
    ...make(OpCode.Multi, xid, multiBody(subs), null, `multi [${texts.join(", ")}]`),
    subs: subs.map((sub) => sub.op),
  };
}

export function multiReadRequest(aim: Aim, xid: number): Request {
  const { random } = aim;
  const subs: SubRequest[] = [];
  const texts: string[] = [];
  const count = random.below(6);
  for (let i = 0; i < count; i++) {
    const path = pathInMulti(aim);
    const op = random.pick([OpCode.GetData, OpCode.GetChildren]);
    subs.push({ op, body: pathWatchBody(path, random.percent(30)) });
    texts.push(`${opName(op)} ${showPath(path)}`);
  }
  if (random.percent(3)) {
    const odd: SubRequest = random.pick([
      { op: OpCode.Delete, body: pathNumberBody("/a", -1) },
      { op: OpCode.Exists, body: pathWatchBody("/a", false) },
      { op: 99, body: noBody },
    ]);
    subs.push(odd);
    texts.push(`and ${opName(odd.op)}`);
  }
  const request = make(OpCode.MultiRead, xid, multiBody(subs), null, `multiRead [${texts.join(", ")}]`);
  return { ...request, subs: subs.map((sub) => sub.op) };
}

/** Limits and statistics of a quota, always well formed: server-semantics 7. */
export function quotaRequest(aim: Aim, xid: number): Request {
  const { random } = aim;
  const root = aim.quotaEnforced ? "/a" : random.pick(quotaRoots);
  const steps: string[] = [];
  let at = "/zookeeper/quota";
  for (const name of root.slice(1).split("/")) steps.push(at += `/${name}`);
  const limits = `${at}/zookeeper_limits`;
  const stats = `${at}/zookeeper_stats`;
  const numbers = `count=${random.below(12) - 1},bytes=${random.below(400) - 1}`;
  const hard = random.percent(60)
    ? `=;byteHardLimit=${random.below(500) - 1};countHardLimit=${random.below(15) - 1}`
    : "";
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2: {
      const path = random.pick(steps);
      return make(OpCode.Create, xid, createBody(path, null), path, `create ${path}`);
    }
    case 3:
    case 4:
      return make(
        OpCode.Create2,
        xid,
        createBody(limits, bytesOf(numbers + hard)),
        limits,
        `create2 ${limits} ${numbers}${hard}`,
      );
    case 5:
    case 6: {
      const text = "count=0,bytes=0";
      return make(OpCode.Create, xid, createBody(stats, bytesOf(text)), stats, `create ${stats} ${text}`);
    }
    case 7:
      return make(
        OpCode.SetData,
        xid,
        setDataBody(limits, bytesOf(numbers + hard), -1),
        limits,
        `setData ${limits} ${numbers}${hard}`,
      );
    case 8: {
      // DIVERGENCES "quota statistics": once they were gone and came back, the original enforces a wrong sum.
      const path = aim.quotaEnforced ? at : random.pick([limits, stats, at]);
      return make(OpCode.Delete, xid, pathNumberBody(path, -1), path, `delete ${path}`);
    }
    default:
      return make(OpCode.GetData, xid, pathWatchBody(stats, false), stats, `getData ${stats}`);
  }
}
