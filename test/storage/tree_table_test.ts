/**
 * The tree table against a dumb map: whatever is written, in whatever pieces the table follows, both
 * end up with the same znodes.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "node:test";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { readAcls } from "../../src/core/wire/records.ts";
import type { Acl } from "../../src/core/wire/records.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import type { TreeFile } from "../../src/storage/tree_file.ts";
import { TreeFollower } from "../../src/storage/tree_follower.ts";
import { packRows } from "../../src/storage/tree_rows.ts";
import { walkTxn } from "../../src/core/wire/txns.ts";
import { isBun } from "../support/runtime_storage.ts";
import { makeDesk } from "./desk.ts";
import { batchOf, containerHi, txnBytes } from "./txns.ts";
import type { Op, TxnMeta } from "./txns.ts";

interface Znode {
  data: string | null;
  czxid: number;
  mzxid: number;
  pzxid: number;
  ctime: number;
  mtime: number;
  version: number;
  cversion: number;
  aversion: number;
  owner: string;
  acl: string;
}

const aclA: readonly Acl[] = [{ perms: 1, id: { scheme: "world", id: "anyone" } }];
const aclB: readonly Acl[] = [{ perms: 31, id: { scheme: "digest", id: "amy:xyz" } }, {
  perms: 5,
  id: { scheme: "ip", id: "10.0.0.1" },
}];
const aclOpen: readonly Acl[] = [{ perms: 31, id: { scheme: "world", id: "anyone" } }];

function znode(part: Partial<Znode>): Znode {
  return {
    data: "",
    czxid: 0,
    mzxid: 0,
    pzxid: 0,
    ctime: 0,
    mtime: 0,
    version: 0,
    cversion: 0,
    aversion: 0,
    owner: "0:0",
    acl: JSON.stringify(aclOpen),
    ...part,
  };
}

/** The tree of server-semantics 1.3 and 10.8, written for the eye. */
class Model {
  readonly znodes = new Map<string, Znode>([
    ["/", znode({})],
    ["/zookeeper", znode({})],
    ["/zookeeper/quota", znode({})],
    ["/zookeeper/config", znode({ aversion: -1, acl: JSON.stringify(aclA) })],
  ]);
  readonly sessions = new Map<string, number>();

  parentOf(path: string): string {
    return path.slice(0, path.lastIndexOf("/")) || "/";
  }

  /** A leader never lets these through, and the tree in memory asserts that it does not. */
  refuses(op: Op): boolean {
    if (op.kind === "multi") return op.ops.some((part) => this.refuses(part));
    if (op.kind === "create") {
      const owner = this.znodes.get(this.parentOf(op.path))?.owner ?? "0:0";
      return owner !== "0:0" && owner !== `${containerHi}:0`;
    }
    if (op.kind === "delete") return this.hasChildren(op.path);
    return op.kind === "closeSession" && (op.paths ?? []).some((path) => this.hasChildren(path));
  }

  hasChildren(path: string): boolean {
    return [...this.znodes.keys()].some((other) => other.startsWith(`${path}/`));
  }

  apply(op: Op, meta: TxnMeta): void {
    const { zxid, timeMs, sessionHi = 0, sessionLo = 0 } = meta;
    if (op.kind === "multi") {
      if (op.failed !== true) { for (const part of op.ops) this.apply(part, meta); }
    } else if (op.kind === "create") {
      const parent = this.znodes.get(this.parentOf(op.path));
      if (parent === undefined) return;
      const count = op.parentCversion === undefined || op.parentCversion === -1
        ? parent.cversion + 1
        : op.parentCversion;
      if (count > parent.cversion) Object.assign(parent, { cversion: count, pzxid: zxid });
      if (this.znodes.has(op.path)) return;
      const owner = op.container === true
        ? `${containerHi}:0`
        : op.ephemeral === true
        ? `${sessionHi}:${sessionLo}`
        : "0:0";
      const acl = JSON.stringify(op.acl ?? aclOpen);
      const data = op.data === null ? null : [...op.data].join();
      this.znodes.set(
        op.path,
        znode({ data, czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: timeMs, mtime: timeMs, owner, acl }),
      );
    } else if (op.kind === "delete") {
      const parent = this.znodes.get(this.parentOf(op.path));
      if (parent !== undefined) parent.pzxid = Math.max(parent.pzxid, zxid);
      this.znodes.delete(op.path);
    } else if (op.kind === "setData") {
      const found = this.znodes.get(op.path);
      if (found === undefined) return;
      Object.assign(found, {
        data: op.data === null ? null : [...op.data].join(),
        version: op.version,
        mzxid: zxid,
        mtime: timeMs,
      });
    } else if (op.kind === "setAcl") {
      const found = this.znodes.get(op.path);
      if (found !== undefined) Object.assign(found, { acl: JSON.stringify(op.acl), aversion: op.version });
    } else if (op.kind === "createSession") {
      this.sessions.set(`${sessionHi}:${sessionLo}`, op.timeoutMs);
    } else if (op.kind === "closeSession") {
      this.sessions.delete(`${sessionHi}:${sessionLo}`);
      for (const path of op.paths ?? []) this.apply({ kind: "delete", path }, meta);
      for (const [path, { owner }] of [...this.znodes]) {
        if (owner === `${sessionHi}:${sessionLo}`) this.apply({ kind: "delete", path }, meta);
      }
    }
  }
}

/** The table as recovery tells it. */
function tableOf(tree: TreeFile): Map<string, Znode> {
  const found = new Map<string, Znode>();
  for (const { bytes } of packRows(tree)) {
    const r = new Reader(bytes);
    while (r.left > 0) {
      const path = r.string() ?? "";
      const data = r.buffer();
      const [czxid, mzxid, ctime, mtime] = [
        r.i64AsNumber(),
        r.i64AsNumber(),
        r.i64AsNumber(),
        r.i64AsNumber(),
      ];
      const [version, cversion, aversion] = [r.i32(), r.i32(), r.i32()];
      const owner = `${r.i32()}:${r.i32()}`;
      const pzxid = r.i64AsNumber();
      const aclBytes = r.buffer() ?? new Uint8Array(0);
      const acl = aclBytes.length === 0
        ? aclOpen
        : (readAcls(new Reader(aclBytes)) ?? []).map(({ perms, scheme, id }) => ({
          perms,
          id: { scheme, id },
        }));
      assert.ok(!r.failed, "the rows are whole");
      assert.ok(
        path === "/" || found.has(path.slice(0, path.lastIndexOf("/")) || "/"),
        `the parent of ${path} came before it`,
      );
      found.set(path, {
        data: data === null ? null : [...data].join(),
        czxid,
        mzxid,
        pzxid,
        ctime,
        mtime,
        version,
        cversion,
        aversion,
        owner,
        acl: JSON.stringify(acl),
      });
    }
  }
  return found;
}

const names = ["/a", "/b", "/a/x", "/a/y", "/a/x/1", "/a/x/2", "/b/é", "/a-b", "/zookeeper/config"];
const path = fc.constantFrom(...names);
const data = fc.option(fc.uint8Array({ maxLength: 6 }), { nil: null });
const acl = fc.constantFrom(aclA, aclB, aclOpen);
const simple: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      path,
      data,
      acl,
      ephemeral: fc.boolean(),
      container: fc.constant(false),
      parentCversion: fc.constantFrom(-1, -1, 1, 5, 40),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      path,
      data,
      container: fc.constant(true),
      parentCversion: fc.constant(-1),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), path }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("setData" as const),
      path,
      data,
      version: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("setAcl" as const), path, acl, version: fc.nat(9) }),
  },
);
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 14, arbitrary: simple },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("createSession" as const), timeoutMs: fc.nat(40_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("closeSession" as const),
      paths: fc.option(fc.array(path, { maxLength: 3 }), { nil: null }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("error" as const), code: fc.constant(-101) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("multi" as const),
      ops: fc.array(simple, { minLength: 1, maxLength: 4 }),
      failed: fc.boolean(),
    }),
  },
);
/** Two sessions with the top bit set and one without; some beyond 2^53. */
const session = fc.constantFrom([0x1000_0001, -5], [-2, 7], [0, 9]);
const steps = fc.array(fc.record({ op, session, follow: fc.integer({ min: 0, max: 9 }) }), {
  minLength: 1,
  maxLength: 60,
});

test("the table holds what a dumb map holds, however it follows", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 7 }), (list, perBatch) => {
      const desk = makeDesk(1000);
      const model = new Model();
      const zxidFirst = 0x5_0000_0001;
      let zxid = zxidFirst - 1;
      let txns: Uint8Array[] = [];
      const flush = (): void => {
        if (txns.length === 0) return;
        desk.log.append(batchOf(txns), zxid - txns.length + 1, zxid, txns.length, 0);
        txns = [];
      };
      for (const { op, session: [sessionHi = 0, sessionLo = 0], follow } of list) {
        if (model.refuses(op)) continue;
        // Parts of a multi may refuse each other; what is refused here would not have been logged.
        const meta = { zxid: zxid + 1, timeMs: 1_700_000_000_000 + zxid % 1000, sessionHi, sessionLo };
        if (op.kind === "multi" && op.failed !== true && !multiHolds(model, op.ops, meta)) continue;
        zxid++;
        txns.push(txnBytes(op, meta));
        model.apply(op, meta);
        if (txns.length >= perBatch) flush();
        if (follow === 0) {
          // To the middle of a batch, as often as not.
          desk.leisure.committed = Math.max(desk.leisure.committed, zxid - 2);
          for (const _ of desk.leisure.pass());
        }
      }
      flush();
      desk.leisure.committed = zxid;
      for (const _ of desk.leisure.pass());
      assert.equal(desk.tree.zxid, zxid < zxidFirst ? 0 : zxid);
      assert.equal(desk.tree.total, zxid - zxidFirst + 1);
      assert.deepEqual(
        Object.fromEntries([...tableOf(desk.tree)].sort()),
        Object.fromEntries([...model.znodes].sort()),
      );
      const sessions = desk.tree.prepare("select id >> 32, id & 4294967295, timeout_ms from session").all();
      assert.deepEqual(
        sessions.map(([hi, lo, ms]) => `${Number(hi)}:${Number(lo) | 0} ${Number(ms)}`).sort(),
        [...model.sessions].map(([id, ms]) => `${id} ${ms}`).sort(),
      );
      desk.close();
    }),
    { numRuns: 300, seed: Number(process.env["ZOOLET_SEED"] ?? 7) },
  );
});

function multiHolds(model: Model, ops: readonly Op[], meta: TxnMeta): boolean {
  const trial = new Model();
  trial.znodes.clear();
  for (const [path, found] of model.znodes) trial.znodes.set(path, { ...found });
  for (const part of ops) {
    if (trial.refuses(part)) return false;
    trial.apply(part, meta);
  }
  return true;
}

test("a txn that no walker knows is told as damage", () => {
  const desk = makeDesk(10);
  const txn = txnBytes({ kind: "error", code: 1 }, { zxid: 1, timeMs: 1 });
  txn[31] = 77;
  desk.log.append(batchOf([txn]), 1, 1, 1, 0);
  desk.leisure.committed = 1;
  assert.throws(() => {
    for (const _ of desk.leisure.pass());
  }, /Cannot follow the log.*no txn/);
  desk.close();
});

test("a create over a znode that is there is found out and done with care", () => {
  const desk = makeDesk(10);
  const tell = (careful: boolean, op: Op, zxid: number): TreeFollower => {
    const follower = new TreeFollower(desk.tree, careful);
    const bytes = txnBytes(op, { zxid, timeMs: zxid });
    assert.ok(walkTxn(bytes, 0, bytes.length, follower));
    return follower;
  };
  const create: Op = { kind: "create", path: "/a", data: bytesOf("one"), parentCversion: 1 };
  desk.tree.begin();
  for (const _ of tell(false, create, 1).flush());
  desk.tree.commit(1, 1);
  desk.tree.begin();
  assert.throws(() => {
    for (const _ of tell(false, create, 2).flush());
  }, { name: "PathTaken" });
  desk.tree.rollback();
  desk.tree.begin();
  for (const _ of tell(true, { ...create, parentCversion: 2 }, 2).flush());
  desk.tree.commit(2, 2);
  const found = tableOf(desk.tree);
  assert.equal(found.get("/a")?.czxid, 1);
  assert.equal(found.get("/")?.cversion, 2);
  desk.close();
});

/** As a leader would have let it through; null where it would not. */
function judged(model: Model, op: Op): Op | null {
  if (op.kind === "multi" || op.kind === "error" || model.refuses(op)) return null;
  if (op.kind === "closeSession") return { ...op, paths: null };
  if (op.kind === "createSession") return op;
  const found = model.znodes.has(op.path);
  if (op.kind !== "create") return found ? op : null;
  const parent = model.znodes.get(model.parentOf(op.path));
  return found || parent === undefined ? null : { ...op, parentCversion: parent.cversion + 1 };
}

test("a log told again over a table that is ahead of it comes to the same znodes", () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 3, maxLength: 3 }), fc.nat(100), (lists, from) => {
      const desk = makeDesk(1000);
      const model = new Model();
      const txns: Uint8Array[] = [];
      for (const { op, session: [sessionHi = 0, sessionLo = 0] } of lists.flat()) {
        const judgedOp = judged(model, op);
        if (judgedOp === null) continue;
        const zxid = txns.length + 1;
        const meta = { zxid, timeMs: 1_700_000_000_000 + zxid, sessionHi, sessionLo };
        model.apply(judgedOp, meta);
        txns.push(txnBytes(judgedOp, meta));
      }
      const pass = (after: number): void => {
        desk.log.empty(after, after, 0);
        desk.tree.begin();
        desk.tree.commit(after, after);
        for (let i = after; i < txns.length; i++) {
          desk.log.append(batchOf([txns[i] as Uint8Array]), i + 1, i + 1, 1, 0);
        }
        desk.leisure.committed = txns.length;
        for (const _ of desk.leisure.pass());
      };
      pass(0);
      // As after a snapshot that was written while the txns behind its zxid were carried out.
      pass(from % (txns.length + 1));
      assert.deepEqual(
        Object.fromEntries([...tableOf(desk.tree)].sort()),
        Object.fromEntries([...model.znodes].sort()),
      );
      desk.close();
    }),
    { numRuns: 200, seed: Number(process.env["ZOOLET_SEED"] ?? 7) },
  );
});

test("the log keeps what is asked for and what the table lacks", () => {
  const desk = makeDesk(25);
  for (let i = 1; i <= 100; i++) {
    const op: Op = { kind: "create", path: `/n${i}`, data: null, parentCversion: i };
    desk.log.append(batchOf([txnBytes(op, { zxid: i, timeMs: i })]), i, i, 1, 0);
  }
  desk.leisure.committed = 60;
  for (const _ of desk.leisure.pass());
  assert.equal(desk.log.first, 61);
  desk.leisure.committed = 100;
  for (const _ of desk.leisure.pass());
  assert.equal(desk.log.first, 76);
  assert.equal(tableOf(desk.tree).size, 104);
  desk.close();
});

test(`rows of every size come back whole (${isBun ? "Bun" : "Deno"})`, () => {
  const desk = makeDesk(1);
  const sizes = [0, 1, 4095, 4096, 4097, 100_000, 1_000_000];
  sizes.forEach((size, i) => {
    const op: Op = {
      kind: "create",
      path: `/n${i}`,
      data: new Uint8Array(size).fill(i),
      parentCversion: i + 1,
    };
    desk.log.append(batchOf([txnBytes(op, { zxid: i + 1, timeMs: 5 })]), i + 1, i + 1, 1, 0);
  });
  desk.leisure.committed = sizes.length;
  for (const _ of desk.leisure.pass());
  const found = tableOf(desk.tree);
  sizes.forEach((size, i) => assert.equal(found.get(`/n${i}`)?.data, new Array(size).fill(i).join()));
  desk.close();
});
