/**
 * Hostile frames: requests that no client would send, from a seed.
 *
 * Each has a length and a header, so the server has to read on and answer; what ends a connection
 * before that is in hostile_connections.ts. The znodes they can make have few names, so that what
 * grows in the server is the server's own doing.
 */
import { bytesOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { frameBytesMax } from "../../src/core/base/limits.ts";
import {
  authBody,
  type Bytes,
  bytesOfRecord,
  createBody,
  type LoosePath,
  multiBody,
  openAcl,
  pathBody,
  pathNumberBody,
  pathWatchBody,
  requestFrame,
  setAclBody,
  setDataBody,
  setWatchesBody,
  type SubRequest,
} from "../support/bodies.ts";
import type { Random } from "../support/random.ts";
import { oddPaths, pickAcls } from "../compat/differential/vocabulary.ts";

export interface HostileFrame {
  readonly bytes: Bytes;
  /** It may end the connection, answered or not. */
  readonly mayClose: boolean;
}

export const fuzzRoot = "/fuzz";
const names = ["a", "b", "c", "d", "e", "f", "g", "h"];

const knownOps: readonly number[] = [
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  9,
  11,
  12,
  14,
  15,
  16,
  17,
  18,
  19,
  21,
  22,
  101,
  103,
  104,
  105,
  106,
  107,
];
const closingOps: readonly number[] = [
  0,
  -1,
  -10,
  10,
  13,
  20,
  23,
  99,
  102,
  108,
  255,
  65536,
  -2147483648,
  2147483647,
];
const absurdNumbers: readonly number[] = [
  -1,
  -2,
  0,
  1,
  0x7f,
  0xff,
  0xffff,
  0xfffff,
  0x100000,
  0x7fffffff,
  -0x80000000,
  0x7ffffff0,
];

function pickPath(random: Random): LoosePath {
  const kind = random.below(20);
  if (kind < 12) {
    return `${fuzzRoot}/${random.pick(names)}${random.percent(40) ? `/${random.pick(names)}` : ""}`;
  }
  if (kind < 18) return random.pick(oddPaths);
  if (kind === 18) return random.bytes(random.below(40));
  return fuzzRoot;
}

/** A right request, to be bent. Only flags 0 and 1 here: sequential names would be without end. */
function soundBody(random: Random, op: number): Bytes {
  const path = pickPath(random);
  switch (op) {
    case OpCode.Create:
    case OpCode.Create2:
      return createBody(path, random.bytes(random.below(80)), random.pick([0, 1]), pickAcls(random, 60));
    case OpCode.CreateContainer:
      return createBody(path, null, 4, pickAcls(random, 60));
    case OpCode.CreateTtl:
      return createBody(
        path,
        null,
        random.pick([5, 5, 0, 1, -1, 99]),
        openAcl,
        random.pick([1n, -1n, 0n, 1n << 62n, -(1n << 63n)]),
      );
    case OpCode.SetData:
      return setDataBody(path, random.bytes(random.below(80)), random.pick(absurdNumbers));
    case OpCode.SetAcl:
      return setAclBody(path, pickAcls(random, 60), random.pick(absurdNumbers));
    case OpCode.Delete:
    case OpCode.CheckWatches:
    case OpCode.RemoveWatches:
    case OpCode.AddWatch:
      return pathNumberBody(path, random.percent(50) ? random.below(6) : random.pick(absurdNumbers));
    case OpCode.Multi:
    case OpCode.MultiRead:
      return multiBody(soundSubs(random, op === OpCode.MultiRead));
    case OpCode.SetWatches:
      return setWatchesBody(BigInt(random.below(100)), [["/fuzz/a"], [], ["/fuzz"]]);
    case OpCode.SetWatches2:
      return setWatchesBody(BigInt(random.below(100)), [["/fuzz/a"], [], ["/fuzz"], [], ["/fuzz/b"]]);
    case OpCode.Reconfig:
      return bytesOfRecord((w) => {
        w.string(random.pick([null, "", "server.1=x", ",".repeat(1000)]));
        w.string(null);
        w.string(null);
        w.i64(-1n);
      });
    case OpCode.GetAcl:
    case OpCode.Sync:
    case OpCode.GetEphemerals:
    case OpCode.GetAllChildrenNumber:
      return pathBody(path);
    default:
      return pathWatchBody(path, random.percent(50));
  }
}

function soundSubs(random: Random, reads: boolean): SubRequest[] {
  const subs: SubRequest[] = [];
  for (let i = random.below(8); i >= 0; i--) {
    const op = reads ? random.pick([OpCode.GetData, OpCode.GetChildren]) : random.pick([1, 15, 2, 5, 13, 19]);
    subs.push({
      op,
      body: op === OpCode.Check ? pathNumberBody(pickPath(random), 0) : soundBody(random, op),
    });
  }
  return subs;
}

/** Overwrites, cuts, doubles or lengthens. */
function bend(random: Random, body: Bytes): Bytes {
  const bent = body.slice();
  switch (random.below(6)) {
    case 0:
      return bent.slice(0, random.below(bent.length + 1));
    case 1:
      for (let i = 1 + random.below(4); i > 0 && bent.length > 0; i--) {
        bent[random.below(bent.length)] = random.below(256);
      }
      return bent;
    case 2:
    case 3: {
      // A number somewhere on a boundary of four, often a length or a count.
      if (bent.length < 4) return bent;
      const at = random.percent(70) ? random.below(bent.length >> 2) * 4 : random.below(bent.length - 3);
      new DataView(bent.buffer).setInt32(at, random.pick(absurdNumbers));
      return bent;
    }
    case 4: {
      const joined = new Uint8Array(bent.length * 2);
      joined.set(bent);
      joined.set(bent, bent.length);
      return joined;
    }
    default: {
      const longer = new Uint8Array(bent.length + random.below(200));
      longer.set(bent);
      return longer;
    }
  }
}

/** Vectors that claim more than they hold. */
function absurdVector(random: Random, xid: number): Bytes {
  const count = random.pick([0x7fffffff, 0x10000000, 1 << 20, -2, -0x80000000, 100_000]);
  switch (random.below(4)) {
    case 0:
      return requestFrame(
        xid,
        OpCode.SetWatches,
        bytesOfRecord((w) => {
          w.i64(0n);
          w.i32(count);
          w.string("/fuzz/a");
        }),
      );
    case 1:
      return requestFrame(
        xid,
        OpCode.SetWatches2,
        bytesOfRecord((w) => {
          w.i64(-1n);
          for (let i = 0; i < 4; i++) w.i32(0);
          w.i32(count);
        }),
      );
    case 2:
      return requestFrame(
        xid,
        random.pick([OpCode.SetAcl, OpCode.Create]),
        bytesOfRecord((w) => {
          w.string("/fuzz/a");
          w.i32(count);
          w.i32(31);
          w.string("world");
        }),
      );
    default:
      return requestFrame(
        xid,
        OpCode.Create,
        bytesOfRecord((w) => {
          w.string("/fuzz/a");
          w.i32(random.pick([count, 4]));
          w.i32(count);
          w.i32(count);
        }),
      );
  }
}

/** Multis of thousands, and multis inside multis. */
function deepMulti(random: Random, xid: number): Bytes {
  const kind = random.below(3);
  if (kind === 0) {
    const subs: SubRequest[] = [];
    for (let i = 0; i < 2000; i++) subs.push({ op: OpCode.Check, body: pathNumberBody(fuzzRoot, -1) });
    if (random.percent(50)) subs.push({ op: OpCode.Check, body: pathNumberBody("/missing", 0) });
    return requestFrame(xid, OpCode.Multi, multiBody(subs));
  }
  if (kind === 1) {
    let inner = multiBody([{ op: OpCode.Check, body: pathNumberBody("/", -1) }]);
    for (let i = 0; i < 200; i++) inner = multiBody([{ op: OpCode.Multi, body: inner }]);
    return requestFrame(xid, OpCode.Multi, inner);
  }
  // Headers without a record behind them, and no end.
  return requestFrame(
    xid,
    random.pick([OpCode.Multi, OpCode.MultiRead]),
    bytesOfRecord((w) => {
      for (let i = random.below(3000); i > 0; i--) {
        w.i32(random.pick([1, 2, 13, 4, 8, -1]));
        w.bool(false);
        w.i32(-1);
      }
    }),
  );
}

/** As long as it may be, or as deep, or in names alone. */
function bigRequest(random: Random, xid: number): Bytes {
  const room = frameBytesMax - 8;
  switch (random.below(5)) {
    case 0: {
      const path = `${fuzzRoot}/big`;
      const around = createBody(path, new Uint8Array(0)).length;
      return requestFrame(xid, OpCode.Create, createBody(path, new Uint8Array(room - around)));
    }
    case 1:
      return requestFrame(xid, OpCode.Exists, pathWatchBody("/a".repeat(50_000), false));
    case 2:
      return requestFrame(xid, OpCode.Create, createBody(`${fuzzRoot}/${"x".repeat(200_000)}/y`, null));
    case 3:
      return requestFrame(xid, OpCode.SetData, setDataBody("/".repeat(100_000), bytesOf("x"), -1));
    default: {
      const acls = [];
      for (let i = 0; i < 5000; i++) acls.push({ perms: 31, scheme: "digest", id: `u${i}` });
      return requestFrame(xid, OpCode.SetAcl, setAclBody(fuzzRoot, acls, -1));
    }
  }
}

export function hostileFrame(random: Random, xid: number): HostileFrame {
  const at = random.below(10_000);
  const open = (bytes: Bytes): HostileFrame => ({ bytes, mayClose: false });
  if (at < 4500) {
    const op = random.pick(knownOps);
    return open(requestFrame(xid, op, bend(random, soundBody(random, op))));
  }
  if (at < 7000) return open(requestFrame(xid, random.pick(knownOps), random.bytes(random.below(60))));
  if (at < 9000) {
    const op = random.pick(knownOps);
    return open(requestFrame(xid, op, soundBody(random, op)));
  }
  if (at < 9700) return open(absurdVector(random, xid));
  if (at < 9740) return open(deepMulti(random, xid));
  if (at < 9750) return open(bigRequest(random, xid));
  if (at < 9900) {
    return open(
      requestFrame(xid, OpCode.Delete, pathNumberBody(`${fuzzRoot}/${random.pick([...names, "big"])}`, -1)),
    );
  }
  if (at < 9930) {
    const scheme = random.pick(["digest", "ip", "world", "", null, "x".repeat(1000)]);
    return {
      bytes: requestFrame(xid, OpCode.Auth, bend(random, authBody(scheme, random.bytes(20)))),
      mayClose: true,
    };
  }
  if (at < 9975) {
    return {
      bytes: requestFrame(xid, random.pick(closingOps), random.bytes(random.below(40))),
      mayClose: true,
    };
  }
  // Lengths that lie.
  const claimed = random.pick([...absurdNumbers, frameBytesMax + 1, 3, 7]);
  return {
    bytes: bytesOfRecord((w) => {
      w.i32(claimed);
      w.raw(random.bytes(random.below(30)));
    }),
    mayClose: true,
  };
}
