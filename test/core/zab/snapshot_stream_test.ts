/** The bytes of the SNAP stream, whole, wrong and hostile. quorum-protocol 4.6, A.18. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, bytesOfHex, hexOf } from "../../../src/core/base/bytes.ts";
import { crc32 } from "node:zlib";
import { frameBytesMax } from "../../../src/core/base/limits.ts";
import { sessionIdOf } from "../../../src/core/base/zxid.ts";
import { SessionTable } from "../../../src/core/session/table.ts";
import { encodeAcls } from "../../../src/core/tree/acl.ts";
import { SnapshotReader } from "../../../src/core/zab/snapshot_reader.ts";
import { SnapshotWriter } from "../../../src/core/zab/snapshot_writer.ts";
import { F, I, rootRow, Tree } from "../../../src/core/tree/tree.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { Random } from "../../support/random.ts";
import { History, Side } from "./history.ts";

/** What Apache ZooKeeper 3.8.0 sent: two sessions, two lists, the root and one znode; its other znodes left out. */
const golden = bytesOfHex(`
  00000002 0400000a3ffb0000 00002710 0300000a39850000 00002710
  00000002 0000000000000001 000000010000000100000005776f726c6400000006616e796f6e65
           0000000000000002 000000010000001f00000005776f726c6400000006616e796f6e65
  00000000 00000000 ffffffffffffffff
  0000000000000000000000000000000000000000000000000000000000000000
  000000000000000b0000000000000000000000000000000100000011
  00000003 2f6434 00000002 6464 0000000000000002
  00000001000000110000000100000011000001a1f843f450000001a1f843f450
  00000000000000000000000000000000000000000000000100000011
  00000001 2f 0000000a 42656e57617348657265`);
const goldenZxid = 0x1_0000_0011;

interface Read {
  readonly tree: Tree;
  readonly sessions: SessionTable;
  readonly reader: SnapshotReader;
  readonly used: number;
}

function read(stream: Uint8Array, zxid = goldenZxid, fieldBytesMax = 2 * frameBytesMax): Read {
  const tree = new Tree({ digestEnabled: true });
  const sessions = new SessionTable(2000);
  const reader = new SnapshotReader(tree, sessions, {
    zxid,
    fieldBytesMax,
  });
  const used = reader.push(stream, 0, stream.length);
  return { tree, sessions, reader, used };
}

test("a stream of Apache ZooKeeper's is read, field by field", () => {
  const { tree, sessions, reader, used } = read(golden);
  assert.deepEqual([reader.state, reader.reason, used, reader.nodes], ["done", "", golden.length, 2]);
  assert.deepEqual([...sessions.all()].map(({ id, timeoutMs }) => [id, timeoutMs]), [
    [0x0400_000a_3ffb_0000n, 10_000],
    [0x0300_000a_3985_0000n, 10_000],
  ]);
  assert.deepEqual([...reader.takeSessions() ?? []], [
    ...[0x0400_000a, 0x3ffb_0000, 10_000],
    ...[0x0300_000a, 0x3985_0000 | 0, 10_000],
  ]);
  assert.equal(reader.takeSessions(), null);
  const row = tree.findText("/d4");
  assert.deepEqual(
    [tree.double(row, F.czxid), tree.double(row, F.ctime), tree.int(row, I.acl)],
    [goldenZxid, 0x1a1_f843_f450, 0],
    "the list of all rights for anyone is the open one, whatever its id",
  );
  assert.equal(Buffer.from(tree.dataOf(row) ?? []).toString(), "dd");
  assert.deepEqual([tree.int(rootRow, I.cversion), tree.int(rootRow, I.children), tree.acls.size], [
    11,
    1,
    1,
  ]);
  // Path, data, five numbers of eight bytes (pzxid the third), three of four, the owner.
  const root = bytesOfHex(
    `${"00".repeat(16)} 0000000100000011 ${"00".repeat(16)} 00000000 0000000b 00000000 ${"00".repeat(8)}`,
  );
  const d4 = bytesOfHex(`2f6434 6464 0000000100000011 0000000100000011 0000000100000011
    000001a1f843f450 000001a1f843f450 ${"00".repeat(20)}`);
  assert.equal(tree.digest.value, BigInt(crc32(root)) + BigInt(crc32(d4)));
});

test("what we write of it differs from the original's in the ACL lists alone", () => {
  const { tree, sessions } = read(golden);
  const out = new Writer();
  assert.equal(new SnapshotWriter(tree, sessions, goldenZxid).fill(out, Infinity), true);
  const closed = hexOf(encodeAcls([{ perms: 0, id: { scheme: "world", id: "anyone" } }]));
  const hex = hexOf(golden);
  const listsAt = hex.indexOf("00000002" + "0000000000000001");
  const nodesAt = hex.indexOf("0000000000000000ffffffffffffffff");
  assert.equal(
    hexOf(out.view()),
    `${hex.slice(0, listsAt)}000000010000000000000001${closed}${
      hex.slice(nodesAt).replace("64640000000000000002", "6464ffffffffffffffff")
    }`,
  );
});

test("the reader stops behind the signature, and the next packet is left alone", () => {
  const next = new Uint8Array([...golden, 0, 0, 0, 10]);
  assert.deepEqual([read(next).used, read(next).reader.state], [golden.length, "done"]);
});

/** The packed rows as an object each. storage/storage.ts tells the layout. */
function unpack(bytes: Uint8Array) {
  const r = new Reader(bytes);
  const rows = [];
  while (r.left > 0) {
    const path = r.string();
    const data = r.buffer();
    const zxids = [r.i64AsNumber(), r.i64AsNumber()];
    const times = [r.i64AsNumber(), r.i64AsNumber()];
    const versions = [r.i32(), r.i32(), r.i32()];
    const owner = r.i64();
    const pzxid = r.i64AsNumber();
    const acls = hexOf(r.buffer() ?? new Uint8Array(0));
    assert.ok(!r.failed);
    rows.push({ path, data: data === null ? null : hexOf(data), zxids, times, versions, owner, pzxid, acls });
  }
  return rows;
}

test("the rows for the disk are those of the tree, null data and lists of ACLs with them", () => {
  const a = new Side();
  a.tree.makeReserved();
  const history = new History(a, new Random(3));
  for (let i = 0; i < 300; i++) history.step();
  const out = new Writer();
  new SnapshotWriter(a.tree, a.sessions, history.zxid).fill(out, Infinity);
  const { reader } = read(out.copy(), history.zxid);
  assert.equal(reader.takeRows(1 << 20), null, "not so many yet");
  const rows = unpack(reader.takeRows(1) ?? new Uint8Array(0));
  assert.equal(reader.takeRows(1), null);
  const { tree } = a;
  const expected = a.rows().map((row) => {
    const data = tree.dataOf(row);
    const acl = tree.int(row, I.acl);
    return {
      path: tree.pathOf(row),
      data: data === null ? null : hexOf(data),
      zxids: [tree.double(row, F.czxid), tree.double(row, F.mzxid)],
      times: [tree.double(row, F.ctime), tree.double(row, F.mtime)],
      versions: [tree.int(row, I.version), tree.int(row, I.cversion), tree.int(row, I.aversion)],
      owner: BigInt.asIntN(64, sessionIdOf(tree.int(row, I.ownerHi), tree.int(row, I.ownerLo))),
      pzxid: tree.double(row, F.pzxid),
      acls: acl === 0 ? "" : hexOf(tree.acls.bytes(acl)),
    };
  });
  const byPath = (
    x: { path: string | null },
    y: { path: string | null },
  ) => ((x.path ?? "") < (y.path ?? "") ? -1 : 1);
  assert.equal(rows[0]?.path, "/");
  assert.ok(rows.some((row) => row.data === null) && rows.some((row) => row.data === ""));
  assert.deepEqual(rows.toSorted(byPath), expected.toSorted(byPath));
});

// ---------------------------------------------------------------------------------------- damage

const list = (...entries: (readonly [perms: number, scheme: string, id: string])[]) =>
  encodeAcls(entries.map(([perms, scheme, id]) => ({ perms, id: { scheme, id } })));

interface Parts {
  acls?: readonly (readonly [id: number, list: Uint8Array])[];
  nodes: (w: Writer) => void;
  end?: string;
}

function streamOf({ acls = [], nodes, end = "BenWasHere" }: Parts): Uint8Array {
  const w = new Writer();
  w.i32(0);
  w.i32(acls.length);
  for (const [id, bytes] of acls) {
    w.i64FromNumber(id);
    w.raw(bytes);
  }
  nodes(w);
  w.string("/");
  w.string(end);
  return w.copy();
}

function node(w: Writer, path: string, { acl = -1, czxid = 1, data = "x" as string | null } = {}): void {
  w.string(path);
  w.string(data);
  w.i64FromNumber(acl);
  for (const value of [czxid, 1, 1, 1]) w.i64FromNumber(value);
  for (let i = 0; i < 5; i++) w.i32(0);
  w.i64FromNumber(1);
}

const root = (w: Writer) => node(w, "", { data: null });
const nodes = (...paths: string[]) => (w: Writer) => {
  root(w);
  for (const path of paths) node(w, path);
};

const damages: readonly (readonly [stream: Uint8Array, reason: RegExp])[] = [
  [streamOf({ nodes: nodes("/a", "/b/c") }), /the parent of "\/b\/c" is not before it$/],
  [streamOf({ nodes: nodes("/a", "/a") }), /"\/a" is there twice$/],
  [streamOf({ nodes: nodes("/a", "") }), /a second root behind 2 znodes$/],
  [streamOf({ nodes: (w) => node(w, "/a") }), /it does not begin with the root$/],
  [streamOf({ nodes: () => {} }), /it holds no znode, not even the root$/],
  [streamOf({ nodes: nodes("/a/") }), /a path that is none behind 1 znodes: "\/a\/"$/],
  [streamOf({ nodes: nodes("/a//b") }), /a path that is none/],
  [streamOf({ nodes: nodes("abc") }), /a path that is none/],
  [streamOf({ nodes: nodes("a") }), /a path is "a" behind 1 znodes$/],
  [streamOf({ nodes: nodes("/\uffff") }), /a path that is none/],
  [
    streamOf({ nodes: nodes("/a"), end: "BenWasHerE" }),
    /the signature behind 2 znodes is .* not "BenWasHere"$/,
  ],
  [streamOf({ nodes: (w) => node(w, "", { czxid: 2 ** 60 }) }), /a zxid or time beyond 2\^53 at ""$/],
  [
    streamOf({ acls: [[1, list([1, "a", "b"])], [1, list([1, "a", "b"])]], nodes: root }),
    /ACL list 1 is there twice$/,
  ],
  [bytesOfHex("ffffffff"), /it claims -1 sessions$/],
  [bytesOfHex("00000000 80000000"), /it claims -2147483648 ACL lists$/],
  [bytesOfHex("00000000 00000001 0000000000000001 fffffffe"), /ACL list 1 claims -2 entries$/],
  [
    bytesOfHex("00000000 00000001 0000000000000001 7fffffff 00000001 7fffffff"),
    /an ACL's scheme has a length of/,
  ],
  [
    bytesOfHex("00000000 00000001 0000000000000001 7fffffff 00000001 ffffffff 00200000"),
    /an ACL's id has a length of/,
  ],
  [bytesOfHex("00000000 00000000 ffffffff"), /a path has a length of -1 behind 0 znodes$/],
  [bytesOfHex("00000000 00000000 001fffff"), /a path has a length of 2097151 behind 0 znodes$/],
  [bytesOfHex("00000000 00000000 00000000 fffffffe"), /data has a length of -2 behind 0 znodes$/],
];

test("what is damaged is told as what it is, and nothing is read on", () => {
  for (const [stream, reason] of damages) {
    const { reader, used } = read(stream);
    assert.equal(reader.state, "damaged", hexOf(stream));
    assert.match(reader.reason, reason);
    assert.ok(used <= stream.length);
    assert.equal(reader.push(golden, 0, golden.length), 0);
  }
});

test("a znode with a list that nobody told is closed until its setACL comes again", () => {
  const { reader, tree } = read(streamOf({
    acls: [[5, list([31, "auth", "me"])], [6, new Uint8Array(4)], [7, bytesOfHex("ffffffff")]],
    nodes: (w) => {
      root(w);
      node(w, "/known", { acl: 5 });
      node(w, "/empty", { acl: 6 });
      node(w, "/null", { acl: 7 });
      node(w, "/unknown", { acl: 8 });
    },
  }));
  assert.deepEqual([reader.state, reader.nodes, reader.nodesClosed], ["done", 5, 1]);
  const listOf = (path: string) => tree.acls.list(tree.int(tree.findText(path), I.acl));
  assert.deepEqual(listOf("/known"), [{ perms: 31, id: { scheme: "auth", id: "me" } }]);
  assert.deepEqual(listOf("/unknown"), [{ perms: 0, id: { scheme: "world", id: "anyone" } }]);
  for (const path of ["/empty", "/null"]) assert.equal(tree.int(tree.findText(path), I.acl), 0);
});

test("what was made behind the zxid is left out, and all below it, and is no missing parent", () => {
  const { reader, tree } = read(
    streamOf({
      nodes: (w) => {
        root(w);
        node(w, "/new", { czxid: 11, acl: 99 });
        node(w, "/new/below", { czxid: 12 });
        node(w, "/old", { czxid: 10 });
      },
    }),
    10,
  );
  assert.deepEqual([reader.state, reader.nodes, reader.nodesLater], ["done", 2, 2]);
  assert.deepEqual([tree.findText("/new"), tree.findText("/old") !== 0], [0, true]);
});

test("no bytes, however wrong, throw or are kept beyond one record", () => {
  const random = new Random(11);
  const a = new Side();
  a.tree.makeReserved();
  const history = new History(a, random);
  for (let i = 0; i < 200; i++) history.step();
  const out = new Writer();
  new SnapshotWriter(a.tree, a.sessions, history.zxid).fill(out, Infinity);
  for (let run = 0; run < 300; run++) {
    const bytes = out.copy();
    for (let i = 1 + random.below(4); i > 0; i--) {
      bytes[random.below(bytes.length)] = random.pick([0, 1, 0x7f, 0xff, 0x2f]);
    }
    const tree = new Tree({ digestEnabled: true });
    const reader = new SnapshotReader(tree, new SessionTable(2000), {
      zxid: history.zxid,
      fieldBytesMax: 1 << 21,
    });
    for (let at = 0; at < bytes.length && reader.state === "more";) {
      const end = Math.min(bytes.length, at + 1 + random.below(100));
      at += reader.push(bytes, at, end);
    }
    assert.equal(reader.state === "damaged", reader.reason !== "");
  }
});

test("rows that nobody takes stop the reading; taken, it goes on", () => {
  const big = list(
    ...Array.from({ length: 1000 }, (_, i) => [31, "digest", `user${i}:${"x".repeat(100)}`] as const),
  );
  const count = 60;
  const stream = streamOf({
    acls: [[1, big]],
    nodes: (w) => {
      root(w);
      for (let i = 0; i < count; i++) node(w, `/n${i}`, { acl: 1 });
    },
  });
  const { tree, reader, used } = read(stream);
  let at = used;
  let rows = 0;
  let chunks = 0;
  for (let turns = 0; reader.state === "more" && turns < 1000; turns++) {
    const taken = reader.takeRows(64 << 20);
    assert.ok(taken !== null && taken.length < (1 << 20) + big.length + 1000);
    rows += unpack(taken).length;
    chunks++;
    at += reader.push(stream, at, stream.length);
  }
  rows += unpack(reader.takeRows(1) ?? new Uint8Array(0)).length;
  assert.deepEqual([reader.state, at, rows, tree.acls.size], ["done", stream.length, count + 1, 2]);
  assert.ok(chunks > 5);
});

// ----------------------------------------------------------------------------------- the writer

test("a walk that is given up lets go of lists and tree; a cleared tree cuts it off", () => {
  const tree = new Tree({ digestEnabled: true });
  tree.makeReserved();
  const sessions = new SessionTable(2000);
  const writer = new SnapshotWriter(tree, sessions, 0);
  writer.fill(new Writer(), 1);
  writer.close();
  writer.close();
  assert.equal(tree.walks.length, 0);
  assert.throws(() => writer.fill(new Writer(), 1), /given up/);
  const cut = new SnapshotWriter(tree, sessions, 0);
  tree.clear();
  assert.equal(tree.walks.length, 0);
  cut.close();
  assert.equal(tree.acls.size, 1);
});

test("a number of a list that is let go during the walk is given to no other", () => {
  const a = new Side();
  const tree = a.tree;
  const first = list([1, "auth", "first"]);
  const second = list([2, "auth", "second"]);
  const put = (path: string, acls: Uint8Array, zxid: number) => {
    const name = bytesOf(path);
    const bytes = new Uint8Array([...name, ...acls]);
    a.applier.created(bytes, 0, name.length, -1, -1, name.length, bytes.length, 0, 0, -1, zxid, 1);
  };
  put("/a", first, 1);
  put("/b", encodeAcls([{ perms: 31, id: { scheme: "world", id: "anyone" } }]), 2);
  const writer = new SnapshotWriter(tree, a.sessions, 2);
  tree.delete(tree.findText("/a"), 2, 3);
  tree.setAcl(tree.findText("/b"), second, 0, second.length, 1);
  const out = new Writer();
  writer.fill(out, Infinity);
  const { tree: read1 } = read(out.copy(), 2);
  assert.deepEqual(read1.acls.list(read1.int(read1.findText("/b"), I.acl)), [{
    perms: 0,
    id: { scheme: "world", id: "anyone" },
  }]);
  assert.deepEqual(tree.acls.ids().map((id) => hexOf(tree.acls.bytes(id))), [hexOf(second)]);
});

test("a cleared tree is a new one, and the config znode is written where there is none", () => {
  const fresh = new Tree({ digestEnabled: true });
  const a = new Side();
  a.tree.makeReserved();
  const history = new History(a, new Random(5));
  for (let i = 0; i < 200; i++) history.step();
  const tree = a.tree;
  tree.clear();
  assert.deepEqual(
    [tree.liveCount, tree.dataBytes, tree.ephemeralCount, tree.rows.count, tree.acls.size, tree.digest.value],
    [
      fresh.liveCount,
      fresh.dataBytes,
      fresh.ephemeralCount,
      fresh.rows.count,
      fresh.acls.size,
      fresh.digest.value,
    ],
  );
  assert.deepEqual([tree.containers.size, tree.ttls.size, tree.ephemerals.size], [0, 0, 0]);
  for (let i = 0; i < 2; i++) {
    tree.setConfig(bytesOf(`server.${i}`), 0x5_0000_0000 + i, 77);
    const row = tree.findText("/zookeeper/config");
    assert.deepEqual(
      [
        tree.int(row, I.version),
        tree.double(row, F.mzxid),
        tree.double(row, F.mtime),
        tree.double(row, F.czxid),
      ],
      [-1, 0x5_0000_0000 + i, 77, 0],
    );
    assert.equal(Buffer.from(tree.dataOf(row) ?? []).toString(), `server.${i}`);
  }
  assert.equal(
    tree.digest.value,
    0x51c6_d660n,
    "the fresh tree's, which has /zookeeper but nothing below it",
  );
});

test("a delete that meets children takes them too, and the root stays", () => {
  const a = new Side();
  const { tree } = a;
  const history = new History(a, new Random(2));
  for (let i = 0; i < 300; i++) history.step();
  for (const path of ["", "/"]) a.applier.deleted(bytesOf(path), 0, path.length, history.zxid + 1);
  const tops = a.rows().filter((row) => row !== rootRow && tree.int(row, I.parent) === rootRow);
  assert.ok(tops.some((row) => tree.int(row, I.children) > 0));
  for (const path of tops.map((row) => tree.pathOf(row))) {
    a.applier.deleted(bytesOf(path), 0, path.length, history.zxid + 1);
  }
  assert.deepEqual([tree.liveCount, tree.rows.count, tree.ephemerals.size, tree.acls.size], [
    1,
    1,
    0,
    tree.int(rootRow, I.acl) === 0 ? 1 : 2,
  ]);
});

const isLong = process.env["ZOOLET_TEST_LONG"] === "1";
/** One more than was once the most; on most days a part of it is enough, and the claim. */
const many = (1 << 20) + 1;

test("a snapshot may have more than a million sessions", () => {
  const reader = new SnapshotReader(new Tree({ digestEnabled: false }), new SessionTable(2000), {
    zxid: 1,
    fieldBytesMax: 1000,
  });
  reader.push(new Uint8Array([0, 16, 0, 1]), 0, 4);
  assert.deepEqual([reader.state, reader.reason], ["more", ""]);
});

test("as many ACL lists and sessions are written and read", { timeout: 300_000 }, () => {
  const count = isLong ? many : 2000;
  const tree = new Tree({ digestEnabled: false });
  const sessions = new SessionTable(2000);
  tree.makeReserved();
  for (let i = 1; i <= count; i++) {
    sessions.open(sessionIdOf(1, i), 10_000);
    const path = bytesOf(`/n${i}`);
    const acls = encodeAcls([{ perms: 31, id: { scheme: "digest", id: `u${i}:p` } }]);
    const bytes = new Uint8Array([...path, ...acls]);
    tree.create(bytes, 0, path.length, -1, -1, path.length, bytes.length, 0, 0, i, 1, 1);
  }
  const writer = new SnapshotWriter(tree, sessions, 1);
  const copy = new Tree({ digestEnabled: false });
  const table = new SessionTable(2000);
  const reader = new SnapshotReader(copy, table, { zxid: 1, fieldBytesMax: 1000 });
  const out = new Writer();
  for (let isDone = false; !isDone;) {
    out.clear();
    isDone = writer.fill(out, 1 << 20);
    for (let at = 0; at < out.length;) {
      at += reader.push(out.bytes, at, out.length);
      reader.takeRows(1);
    }
  }
  assert.deepEqual([reader.state, reader.reason, table.size], ["done", "", count]);
  assert.deepEqual([copy.liveCount, copy.acls.size], [tree.liveCount, tree.acls.size]);
  const at = copy.findText(`/n${count}`);
  assert.equal(copy.acls.list(copy.int(at, I.acl))[0]?.id.id, `u${count}:p`);
});
