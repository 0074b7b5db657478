/** What one client can make a peer hold or do is bounded, however it asks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { must } from "../../../src/core/base/assert.ts";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import {
  ephemeralLooksMax,
  identitiesMax,
  identityBytesMax,
  lengthsOf,
  replyBytesMax,
  setWatchesBytesAtOnce,
  unsentBytesPause,
} from "../../../src/core/base/limits.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import { readDataReply, readReplyHeader } from "../../../src/core/wire/replies.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import {
  type MultiOp,
  writeAuthRequest,
  writeCreateRequest,
  writeMultiRequest,
  writePathRequest,
  writeSetAclRequest,
  writeSetDataRequest,
  writeSetWatches2Request,
  writeWatchableRequest,
} from "../../../src/core/wire/requests.ts";
import { sessionIdOf } from "../../../src/core/base/zxid.ts";
import { reaperLooksMax } from "../../../src/core/peer/reaper.ts";
import { I, Tree } from "../../../src/core/tree/tree.ts";
import { SessionTable } from "../../../src/core/session/table.ts";
import type { Writer } from "../../../src/core/wire/writer.ts";
import { bornWallMs, Driver, type DriverLine, txnsOf } from "./driver.ts";

const megabyte = new Uint8Array(1_000_000);

test("a multiRead that asks for gigabytes fails, and costs megabytes", () => {
  const line = new Driver().connect();
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/m", megabyte, aclOpen, 0));
  const parts: MultiOp[] = new Array(20_000).fill({ kind: "getData", path: "/m" });
  const { err } = line.ask(OpCode.MultiRead, (w) => writeMultiRequest(w, parts));
  assert.equal(err, ErrorCode.MarshallingError);
  assert.ok(line.connection.out.bytes.length <= 4 * replyBytesMax);
  assert.equal(line.ask(OpCode.MultiRead, (w) => writeMultiRequest(w, parts.slice(0, 5))).err, 0);
});

test("reads that grew while they waited for a write are all answered, some at a time", () => {
  const driver = new Driver();
  const line = driver.connect();
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/m", null, aclOpen, 0));
  line.send(OpCode.SetData, (w) => writeSetDataRequest(w, "/m", megabyte, -1));
  for (let i = 0; i < 100; i++) line.send(OpCode.GetData, (w) => writeWatchableRequest(w, "/m", false));
  line.isSlow = true;
  driver.settle();
  assert.ok(driver.peer.unsentBytes <= unsentBytesPause + 2 * megabyte.length, `${driver.peer.unsentBytes}`);
  line.isSlow = false;
  driver.peer.outbox.touch(line.connection);
  driver.drain();
  assert.deepEqual([line.closed, line.frames.length], [false, 101]);
  assert.deepEqual([driver.peer.outstanding, driver.peer.waitingBytes, driver.peer.unsentBytes], [0, 0, 0]);
});

test("a closing session's txn lists a bounded part of its ephemerals, and takes them all", () => {
  const driver = new Driver();
  const line = driver.connect();
  const other = driver.connect();
  const long = `/${"x".repeat(200_000)}`;
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, long, null, aclOpen, 0));
  for (let i = 0; i < 100; i++) {
    line.send(OpCode.Create, (w) => writeCreateRequest(w, `${long}/${i}`, null, aclOpen, 1));
  }
  line.send(OpCode.CloseSession);
  driver.settle();
  const last = txnsOf(driver.log.at(-1) ?? new Uint8Array(0)).at(-1);
  const { packetBytesMax } = lengthsOf();
  assert.ok(
    last !== undefined && last.length <= packetBytesMax && last.length > packetBytesMax - 2 * long.length,
  );
  assert.equal(driver.peer.tree.ephemeralCount, 0);
  assert.equal(driver.peer.applier.digestMismatches, 0);
  const { reader } = other.ask(OpCode.GetAllChildrenNumber, (w) => writePathRequest(w, long));
  assert.equal(reader.i32(), 0);
});

test("ten thousand sessions that expire together are ended a hundred a tick", () => {
  const driver = new Driver();
  for (let i = 0; i < 10_000; i++) {
    const line = driver.open();
    line.connectRequest();
    driver.settle();
    line.take();
    line.send(OpCode.Create, (w) => writeCreateRequest(w, `/e${i}`, null, aclOpen, 1));
  }
  driver.settle();
  const { counters } = driver.peer;
  let ticks = 0;
  const tick = (ms: number) => {
    const before = counters.sessionsExpired;
    driver.tick(ms);
    assert.ok(counters.sessionsExpired - before <= 100, `${counters.sessionsExpired - before} in one tick`);
    driver.settle();
    ticks++;
  };
  for (let i = 0; i < 5; i++) tick(2000);
  while (driver.peer.isBehind) tick(0);
  tick(2000);
  while (driver.peer.isBehind) tick(0);
  assert.equal(driver.peer.sessions.size, 0);
  assert.equal(driver.peer.tree.ephemeralCount, 0);
  assert.ok(ticks >= 100 && ticks < 200, `${ticks} ticks`);
});

test("many sessions that were touched since their deadline are looked at some at a time, and none is forgotten", () => {
  const table = new SessionTable(1000);
  const sessions = Array.from({ length: 25_000 }, (_, i) => table.open(sessionIdOf(1, i + 1), 5000));
  for (const session of sessions) table.watch(session, 0);
  for (const session of sessions) if (session.lo % 2 === 0) table.touch(session, 3000);
  const dead = new Set<number>();
  const look = (nowMs: number) => {
    let calls = 0;
    do {
      for (const { lo } of table.expired(nowMs, ({ lo }) => lo % 1000 !== 1)) {
        assert.ok(!dead.has(lo));
        dead.add(lo);
      }
      calls++;
    } while (table.isBehind);
    return calls;
  };
  // 25 of them stop it, and so do 10,000 looks.
  assert.ok(look(6000) >= 26);
  assert.equal(dead.size, 12_500);
  assert.equal(look(8000), 1);
  assert.ok(look(9000) >= 2);
  assert.equal(dead.size, 25_000);
});

test("a request for ephemerals looks at a bounded number of them", () => {
  const driver = new Driver();
  const line = driver.connect();
  const { tree } = driver.peer;
  const { hi, lo } = must(line.connection.session, "a line has its session");
  const put = (path: string, isOurs: boolean) => {
    const bytes = bytesOf(path);
    const owner = isOurs ? [hi, lo] as const : [0, 0] as const;
    assert.ok(tree.load(bytes, 0, bytes.length, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, ...owner, null));
  };
  put("/e", false);
  put("/f", false);
  for (let i = 0; i < 8000; i++) put(`/e/${i}`, true);
  tree.endLoad();
  const ask = (prefix: string) => line.ask(OpCode.GetEphemerals, (w) => writePathRequest(w, prefix));
  const counts = ["/", " ", "/e/", "/e/799", "/e/7999", "/e/7999/", "/f", "/nope", "/e/x", "e"].map((
    prefix,
  ) => ask(prefix).reader.i32());
  assert.deepEqual(counts, [8000, 8000, 8000, 11, 1, 0, 0, 0, 0, 0]);
  for (let i = 0; i < ephemeralLooksMax - 7000; i++) put(`/f/${i}`, true);
  tree.endLoad();
  for (const prefix of ["/", "/nope", "/f/1"]) assert.equal(ask(prefix).err, ErrorCode.MarshallingError);
});

test("a round of the reaper looks at a bounded number of containers in one tick", () => {
  const driver = new Driver({ reaper: { checkMs: 1000, perMinuteMax: 1e9, neverUsedMs: 1 } });
  const { tree } = driver.peer;
  const count = 2 * reaperLooksMax + 100;
  for (let i = 0; i < count; i++) {
    const bytes = bytesOf(`/c${i}`);
    const hi = 0x8000_0000 | 0;
    // Most are of a time that has not come.
    const timeMs = i < 2 * reaperLooksMax ? 2 * bornWallMs : 1;
    assert.ok(tree.load(bytes, 0, bytes.length, 0, 0, 1, 1, 1, timeMs, timeMs, 0, 0, 0, hi, 0, null));
  }
  tree.endLoad();
  let looks = 0;
  tree.int = (row, field) => {
    if (field === I.children) looks++;
    return Tree.prototype.int.call(tree, row, field);
  };
  for (let i = 0; i < 4; i++) {
    looks = 0;
    driver.tick(1000);
    // The deletions that it proposes look as well.
    assert.ok(looks <= reaperLooksMax + 1000, `${looks} looks in one tick`);
    driver.settle();
  }
  assert.equal(tree.containers.size, count - 100);
});

const rearmed = (w: Writer) =>
  writeSetWatches2Request(w, 0, {
    data: Array.from({ length: 5000 }, (_, i) => `/gone${i}`),
    exists: Array.from({ length: 10_000 }, (_, i) => `/e${i}`),
    children: ["/"],
    persistent: Array.from({ length: 10_000 }, (_, i) => `/p${i}`),
    persistentRecursive: ["/r"],
  });

/** The xids of what came, without those of events, whose number goes before each. */
function xidsOf(line: DriverLine): number[] {
  const xids: number[] = [];
  let events = 0;
  for (const frame of line.take()) {
    const { xid } = readReplyHeader(new Reader(frame));
    if (xid === -1) events++;
    else xids.push(events, xid);
  }
  return xids;
}

test("a long setWatches is served a few paths at each step, and what comes behind it waits", () => {
  const driver = new Driver();
  const line = driver.connect();
  const { peer } = driver;
  let looks = 0;
  let looksMost = 0;
  const { findLive } = peer.tree;
  peer.tree.findLive = (...asked) => {
    looks++;
    return findLive.apply(peer.tree, asked);
  };
  const { step } = peer;
  const known = () => peer.dataWatches.size + peer.childWatches.size;
  peer.step = (event) => {
    const before = known();
    looks = 0;
    const outbox = step.call(peer, event);
    looksMost = Math.max(looksMost, looks + known() - before);
    return outbox;
  };
  const create = (w: Writer) => writeCreateRequest(w, "/e1", null, aclOpen, 0);
  // At once, and behind a write in flight; the write behind it sees to it that all its watches are there.
  const first = line.send(OpCode.SetWatches2, rearmed);
  line.send(OpCode.Ping);
  assert.deepEqual(xidsOf(line), [5000, first, 5000, -2]);
  assert.equal(known(), 10_000 + 1 + 2 * 10_000 + 1);
  const third = line.send(OpCode.SetData, (w) => writeSetDataRequest(w, "/", new Uint8Array(1), -1));
  const fourth = line.send(OpCode.SetWatches2, rearmed);
  const fifth = line.send(OpCode.Create, create);
  driver.settle();
  assert.deepEqual(xidsOf(line), [0, third, 5000, fourth, 5002, fifth]);
  assert.ok(looksMost <= setWatchesBytesAtOnce / 4, `${looksMost} looks at one step`);
  assert.deepEqual([peer.outstanding, peer.waitingBytes], [0, 0]);
});

test("a line that ends within a long setWatches leaves nothing behind", () => {
  const driver = new Driver();
  const line = driver.connect();
  const { peer } = driver;
  line.isSlow = true;
  line.send(OpCode.SetWatches2, rearmed);
  assert.deepEqual([peer.outstanding, line.connection.order.isReady], [1, true]);
  line.close();
  for (let i = 0; i < 4; i++) driver.tick();
  assert.deepEqual([peer.outstanding, peer.waitingBytes, peer.dataWatches.size], [0, 0, 0]);
  assert.equal(driver.open().connection.number, line.connection.number);
});

test("a connection proves a bounded number of identities", () => {
  const driver = new Driver();
  const line = driver.connect();
  for (let i = 0; i < identitiesMax + 5; i++) {
    line.send(OpCode.Auth, (w) => writeAuthRequest(w, "digest", bytesOf(`u${i}:p`)));
    // The same one again is not another.
    line.send(OpCode.Auth, (w) => writeAuthRequest(w, "digest", bytesOf("u0:p")));
  }
  assert.equal(line.closed, true);
  assert.equal(line.connection.identities.length, identitiesMax);
  const reader = new Reader(line.frames.at(-1));
  assert.equal(readReplyHeader(reader).err, ErrorCode.AuthFailed);
});

test("the identities of one connection have a bounded length", () => {
  const line = new Driver().connect();
  const user = (count: number) => bytesOf(`${"u".repeat(count)}:p`);
  assert.equal(
    line.ask(OpCode.Auth, (w) => writeAuthRequest(w, "digest", user(identityBytesMax - 100))).err,
    0,
  );
  line.send(OpCode.Auth, (w) => writeAuthRequest(w, "digest", user(100)));
  assert.equal(line.closed, true);
  const fresh = new Driver().connect();
  fresh.send(OpCode.Auth, (w) => writeAuthRequest(w, "digest", user(900_000)));
  assert.equal(fresh.closed, true);
});

test("auth entries times identities never make a list that no frame could carry", () => {
  const driver = new Driver();
  const line = driver.connect();
  for (let i = 1; i < identitiesMax; i++) {
    line.send(OpCode.Auth, (w) => writeAuthRequest(w, "digest", bytesOf(`u${i}:p`)));
  }
  const acls = Array.from({ length: 10_000 }, (_, perms) => ({ perms, id: { scheme: "auth", id: "" } }));
  const create = line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/a", null, acls, 0));
  assert.equal(create.err, ErrorCode.InvalidAcl);
  const few = acls.slice(31, 33);
  assert.equal(line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/a", null, few, 0)).err, 0);
  assert.equal(
    line.ask(OpCode.SetAcl, (w) => writeSetAclRequest(w, "/a", acls, -1)).err,
    ErrorCode.InvalidAcl,
  );
});

test("a change three thousand levels deep costs what its path is long, also while somebody watches from the root", () => {
  const driver = new Driver({ judge: { enforceQuota: true } });
  const line = driver.connect();
  const levels = 3000;
  let path = "";
  for (let i = 0; i < levels; i++) {
    path += "/a";
    const at = path;
    line.send(OpCode.Create, (w) => writeCreateRequest(w, at, null, aclOpen, 0));
  }
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/q", null, aclOpen, 0));
  for (const one of ["/zookeeper/quota/q", "/zookeeper/quota/q/zookeeper_limits"]) {
    line.ask(OpCode.Create, (w) => writeCreateRequest(w, one, null, aclOpen, 0));
  }
  line.ask(OpCode.AddWatch, (w) => {
    w.string("/");
    w.i32(1);
  });
  const began = performance.now();
  for (let i = 0; i < 1000; i++) line.send(OpCode.SetData, (w) => writeSetDataRequest(w, path, null, -1));
  driver.settle();
  // A second on an idle machine; what walks each level for each level above it takes minutes.
  assert.ok(performance.now() - began < 15_000, `${performance.now() - began} ms`);
  assert.equal(line.take().length, 2000);
});

test("a scheme of a megabyte does not become a log line of a megabyte", () => {
  const driver = new Driver();
  const line = driver.connect();
  line.send(OpCode.Auth, (w) => writeAuthRequest(w, "x".repeat(1_000_000), null));
  assert.equal(line.closed, true);
  assert.ok(driver.notes.every(({ message }) => message.length < 1000));
});

test("a clock that was set back does not give out the id of a session that lives", () => {
  const driver = new Driver();
  const first = driver.connect();
  const again = Driver.from(driver.log, driver.peer.zxid);
  const second = again.connect();
  assert.notEqual(second.session?.sessionId, first.session?.sessionId);
  assert.equal(again.peer.sessions.size, 2);
});

test("server 255's sessions are no TTLs", () => {
  const driver = new Driver({ serverId: 255 });
  const line = driver.connect();
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/e", null, aclOpen, 1));
  const { reader } = line.ask(OpCode.GetData, (w) => writeWatchableRequest(w, "/e", false));
  assert.equal(readDataReply(reader).stat.ephemeralOwner, line.session?.sessionId);
  line.send(OpCode.CloseSession);
  driver.settle();
  assert.equal(driver.peer.tree.liveCount, 4);
});
