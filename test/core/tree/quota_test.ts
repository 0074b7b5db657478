/** Quotas: limits, use, what is pending, and what a failed multi takes back. server-semantics 7. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, textOf } from "../../../src/core/base/bytes.ts";
import { parseQuota } from "../../../src/core/tree/quota.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import { readMultiReply, readReplyHeader } from "../../../src/core/wire/replies.ts";
import {
  type MultiOp,
  writeCreateRequest,
  writeDeleteRequest,
  writeMultiRequest,
  writeSetDataRequest,
} from "../../../src/core/wire/requests.ts";
import { Driver, type DriverLine } from "../peer/driver.ts";

function ask(line: DriverLine, path: string, data = "", flags = 0): number {
  return line.ask(OpCode.Create, (w) => writeCreateRequest(w, path, bytesOf(data), aclOpen, flags)).err;
}

function limit(line: DriverLine, path: string, text: string): void {
  let at = "/zookeeper/quota";
  for (const name of path.slice(1).split("/")) ask(line, at += `/${name}`);
  assert.equal(ask(line, `${at}/zookeeper_limits`, text), 0);
  assert.equal(ask(line, `${at}/zookeeper_stats`), 0);
}

function use(driver: Driver, path: string): string {
  const { tree } = driver.peer;
  return textOf(tree.dataOf(tree.findText(`/zookeeper/quota${path}/zookeeper_stats`)) ?? new Uint8Array(0));
}

const enforced = { judge: { enforceQuota: true } };

test("limits are read as Apache's tools write them, and whatever else as none", () => {
  assert.deepEqual(parseQuota("count=5,bytes=100=;byteHardLimit=200;countHardLimit=10"), {
    count: 5,
    bytes: 100,
    countHard: 10,
    bytesHard: 200,
  });
  const none = { count: -1, bytes: -1, countHard: -1, bytesHard: -1 };
  for (const text of ["", ",", "=;", "count=,bytes=", "count=x,bytes=NaN", "\0", "count", "a=b=c"]) {
    assert.deepEqual(parseQuota(text), none, text);
  }
});

test("a hard limit refuses, a soft one does not, and neither does without enforcement", () => {
  const driver = new Driver(enforced);
  const line = driver.connect();
  for (const path of ["/hard", "/soft"]) ask(line, path, "ab");
  limit(line, "/hard", "count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=3");
  limit(line, "/soft", "count=1,bytes=1");
  assert.equal(ask(line, "/hard/a", "cde"), 0);
  assert.equal(ask(line, "/hard/b", "f"), ErrorCode.QuotaExceeded);
  assert.equal(ask(line, "/hard/b"), 0);
  assert.equal(ask(line, "/hard/c"), ErrorCode.QuotaExceeded);
  const set = (path: string, data: string) =>
    line.ask(OpCode.SetData, (w) => writeSetDataRequest(w, path, bytesOf(data), -1)).err;
  assert.equal(set("/hard/b", "x"), ErrorCode.QuotaExceeded);
  assert.equal(set("/hard/a", "x"), 0);
  assert.equal(set("/hard/b", "yy"), 0);
  assert.equal(use(driver, "/hard"), "count=3,bytes=5");
  assert.equal(ask(line, "/soft/a", "abcdef"), 0);
  assert.equal(ask(line, "/harder", "abcdef"), 0);

  const lax = new Driver();
  const other = lax.connect();
  ask(other, "/hard");
  limit(other, "/hard", "count=-1,bytes=-1=;countHardLimit=1");
  assert.equal(ask(other, "/hard/a"), 0);
});

test("what is pending counts: neither a pipeline nor a multi gets past a hard limit", () => {
  const driver = new Driver(enforced);
  const line = driver.connect();
  ask(line, "/q");
  limit(line, "/q", "count=-1,bytes=-1=;countHardLimit=3");
  for (let i = 0; i < 5; i++) {
    line.send(OpCode.Create, (w) => writeCreateRequest(w, `/q/${i}`, null, aclOpen, 0));
  }
  line.send(OpCode.Delete, (w) => writeDeleteRequest(w, "/q/0", -1));
  line.send(OpCode.Create, (w) => writeCreateRequest(w, "/q/6", null, aclOpen, 0));
  driver.settle();
  const codes = line.take().map((frame) => readReplyHeader(new Reader(frame)).err);
  const full = ErrorCode.QuotaExceeded;
  assert.deepEqual(codes, [0, 0, full, full, full, 0, 0]);
  assert.equal(use(driver, "/q"), "count=3,bytes=0");

  for (const path of ["/q/1", "/q/6"]) line.ask(OpCode.Delete, (w) => writeDeleteRequest(w, path, -1));
  const parts = ["/q/a", "/q/b", "/q/c"].map((path): MultiOp => ({
    kind: "create",
    op: OpCode.Create,
    path,
    data: null,
    acls: aclOpen,
    flags: 0,
  }));
  // Failed, it takes back what it had counted, also with others in flight.
  line.send(OpCode.Multi, (w) => writeMultiRequest(w, parts));
  line.send(OpCode.Multi, (w) => writeMultiRequest(w, parts.slice(0, 2)));
  driver.settle();
  const [first, second] = line.take().map((frame) => {
    const r = new Reader(frame);
    readReplyHeader(r);
    return readMultiReply(r).map((one) => one.kind === "error" ? one.code : one.kind);
  });
  assert.deepEqual(first, [0, 0, full]);
  assert.deepEqual(second, ["created", "created"]);
  assert.equal(use(driver, "/q"), "count=3,bytes=0");
});

test("proposals from before a quota was there are not taken off what is proposed since", () => {
  const driver = new Driver(enforced);
  const line = driver.connect();
  for (const path of ["/q", "/zookeeper/quota/q"]) ask(line, path);
  const send = (path: string, data = "") =>
    line.send(OpCode.Create, (w) => writeCreateRequest(w, path, bytesOf(data), aclOpen, 0));
  send("/zookeeper/quota/q/zookeeper_limits", "count=-1,bytes=-1=;countHardLimit=5");
  send("/zookeeper/quota/q/zookeeper_stats");
  for (let i = 0; i < 3; i++) send(`/q/before${i}`);
  driver.append();
  // Something is always in flight from here on.
  send("/busy");
  driver.durable();
  line.take();
  for (let i = 0; i < 3; i++) send(`/q/after${i}`);
  driver.settle();
  const codes = line.take().map((frame) => readReplyHeader(new Reader(frame)).err);
  assert.deepEqual(codes, [0, 0, ErrorCode.QuotaExceeded, ErrorCode.QuotaExceeded]);
  assert.equal(use(driver, "/q"), "count=5,bytes=0");
});

test("an outer quota counts what is below an inner one", () => {
  const driver = new Driver(enforced);
  const line = driver.connect();
  ask(line, "/o");
  ask(line, "/o/i");
  limit(line, "/o", "count=-1,bytes=-1=;countHardLimit=3");
  limit(line, "/o/i", "count=-1,bytes=-1=;countHardLimit=9");
  assert.equal(ask(line, "/o/i/a"), 0);
  assert.equal(ask(line, "/o/i/b"), ErrorCode.QuotaExceeded);
  assert.deepEqual([use(driver, "/o"), use(driver, "/o/i")], ["count=3,bytes=0", "count=2,bytes=0"]);
});

test("closing sessions give back what their ephemerals used", () => {
  for (const closeSessionTxn of [true, false]) {
    const driver = new Driver({ judge: { enforceQuota: true, closeSessionTxn } });
    const line = driver.connect();
    const other = driver.connect();
    ask(line, "/q");
    limit(line, "/q", "count=-1,bytes=-1=;countHardLimit=3");
    assert.equal(ask(line, "/q/a", "xy", 1), 0);
    line.send(OpCode.Create, (w) => writeCreateRequest(w, "/q/b", bytesOf("z"), aclOpen, 1));
    line.send(OpCode.CloseSession);
    // There is room at once, before the close is durable.
    const xids = ["/q/c", "/q/d"].map((path) =>
      other.send(OpCode.Create, (w) => writeCreateRequest(w, path, null, aclOpen, 0))
    );
    driver.settle();
    const codes = other.take().map((frame) => readReplyHeader(new Reader(frame)).err);
    assert.deepEqual([xids.length, codes], [2, [0, 0]]);
    assert.equal(use(driver, "/q"), "count=3,bytes=0");
  }
});

test("texts that are no statistics count as none, and a quota gone is gone", () => {
  const driver = new Driver(enforced);
  const line = driver.connect();
  ask(line, "/q");
  limit(line, "/q", "count=-1,bytes=-1=;countHardLimit=2");
  for (const text of ["nonsense", "", "count=1e999", "count=x,bytes=y", "\0\0"]) {
    line.ask(
      OpCode.SetData,
      (w) => writeSetDataRequest(w, "/zookeeper/quota/q/zookeeper_stats", bytesOf(text), -1),
    );
    ask(line, "/q/a");
    line.ask(OpCode.Delete, (w) => writeDeleteRequest(w, "/q/a", -1));
  }
  for (const name of ["zookeeper_limits", "zookeeper_stats"]) {
    line.ask(OpCode.Delete, (w) => writeDeleteRequest(w, `/zookeeper/quota/q/${name}`, -1));
  }
  for (let i = 0; i < 4; i++) assert.equal(ask(line, `/q/${i}`), 0);
  assert.deepEqual([...driver.peer.quotas.paths], []);
});

test("after a restart use is counted anew", () => {
  const driver = new Driver(enforced);
  const line = driver.connect();
  ask(line, "/q", "abc");
  limit(line, "/q", "count=-1,bytes=-1=;countHardLimit=3");
  ask(line, "/q/a", "de");
  const again = Driver.from(driver.log, driver.peer.zxid, enforced);
  assert.equal(use(again, "/q"), "count=2,bytes=5");
  const back = again.connect();
  assert.deepEqual([ask(back, "/q/b"), ask(back, "/q/c")], [0, ErrorCode.QuotaExceeded]);
});
