/**
 * A snapshot written while the tree changed, and the txns behind its beginning applied once more, make
 * the tree as it is: as we write the stream, and as the original writes it. quorum-protocol 4.6.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { SnapshotReader } from "../../../src/core/zab/snapshot_reader.ts";
import { SnapshotWriter } from "../../../src/core/zab/snapshot_writer.ts";
import { statBlank } from "../../../src/core/tree/stat.ts";
import { I, rootRow } from "../../../src/core/tree/tree.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { Random } from "../../support/random.ts";
import { History, Side } from "./history.ts";

const firstSeed = Number(process.env["ZOOLET_SEED"] ?? 1);
const seeds = Number(process.env["ZOOLET_SEEDS"] ?? (process.env["ZOOLET_SEED"] === undefined ? 200 : 1));

/** What both ways of writing have. */
interface Stream {
  fill(out: Writer, bytesMax: number): boolean;
}

/**
 * As the original walks: the children of a znode are listed when it is written, one that is gone by
 * then is left out, one made meanwhile is not. ACL lists are numbered as they come and for good, and
 * the numbers of those that came too late are not explained.
 */
class JavaStream implements Stream {
  readonly #side: Side;
  readonly #ids: Map<string, number>;
  readonly #paths = [""];
  #begun = false;

  constructor(side: Side, ids: Map<string, number>) {
    this.#side = side;
    this.#ids = ids;
  }

  static learn(side: Side, ids: Map<string, number>): void {
    for (const id of side.tree.acls.ids()) {
      const key = Buffer.from(side.tree.acls.bytes(id)).toString("latin1");
      if (!ids.has(key)) ids.set(key, ids.size + 1);
    }
  }

  fill(out: Writer, bytesMax: number): boolean {
    const { tree, sessions } = this.#side;
    const until = out.length + bytesMax;
    if (!this.#begun) {
      this.#begun = true;
      out.i32(sessions.size);
      for (const session of sessions.all()) {
        out.i64(session.id);
        out.i32(session.timeoutMs);
      }
      out.i32(this.#ids.size);
      for (const [key, id] of this.#ids) {
        out.i64FromNumber(id);
        out.raw(Buffer.from(key, "latin1"));
      }
    }
    const stat = statBlank();
    while (out.length < until) {
      const path = this.#paths.pop();
      if (path === undefined) {
        out.string("/");
        out.string("BenWasHere");
        return true;
      }
      const row = tree.findText(path);
      if (row === 0) continue;
      for (let at = tree.int(row, I.childFirst); at !== 0; at = tree.int(at, I.siblingNext)) {
        this.#paths.push(`${path}/${tree.nameOf(at)}`);
      }
      tree.readStat(row, stat);
      out.string(path);
      out.buffer(tree.dataOf(row));
      const acl = tree.int(row, I.acl);
      out.i64FromNumber(
        acl === 0 ? -1 : this.#ids.get(Buffer.from(tree.acls.bytes(acl)).toString("latin1")) ?? 1_000_000,
      );
      for (const value of [stat.czxid, stat.mzxid, stat.ctime, stat.mtime]) out.i64FromNumber(value);
      for (const value of [stat.version, stat.cversion, stat.aversion, stat.ownerHi, stat.ownerLo]) {
        out.i32(value);
      }
      out.i64FromNumber(stat.pzxid);
    }
    return false;
  }
}

function read(stream: Uint8Array, side: Side, zxid: number, random: Random): SnapshotReader {
  const reader = new SnapshotReader(side.tree, side.sessions, { zxid, fieldBytesMax: 1 << 21 });
  let at = 0;
  while (at < stream.length && reader.state === "more") {
    const end = Math.min(stream.length, at + 1 + random.below(random.percent(20) ? 2000 : 40));
    // A copy, as what a socket gave is overwritten afterwards.
    const piece = stream.slice(at, end);
    const used = reader.push(piece, 0, piece.length);
    piece.fill(0xee);
    assert.equal(used, end - at, "all was used");
    at = end;
  }
  assert.deepEqual([reader.state, reader.reason], ["done", ""]);
  return reader;
}

function quota(side: Side): void {
  for (
    const [path, data] of [
      ["/q", ""],
      ["/zookeeper/quota/q", ""],
      ["/zookeeper/quota/q/zookeeper_limits", "count=100000,bytes=-1"],
      ["/zookeeper/quota/q/zookeeper_stats", "count=0,bytes=0"],
    ] as const
  ) {
    const name = bytesOf(path);
    const bytes = bytesOf(path + data);
    side.applier.created(bytes, 0, name.length, name.length, bytes.length, 0, 4, 0, 0, -1, 1, 1);
  }
}

function story(
  seed: number,
  begin: (side: Side, zxid: number, ids: Map<string, number>) => Stream,
): SnapshotReader {
  const random = new Random(seed);
  const a = new Side(1);
  a.tree.makeReserved();
  quota(a);
  const ids = new Map<string, number>();
  JavaStream.learn(a, ids);
  const history = new History(a, random);
  const before = random.below(150);
  for (let i = 0; i < before; i++) {
    history.step();
    JavaStream.learn(a, ids);
  }
  const zxid = history.zxid;
  const from = history.txns.length;
  const stream = begin(a, zxid, ids);
  const out = new Writer();
  for (let rounds = 0; !stream.fill(out, 1 + random.below(300)); rounds++) {
    assert.ok(rounds < 5000, "the walk ends");
    for (let i = random.below(12); i > 0; i--) history.step();
  }
  for (let i = random.below(40); i > 0; i--) history.step();

  const b = new Side(2);
  // What was there before leaves nothing behind.
  b.tree.makeReserved();
  quota(b);
  b.sessions.open(99n as Parameters<typeof b.sessions.open>[0], 5);
  b.tree.clear();
  b.sessions.clear();
  const reader = read(out.copy(), b, zxid, random);
  b.quotas.rebuild();
  for (const txn of history.txns.slice(from)) b.apply(txn);
  assert.deepEqual(b.describe(), a.describe(), `seed ${seed}`);
  assert.equal(a.tree.walks.length, 0);
  return reader;
}

test("what was told too early or not at all is right once the txns behind the beginning are applied", () => {
  let later = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    later += story(seed, (side, zxid) => new SnapshotWriter(side.tree, side.sessions, zxid)).nodesLater;
  }
  assert.equal(later, 0, "we write no znode that was made later");
});

test("and so it is where the original wrote the stream", () => {
  let later = 0;
  let closed = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const reader = story(1_000_000 + seed, (side, _, ids) => new JavaStream(side, new Map(ids)));
    later += reader.nodesLater;
    closed += reader.nodesClosed;
  }
  if (seeds > 1) assert.ok(later > 0 && closed > 0, "the story has what it is about");
});

test("a tree that does not change is told exactly, in pieces of one byte as of a million", () => {
  const random = new Random(7);
  const a = new Side();
  a.tree.makeReserved();
  const history = new History(a, random);
  for (let i = 0; i < 400; i++) history.step();
  const whole = new Writer();
  new SnapshotWriter(a.tree, a.sessions, history.zxid).fill(whole, Infinity);
  const pieces = new Writer();
  const writer = new SnapshotWriter(a.tree, a.sessions, history.zxid);
  let fills = 1;
  while (!writer.fill(pieces, 1)) fills++;
  assert.ok(fills > a.tree.liveCount);
  assert.deepEqual(pieces.copy(), whole.copy());
  const b = new Side(9);
  read(whole.copy(), b, history.zxid, random);
  assert.deepEqual(b.describe(), a.describe());
  assert.equal(b.tree.int(rootRow, I.children), a.tree.int(rootRow, I.children));
});
