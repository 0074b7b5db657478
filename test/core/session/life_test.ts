/** Sessions: opened, moved, renewed, expired, and connections that come and go under them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import { readConnectReply } from "../../../src/core/wire/replies.ts";
import { writeCreateRequest, writeWatchableRequest } from "../../../src/core/wire/requests.ts";
import { sessionIdOf } from "../../../src/core/base/zxid.ts";
import { SessionTable } from "../../../src/core/session/table.ts";
import { Driver, type DriverLine } from "../peer/driver.ts";

function replyOf(line: DriverLine) {
  return readConnectReply(new Reader(line.take()[0]));
}

test("a timeout is moved to what the server allows", () => {
  const driver = new Driver();
  for (const [asked, given] of [[0, 4000], [-5, 4000], [4000, 4000], [9999, 9999], [0x7fff_ffff, 40_000]]) {
    assert.equal(driver.connect(asked).session?.timeoutMs, given);
  }
});

test("the read-only byte is answered where it was sent, and only there", () => {
  const driver = new Driver();
  const request = new Uint8Array(28);
  const line = driver.open();
  line.raw(request);
  driver.settle();
  assert.equal(line.take()[0]?.length, 36);
  const other = driver.open();
  other.raw(new Uint8Array(29));
  driver.settle();
  assert.equal(other.take()[0]?.length, 37);
});

test("who has seen more than we have is sent away without a word", () => {
  const driver = new Driver();
  const line = driver.open();
  line.connectRequest(0n, null, 10_000, 1);
  driver.settle();
  assert.deepEqual([line.closed, line.frames.length, driver.peer.sessions.size], [true, 0, 0]);
});

test("the right password moves a session, ephemerals and all; the old line ends", () => {
  const driver = new Driver();
  const first = driver.connect();
  first.ask(OpCode.Create, (w) => writeCreateRequest(w, "/e", null, aclOpen, 1));
  if (first.session === null) throw new Error("unreachable: it is connected");
  const { line, reply } = driver.reattach(first.session);
  assert.equal(reply.sessionId, first.session.sessionId);
  assert.deepEqual([first.closed, line.closed], [true, false]);
  assert.equal(line.ask(OpCode.Exists, (w) => writeWatchableRequest(w, "/e", false)).err, 0);
  assert.equal(driver.peer.connectionCount, 1);
});

test("a wrong password, an unknown session and one that is closing are refused, and nobody is disturbed", () => {
  const driver = new Driver();
  const first = driver.connect();
  const session = first.session;
  if (session === null) throw new Error("unreachable: it is connected");
  for (
    const wrong of [
      { ...session, password: new Uint8Array(16) },
      { ...session, password: null },
      { ...session, sessionId: session.sessionId + 1n },
    ]
  ) {
    const { line, reply } = driver.reattach(wrong);
    assert.deepEqual([reply.timeoutMs, reply.sessionId, line.closed, first.closed], [0, 0n, true, false]);
    assert.deepEqual(reply.password, new Uint8Array(16));
  }
  first.send(OpCode.CloseSession);
  assert.equal(driver.reattach(session).reply.sessionId, 0n);
});

test("requests behind a closeSession are dropped, its reply comes, the line ends", () => {
  const driver = new Driver();
  const line = driver.connect();
  line.send(OpCode.CloseSession);
  line.send(OpCode.Create, (w) => writeCreateRequest(w, "/late", null, aclOpen, 0));
  line.send(OpCode.WhoAmI);
  driver.settle();
  assert.deepEqual([line.frames.length, line.closed, driver.peer.tree.findText("/late")], [1, true, 0]);
  assert.deepEqual([driver.peer.sessions.size, driver.peer.outstanding], [0, 0]);
});

test("silence ends a session between its timeout and one tick later", () => {
  const driver = new Driver();
  const line = driver.connect(4000);
  const quiet = driver.connect(4000);
  quiet.ask(OpCode.Create, (w) => writeCreateRequest(w, "/e", null, aclOpen, 1));
  let endedMs = 0;
  for (let ms = 0; ms < 20_000 && endedMs === 0; ms += 500) {
    line.send(OpCode.Ping, () => {}, -2);
    driver.tick(500);
    driver.settle();
    if (quiet.closed) endedMs = ms + 500;
  }
  assert.ok(endedMs > 4000 && endedMs <= 6000, `${endedMs} ms`);
  assert.equal(line.closed, false);
  assert.equal(quiet.take().length, 0);
  assert.deepEqual([driver.peer.tree.findText("/e"), driver.peer.sessions.size], [0, 1]);
  assert.equal(driver.peer.counters.sessionsExpired, 1);
});

test("a request of a session that is expiring is dropped, and its line ends", () => {
  const driver = new Driver();
  const line = driver.connect(4000);
  for (let i = 0; i < 4; i++) driver.tick(2000);
  line.send(OpCode.Create, (w) => writeCreateRequest(w, "/late", null, aclOpen, 0));
  driver.settle();
  assert.deepEqual([line.closed, line.frames.length, driver.peer.tree.findText("/late")], [true, 0, 0]);
});

test("a process that did not run expires nobody for it, be it for a moment or an hour", () => {
  const driver = new Driver();
  const line = driver.connect(4000);
  driver.tick(2000);
  for (let i = 0; i < 10; i++) driver.tick(2100);
  driver.tick(3_600_000);
  driver.settle();
  assert.equal(line.closed, false);
  assert.ok(driver.notes.some(({ event }) => event === "clock_gap"));
  for (let i = 0; i < 4; i++) driver.tick(2000);
  driver.settle();
  assert.equal(line.closed, true);
});

test("a load that takes long is no gap", () => {
  const driver = new Driver();
  driver.connect();
  const again = Driver.from(driver.log, driver.peer.zxid, { bornMonoMs: -60_000 });
  again.tick(1000);
  assert.deepEqual(again.notes, []);
});

test("after a restart everyone has the full time again, and ephemerals without a session go", () => {
  const driver = new Driver();
  const line = driver.connect(4000);
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/e", null, aclOpen, 1));
  const session = line.session;
  if (session === null) throw new Error("unreachable: it is connected");
  const again = Driver.from(driver.log, driver.peer.zxid);
  again.tick(2000);
  again.settle();
  assert.equal(again.peer.sessions.size, 1);
  const { line: back, reply } = again.reattach(session);
  assert.equal(reply.sessionId, session.sessionId);
  assert.equal(back.ask(OpCode.Exists, (w) => writeWatchableRequest(w, "/e", false)).err, 0);

  // The same log, but the session is not in it.
  const lost = Driver.from(driver.log.slice(1), driver.peer.zxid);
  assert.equal(lost.peer.inFlight, 1);
  lost.settle();
  assert.deepEqual([lost.peer.tree.findText("/e"), lost.peer.sessions.size], [0, 0]);
});

test("a connection's number is given out again only when no txn names it", () => {
  const driver = new Driver();
  const first = driver.connect();
  const { number } = first.connection;
  first.send(OpCode.Create, (w) => writeCreateRequest(w, "/a", null, aclOpen, 0));
  first.send(OpCode.Exists, (w) => writeWatchableRequest(w, "/a", true));
  driver.append();
  first.close();
  const second = driver.open();
  assert.notEqual(second.connection.number, number);
  second.connectRequest();
  driver.settle();
  assert.equal(replyOf(second).timeoutMs, 10_000);
  assert.equal(driver.peer.dataWatches.size, 0);
  assert.deepEqual([driver.peer.outstanding, driver.peer.waitingBytes], [0, 0]);
  const third = driver.open();
  assert.equal(third.connection.number, number);
  // The write of the one that left took place.
  assert.notEqual(driver.peer.tree.findText("/a"), 0);
});

test("who leaves before the session is there leaves a session that expires", () => {
  const driver = new Driver();
  const line = driver.open();
  line.connectRequest();
  line.send(OpCode.Create, (w) => writeCreateRequest(w, "/early", null, aclOpen, 0));
  line.close();
  driver.settle();
  assert.deepEqual([driver.peer.sessions.size, driver.peer.tree.findText("/early")], [1, 0]);
  for (let i = 0; i < 8; i++) driver.tick(2000);
  driver.settle();
  assert.equal(driver.peer.sessions.size, 0);
});

test("a table of many sessions expires exactly those that were not touched", () => {
  const table = new SessionTable(2000);
  const sessions = Array.from(
    { length: 2000 },
    (_, i) => table.open(sessionIdOf(1, i + 1), 4000 + (i % 7) * 1000),
  );
  for (const session of sessions) table.watch(session, 0);
  const gone = new Set<number>();
  for (let now = 0; now <= 40_000; now += 700) {
    for (const session of sessions) {
      if (session.lo % 3 === 0 && !gone.has(session.lo)) table.touch(session, now);
    }
    for (const session of table.expired(now)) {
      assert.notEqual(session.lo % 3, 0);
      assert.ok(!gone.has(session.lo) && session.deadlineMs <= now);
      gone.add(session.lo);
      table.close(session.id);
    }
  }
  assert.equal(gone.size, sessions.filter(({ lo }) => lo % 3 !== 0).length);
  assert.equal(table.size, sessions.length - gone.size);
});
