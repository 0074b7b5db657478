/** The exact order of events and replies, as seen on real servers: server-semantics 14, items 3 to 11. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, textOf } from "../../../src/core/base/bytes.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import {
  readDataReply,
  readMultiReply,
  readPathReply,
  readReplyHeader,
} from "../../../src/core/wire/replies.ts";
import {
  type MultiOp,
  writeCreateRequest,
  writeDeleteRequest,
  writeMultiRequest,
  writeSetDataRequest,
  writeSetWatches2Request,
  writeSetWatchesRequest,
  writeWatchableRequest,
} from "../../../src/core/wire/requests.ts";
import { Driver, type DriverLine } from "./driver.ts";

const eventNames = ["", "Created", "Deleted", "DataChanged", "ChildrenChanged"];

/** Frames as a story: `Created /w/c`, `reply 7`, `reply 8 err -101`. */
function story(frames: readonly Uint8Array[]): string[] {
  return frames.map((frame) => {
    const r = new Reader(frame);
    const { xid, err } = readReplyHeader(r);
    if (xid === -1) {
      const type = r.i32();
      assert.equal(r.i32(), 3);
      return `${eventNames[type]} ${r.string()}`;
    }
    return `reply ${xid}${err === 0 ? "" : ` err ${err}`}`;
  });
}

function create(line: DriverLine, path: string, flags = 0, data: string | null = null): string {
  const bytes = data === null ? null : bytesOf(data);
  const { err, reader } = line.ask(OpCode.Create, (w) => writeCreateRequest(w, path, bytes, aclOpen, flags));
  assert.equal(err, 0, path);
  return readPathReply(reader);
}

function watch(line: DriverLine, op: number, path: string): void {
  line.ask(op, (w) => writeWatchableRequest(w, path, true));
}

function data(line: DriverLine, path: string) {
  return readDataReply(line.ask(OpCode.GetData, (w) => writeWatchableRequest(w, path, false)).reader);
}

const part = (path: string, flags = 0): MultiOp => ({
  kind: "create",
  op: OpCode.Create,
  path,
  data: null,
  acls: aclOpen,
  flags,
});

test("3: the first session takes zxid 1, the first create zxid 2", () => {
  const driver = new Driver();
  const line = driver.connect();
  assert.equal(driver.peer.zxid, 1);
  assert.equal(line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/a", null, aclOpen, 0)).zxid, 2);
});

test("4: a sequence without a prefix", () => {
  const line = new Driver().connect();
  create(line, "/a");
  assert.equal(create(line, "/a/", 2), "/a/0000000000");
});

test("5: a multi sees itself", () => {
  const line = new Driver().connect();
  const { zxid, reader } = line.ask(OpCode.Multi, (w) =>
    writeMultiRequest(w, [
      part("/m"),
      part("/m/s-", 2),
      part("/m/s-", 2),
      { kind: "setData", path: "/m", data: null, version: 0 },
      { kind: "check", path: "/m", version: 1 },
      part("/m2"),
    ]));
  const results = readMultiReply(reader);
  assert.deepEqual(results.map((one) => one.kind === "created" ? one.path : one.kind), [
    "/m",
    "/m/s-0000000000",
    "/m/s-0000000001",
    "dataSet",
    "checked",
    "/m2",
  ]);
  assert.deepEqual(["/m", "/m/s-0000000001", "/m2"].map((path) => data(line, path).stat.czxid), [
    zxid,
    zxid,
    zxid,
  ]);
});

test("6: a failed multi leaves no trace but its zxid", () => {
  const driver = new Driver();
  const line = driver.connect();
  create(line, "/p");
  const digest = driver.peer.tree.digest.value;
  const parts: MultiOp[] = [part("/p/s-", 2), { kind: "check", path: "/p", version: 9 }, part("/q")];
  const before = driver.peer.zxid;
  const { err, zxid, reader } = line.ask(OpCode.Multi, (w) => writeMultiRequest(w, parts));
  assert.deepEqual([err, zxid], [0, before + 1]);
  assert.deepEqual(readMultiReply(reader).map((one) => one.kind === "error" ? one.code : one.kind), [
    0,
    -103,
    -2,
  ]);
  assert.equal(driver.peer.tree.digest.value, digest);
  assert.equal(create(line, "/p/s-", 2), "/p/s-0000000000");

  // And nothing when it fails between writes that are pending as well.
  line.send(OpCode.Create, (w) => writeCreateRequest(w, "/p/s-", null, aclOpen, 2));
  line.send(OpCode.Multi, (w) => writeMultiRequest(w, parts));
  const xid = line.send(OpCode.Create, (w) => writeCreateRequest(w, "/p/s-", null, aclOpen, 2));
  driver.settle();
  const last = new Reader(line.take().at(-1));
  assert.equal(readReplyHeader(last).xid, xid);
  assert.equal(readPathReply(last), "/p/s-0000000002");
});

test("7: events come before the reply that could reveal them, each once", () => {
  const driver = new Driver();
  const line = driver.connect();
  create(line, "/w");
  for (const op of [OpCode.GetData, OpCode.Exists, OpCode.GetChildren]) watch(line, op, "/w");
  watch(line, OpCode.Exists, "/w/c");
  const one = line.send(OpCode.Create, (w) => writeCreateRequest(w, "/w/c", null, aclOpen, 0));
  driver.settle();
  assert.deepEqual(story(line.take()), ["Created /w/c", "ChildrenChanged /w", `reply ${one}`]);
  const two = line.send(OpCode.SetData, (w) => writeSetDataRequest(w, "/w", null, -1));
  const three = line.send(OpCode.SetData, (w) => writeSetDataRequest(w, "/w", null, -1));
  driver.settle();
  assert.deepEqual(story(line.take()), ["DataChanged /w", `reply ${two}`, `reply ${three}`]);
});

test("8: a data and a child watch on one znode are one NodeDeleted", () => {
  const driver = new Driver();
  const line = driver.connect();
  create(line, "/w2");
  watch(line, OpCode.GetData, "/w2");
  watch(line, OpCode.GetChildren, "/w2");
  watch(line, OpCode.GetChildren, "/");
  const xid = line.send(OpCode.Delete, (w) => writeDeleteRequest(w, "/w2", -1));
  driver.settle();
  assert.deepEqual(story(line.take()), ["Deleted /w2", "ChildrenChanged /", `reply ${xid}`]);
});

test("9: a session's end is told as its ephemerals' deletion", () => {
  const driver = new Driver();
  const observer = driver.connect();
  const line = driver.connect();
  create(observer, "/p1");
  create(line, "/p1/e1", 1);
  create(line, "/p1/e2", 1);
  watch(observer, OpCode.GetChildren, "/p1");
  watch(observer, OpCode.GetData, "/p1/e1");
  const xid = line.send(OpCode.CloseSession);
  driver.settle();
  assert.deepEqual(story(line.take()), [`reply ${xid}`]);
  assert.equal(line.closed, true);
  assert.deepEqual(story(observer.take()).sort(), ["ChildrenChanged /p1", "Deleted /p1/e1"]);
});

test("10: setWatches tells what was missed, list by list, then answers", () => {
  const driver = new Driver();
  const line = driver.connect();
  create(line, "/quiet");
  const since = driver.peer.zxid;
  create(line, "/sw");
  create(line, "/sw/c");
  const watches = {
    data: ["/sw", "/gone", "/quiet"],
    exists: ["/sw", "/later"],
    children: ["/sw", "/gone2", "/quiet"],
    persistent: ["/per"],
    persistentRecursive: ["/rec"],
  };
  const told = ["DataChanged /sw", "Deleted /gone", "Created /sw", "ChildrenChanged /sw", "Deleted /gone2"];
  line.send(OpCode.SetWatches, (w) => writeSetWatchesRequest(w, since, watches), -8);
  assert.deepEqual(story(line.take()), [...told, "reply -8"]);
  assert.equal(driver.peer.dataWatches.size + driver.peer.childWatches.size, 3);
  line.send(OpCode.SetWatches2, (w) => writeSetWatches2Request(w, since, watches), -8);
  assert.deepEqual(story(line.take()), [...told, "reply -8"]);
  create(line, "/later");
  line.take();
  const xid = line.send(OpCode.Create, (w) => writeCreateRequest(w, "/rec", null, aclOpen, 0));
  driver.settle();
  assert.deepEqual(story(line.take()), ["Created /rec", `reply ${xid}`]);
});

test("11: a quota's statistics are filled as they are made, and no stat tells", () => {
  const line = new Driver().connect();
  create(line, "/q", 0, "a");
  create(line, "/q/r", 0, "bc");
  create(line, "/zookeeper/quota/q");
  create(line, "/zookeeper/quota/q/zookeeper_limits", 0, "count=5,bytes=-1");
  create(line, "/zookeeper/quota/q/zookeeper_stats", 0, "");
  const made = data(line, "/zookeeper/quota/q/zookeeper_stats");
  assert.equal(textOf(made.data ?? new Uint8Array(0)), "count=2,bytes=3");
  create(line, "/q/s", 0, "defg");
  const now = data(line, "/zookeeper/quota/q/zookeeper_stats");
  assert.equal(textOf(now.data ?? new Uint8Array(0)), "count=3,bytes=7");
  assert.deepEqual([now.stat.version, now.stat.mzxid], [0, made.stat.mzxid]);
});

test("replies keep the order of requests, reads behind writes and all", () => {
  const driver = new Driver();
  const line = driver.connect();
  const xids = [
    line.send(OpCode.Create, (w) => writeCreateRequest(w, "/a", null, aclOpen, 0)),
    line.send(OpCode.Exists, (w) => writeWatchableRequest(w, "/a", true)),
    line.send(OpCode.Delete, (w) => writeDeleteRequest(w, "/a", -1)),
    line.send(OpCode.Exists, (w) => writeWatchableRequest(w, "/a", false)),
  ];
  assert.deepEqual(line.take(), []);
  driver.settle();
  assert.deepEqual(story(line.take()), [
    `reply ${xids[0]}`,
    `reply ${xids[1]}`,
    "Deleted /a",
    `reply ${xids[2]}`,
    `reply ${xids[3]} err -101`,
  ]);
});
