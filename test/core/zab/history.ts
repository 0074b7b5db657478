/**
 * History: random txns that a leader could have made, applied as they are made.
 *
 * A Side is what a peer keeps of the database and nothing else of it. The history looks at the side it
 * is applied to, as a leader with nothing in flight would, and keeps the bytes of every txn.
 */
import { sessionHi, type SessionId, sessionIdOf, sessionLo } from "../../../src/core/base/zxid.ts";
import { Applier } from "../../../src/core/ops/applier.ts";
import { SessionTable } from "../../../src/core/session/table.ts";
import { encodeAcls } from "../../../src/core/tree/acl.ts";
import { Overlay } from "../../../src/core/tree/overlay.ts";
import { Quotas } from "../../../src/core/tree/quota.ts";
import { statBlank } from "../../../src/core/tree/stat.ts";
import { I, rootRow, Tree } from "../../../src/core/tree/tree.ts";
import { WatchTable } from "../../../src/core/watch/table.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { txnHeaderAt, writeTxnHeader } from "../../../src/core/wire/txns.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import type { Random } from "../../support/random.ts";

export class Side {
  readonly tree: Tree;
  readonly sessions = new SessionTable(2000);
  readonly quotas: Quotas;
  readonly applier: Applier;

  constructor(hashSeed = 0) {
    this.tree = new Tree({ digestEnabled: true, hashSeed });
    this.quotas = new Quotas(this.tree, { enforce: false });
    this.applier = new Applier({
      tree: this.tree,
      overlay: new Overlay(this.tree),
      quotas: this.quotas,
      sessions: this.sessions,
      data: new WatchTable(),
      child: new WatchTable(),
      listeners: { listener: () => null, hear: () => {} },
      skipAcl: false,
    });
  }

  apply(txn: Uint8Array): void {
    const { type, zxid, sessionHi: hi, sessionLo: lo } = { ...txnHeaderAt(txn, 0, txn.length) };
    this.applier.apply(txn, 0, txn.length, type, zxid, null);
    if (type === OpCode.CloseSession) this.applier.finishSessionClose(hi, lo, zxid);
  }

  /** Every live row, parents first. */
  rows(): number[] {
    const rows = [rootRow];
    for (const row of rows) {
      for (let at = this.tree.int(row, I.childFirst); at !== 0; at = this.tree.int(at, I.siblingNext)) {
        rows.push(at);
      }
    }
    return rows;
  }

  /** All that a client could ever see, and what it is counted by. */
  describe(): unknown {
    const { tree } = this;
    const nodes = this.rows().map((row) => ({
      path: tree.pathOf(row),
      ...tree.readStat(row, scratch) ?? { ...scratch },
      data: tree.dataOf(row) === null ? null : Buffer.from(tree.dataOf(row) ?? []).toString("hex"),
      acl: tree.acls.list(tree.int(row, I.acl)),
      children: tree.int(row, I.children),
      digest: tree.int(row, I.digest),
    })).sort((a, b) => (a.path < b.path ? -1 : 1));
    const paths = (set: Iterable<number>) => [...set].map((row) => tree.pathOf(row)).sort();
    return {
      nodes,
      sessions: [...this.sessions.all()].map(({ id, timeoutMs }) => [id, timeoutMs]).sort(),
      ephemerals: [...tree.ephemerals].map(([id, set]) => [id, paths(set)]).sort(),
      containers: paths(tree.containers.keys()),
      ttls: paths(tree.ttls.keys()),
      quotas: [...this.quotas.paths].sort(),
      counts: [tree.liveCount, tree.ephemeralCount, tree.dataBytes, tree.rows.count, tree.acls.size],
      digest: tree.digest.value,
    };
  }
}

const scratch = statBlank();

const aclTexts = Array.from(
  { length: 6 },
  (_, i) => encodeAcls([{ perms: 31, id: { scheme: "digest", id: `user${i}:hash${i}` } }]),
);
const aclOpenList = encodeAcls([{ perms: 31, id: { scheme: "world", id: "anyone" } }]);

export class History {
  readonly side: Side;
  readonly txns: Uint8Array[] = [];
  readonly #random: Random;
  #zxid: number;
  #sessionNext = 1;
  #aclNext = 0;

  constructor(side: Side, random: Random, zxid = 0x3_0000_0000) {
    this.side = side;
    this.#random = random;
    this.#zxid = zxid;
  }

  get zxid(): number {
    return this.#zxid;
  }

  /** One more txn, made and applied. */
  step(): void {
    const random = this.#random;
    const type = random.weighted([
      [6, OpCode.CreateSession],
      [4, OpCode.CloseSession],
      [45, OpCode.Create],
      [4, OpCode.CreateContainer],
      [4, OpCode.CreateTtl],
      [28, OpCode.Delete],
      [14, OpCode.SetData],
      [10, OpCode.SetAcl],
      [10, OpCode.Multi],
      [2, OpCode.Error],
    ]);
    const session = this.#session();
    const w = new Writer(128);
    const owner = type === OpCode.CreateSession ? sessionIdOf(0x0100_0a3f, this.#sessionNext++) : session;
    if (owner === null) return;
    writeTxnHeader(
      w,
      sessionHi(owner),
      sessionLo(owner),
      1,
      ++this.#zxid,
      1_700_000_000_000 + this.txns.length,
      type,
    );
    if (type === OpCode.Multi) this.#multi(w);
    else if (!this.#body(w, type, owner, new Set())) {
      this.#zxid--;
      return;
    }
    const txn = w.copy();
    this.txns.push(txn);
    this.side.apply(txn);
  }

  #session(): SessionId | null {
    const all = [...this.side.sessions.all()];
    return all.length === 0 ? null : this.#random.pick(all).id;
  }

  #multi(w: Writer): void {
    const count = 1 + this.#random.below(4);
    const at = w.room(4);
    let made = 0;
    // Two parts that touch one znode or have one parent would need what the first of them will leave.
    const touched = new Set<number>();
    for (let i = 0; i < count; i++) {
      const type = this.#random.pick([OpCode.Create, OpCode.Delete, OpCode.SetData]);
      const part = new Writer(64);
      if (!this.#body(part, type, null, touched)) continue;
      w.i32(type);
      w.buffer(part.copy());
      made++;
    }
    w.i32At(at, made);
  }

  /** False: the tree has nothing to do this to. */
  #body(w: Writer, type: number, owner: SessionId | null, touched: Set<number>): boolean {
    const { tree } = this.side;
    const random = this.#random;
    switch (type) {
      case OpCode.CreateSession:
        w.i32(1000 + random.below(40_000));
        return true;
      case OpCode.CloseSession: {
        const rows = [...tree.ephemeralRows(owner as SessionId)];
        // Without the list, as before 3.6, an ephemeral that the walk missed would leave its parent's
        // pzxid behind: what the list was brought in for.
        w.strings(rows.map((row) => tree.pathOf(row)));
        return true;
      }
      case OpCode.Error:
        w.i32(-101);
        return true;
      case OpCode.Create:
      case OpCode.CreateContainer:
      case OpCode.CreateTtl: {
        const parent = this.#pick((row) => !this.#isEphemeral(row));
        const name = `n${random.below(9)}`;
        const bytes = new TextEncoder().encode(name);
        if (touched.has(parent) || tree.child(parent, bytes, 0, bytes.length) !== 0) return false;
        touched.add(parent);
        const path = tree.pathOf(parent);
        w.string(path === "/" ? `/${name}` : `${path}/${name}`);
        w.buffer(this.#data());
        w.raw(this.#acl());
        if (type === OpCode.Create) w.bool(owner !== null && random.percent(35));
        w.i32(tree.int(parent, I.cversion) + 1);
        if (type === OpCode.CreateTtl) w.i64FromNumber(1 + random.below(100_000));
        return true;
      }
      case OpCode.Delete: {
        const row = this.#pick((row) => row !== rootRow && tree.int(row, I.children) === 0);
        const parent = tree.int(row, I.parent);
        if (row === rootRow || touched.has(row) || touched.has(parent)) return false;
        touched.add(row).add(parent);
        w.string(tree.pathOf(row));
        return true;
      }
      case OpCode.SetData: {
        const row = this.#pick(() => true);
        if (touched.has(row)) return false;
        touched.add(row);
        w.string(tree.pathOf(row));
        w.buffer(this.#data());
        w.i32(tree.int(row, I.version) + 1);
        return true;
      }
      default: {
        const row = this.#pick(() => true);
        w.string(tree.pathOf(row));
        w.raw(this.#acl());
        w.i32(tree.int(row, I.aversion) + 1);
        return true;
      }
    }
  }

  #isEphemeral(row: number): boolean {
    for (const set of this.side.tree.ephemerals.values()) if (set.has(row)) return true;
    return false;
  }

  /** A znode that is not one of /zookeeper's; the root where no other will do. */
  #pick(fits: (row: number) => boolean): number {
    const { tree } = this.side;
    const rows = this.side.rows().filter((row) => !tree.pathOf(row).startsWith("/zookeeper") && fits(row));
    return rows.length === 0 ? rootRow : this.#random.pick(rows);
  }

  #data(): Uint8Array | null {
    if (this.#random.percent(10)) return null;
    return this.#random.percent(10) ? new Uint8Array(0) : this.#random.bytes(1 + this.#random.below(60));
  }

  #acl(): Uint8Array {
    if (this.#random.percent(50)) return aclOpenList;
    if (this.#random.percent(70)) return this.#random.pick(aclTexts);
    return encodeAcls([{ perms: 3, id: { scheme: "digest", id: `fresh${this.#aclNext++}:x` } }]);
  }
}
