/**
 * Divergences: what we do where src/DIVERGENCES.md says that we differ. One test a row, or a few rows;
 * what the original does there is not run, for some of it ends the original.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { CreateMode, OpCode, WatcherType } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readAcls } from "../../src/core/wire/records.ts";
import {
  authBody,
  bytesOfRecord,
  createBody,
  type LooseAcl,
  multiBody,
  openAcl,
  pathBody,
  pathNumberBody,
  pathWatchBody,
  setAclBody,
  setDataBody,
  setWatchesBody,
} from "../support/bodies.ts";
import { makeTempDirectory, sleep } from "../support/places.ts";
import type { RunningServer } from "../support/servers.ts";
import { type WireReply, WireSession } from "../support/wire_session.ts";
import { startZoolet, zooletMissing } from "../support/zoolet.ts";

const skip = zooletMissing() ?? false;
const limit = { timeout: 30_000, skip };
const place = makeTempDirectory("divergences");
let server: RunningServer | null = null;
let session: WireSession;
let other: WireSession;

before(async () => {
  if (skip !== false) return;
  server = await startZoolet({
    directory: place.path,
    settings: { tickTime: 500, extendedTypesEnabled: true, enforceQuota: true },
  });
  session = await WireSession.connect(server.port, { timeoutMs: 10_000 });
  other = await WireSession.connect(server.port, { timeoutMs: 10_000 });
}, { timeout: 30_000 });

after(async () => {
  await server?.stop();
  place.remove();
});

function connect(): Promise<WireSession> {
  return WireSession.connect(server?.port ?? 0, { timeoutMs: 10_000 });
}

/** Sends all in one write, so that each is judged while those before it are on their way. */
function together(
  asker: WireSession,
  requests: readonly (readonly [number, Uint8Array])[],
): Promise<WireReply[]> {
  return Promise.all(requests.map(([op, body]) => asker.request(op, body)));
}

async function codesOf(
  asker: WireSession,
  requests: readonly (readonly [number, Uint8Array])[],
): Promise<number[]> {
  return (await together(asker, requests)).map((reply) => reply.err);
}

const value = bytesOf("x");
const readOnlyAcl: readonly LooseAcl[] = [{ perms: 1, scheme: "world", id: "anyone" }];

test("events carry their zxid, those of setWatches -1", limit, async () => {
  const created = await session.ask(OpCode.Create, createBody("/events", value));
  await other.ask(OpCode.GetData, pathWatchBody("/events", true));
  const changed = await session.ask(OpCode.SetData, setDataBody("/events", value, -1));
  await other.ask(OpCode.SetWatches, setWatchesBody(created.zxid, [["/events"], [], []]));
  assert.deepEqual(other.events.splice(0).map((event) => event.zxid), [changed.zxid, -1n]);
});

test("standard, persistent and recursive watches on one path live side by side", limit, async () => {
  await session.ask(OpCode.Create, createBody("/modes", value));
  await other.ask(OpCode.AddWatch, pathNumberBody("/modes", 0));
  await other.ask(OpCode.AddWatch, pathNumberBody("/modes", 1));
  await other.ask(OpCode.GetData, pathWatchBody("/modes", true));
  await session.ask(OpCode.SetData, setDataBody("/modes", value, -1));
  await session.ask(OpCode.SetData, setDataBody("/modes", value, -1));
  await other.ping();
  assert.equal(other.events.splice(0).length, 2);
  const check = (type: number) => other.ask(OpCode.CheckWatches, pathNumberBody("/modes", type));
  assert.equal((await check(WatcherType.Data)).err, ErrorCode.NoWatcher);
  assert.equal((await check(WatcherType.Persistent)).err, 0);
  assert.equal((await check(WatcherType.PersistentRecursive)).err, 0);
  await other.ask(OpCode.RemoveWatches, pathNumberBody("/modes", WatcherType.Persistent));
  assert.equal((await check(WatcherType.Persistent)).err, ErrorCode.NoWatcher);
  assert.equal((await check(WatcherType.PersistentRecursive)).err, 0);
  const another = await session.ask(OpCode.CheckWatches, pathNumberBody("/modes", WatcherType.Any));
  assert.equal(another.err, ErrorCode.NoWatcher);
  await other.ask(OpCode.RemoveWatches, pathNumberBody("/modes", WatcherType.Any));
});

test("what no client may ask is unimplemented, closes, and uses no zxid", limit, async () => {
  const before = (await session.ping()).zxid;
  const requests: readonly (readonly [number, Uint8Array])[] = [
    [OpCode.Check, pathNumberBody("/", -1)],
    [OpCode.CreateSession, new Uint8Array([0, 0, 0x75, 0x30])],
    [OpCode.DeleteContainer, pathBody("/events")],
  ];
  for (const [op, body] of requests) {
    const asker = await connect();
    assert.equal((await asker.ask(op, body)).err, ErrorCode.Unimplemented);
    assert.ok(await asker.connection.untilClosed());
  }
  // Three sessions were opened, and nothing else happened.
  assert.equal((await session.ping()).zxid, before + 3n);
});

test("flags must fit the operation", limit, async () => {
  const wrong: readonly (readonly [number, Uint8Array])[] = [
    [OpCode.CreateContainer, createBody("/flags", value, CreateMode.Persistent)],
    [OpCode.CreateContainer, createBody("/flags", value, CreateMode.EphemeralSequential)],
    [OpCode.CreateTtl, createBody("/flags", value, CreateMode.Persistent, openAcl, -1n)],
    [OpCode.CreateTtl, createBody("/flags", value, CreateMode.Ephemeral, openAcl, -5n)],
    [OpCode.CreateTtl, createBody("/flags", value, CreateMode.Container, openAcl, 1000n)],
  ];
  assert.deepEqual(await codesOf(session, wrong), wrong.map(() => ErrorCode.BadArguments));
  assert.equal((await session.ask(OpCode.Exists, pathWatchBody("/flags", false))).err, ErrorCode.NoNode);
});

test("the flag of a container makes one", limit, async () => {
  for (const [i, op] of [OpCode.Create, OpCode.Create2, OpCode.CreateContainer].entries()) {
    const path = `/by-flag-${i}`;
    assert.equal((await session.ask(op, createBody(path, value, CreateMode.Container))).err, ErrorCode.Ok);
    // A container that was used goes when it is empty again.
    assert.equal((await session.ask(OpCode.Create, createBody(`${path}/child`, value))).err, ErrorCode.Ok);
    assert.equal((await session.ask(OpCode.Delete, pathNumberBody(`${path}/child`, -1))).err, ErrorCode.Ok);
    let left = ErrorCode.Ok as number;
    for (let wait = 0; wait < 100 && left === ErrorCode.Ok; wait++) {
      left = (await session.ask(OpCode.Exists, pathWatchBody(path, false))).err;
      if (left === ErrorCode.Ok) await sleep(100);
    }
    assert.equal(left, ErrorCode.NoNode, `${path} is a container`);
  }
});

test("create2 in a multi keeps its Stat", limit, async () => {
  const reply = await session.ask(
    OpCode.Multi,
    multiBody([{ op: OpCode.Create2, body: createBody("/stat", value) }]),
  );
  const r = new Reader(reply.body);
  assert.equal(r.i32(), OpCode.Create2);
  r.bool();
  r.i32();
  assert.equal(r.string(), "/stat");
  assert.equal(r.i64(), reply.zxid);
});

test("a multi or setWatches that cannot be read does nothing", limit, async () => {
  const wrong = { op: OpCode.Create, body: createBody("/unread", value, 99) };
  const failing = { op: OpCode.Check, body: pathNumberBody("/missing", 0) };
  assert.equal(
    (await session.ask(OpCode.Multi, multiBody([failing, wrong]))).err,
    ErrorCode.MarshallingError,
  );
  const reply = await session.ask(OpCode.SetWatches, setWatchesBody(0n, [["/missing"], null, []]));
  assert.equal(reply.err, ErrorCode.MarshallingError);
  await session.ping();
  assert.deepEqual(session.events.splice(0), []);
});

test("exists needs READ, and a null inside an ACL is an invalid one", limit, async () => {
  const mine: readonly LooseAcl[] = [{ perms: 31, scheme: "digest", id: "nobody:x" }];
  await session.ask(OpCode.Create, createBody("/secret", value, 0, mine));
  const exists = await session.ask(OpCode.Exists, pathWatchBody("/secret", true));
  assert.equal(exists.err, ErrorCode.NoAuth);
  for (const scheme of ["digest", "ip", "world"]) {
    const reply = await session.ask(
      OpCode.SetAcl,
      setAclBody("/stat", [{ perms: 31, scheme, id: null }], -1),
    );
    assert.equal(reply.err, ErrorCode.InvalidAcl, scheme);
  }
});

test("an ip ACL may be of IPv6", limit, async () => {
  const acl: LooseAcl = { perms: 31, scheme: "ip", id: "fe80::/10" };
  const made = await session.ask(OpCode.Create, createBody("/six", value, 0, [acl, ...openAcl]));
  assert.equal(made.err, 0);
  const read = await session.ask(OpCode.GetAcl, pathBody("/six"));
  assert.equal(readAcls(new Reader(read.body))?.[0]?.id, "fe80::/10");
});

test("a wrong password does not close the live connection", limit, async () => {
  const live = await connect();
  await assert.rejects(
    WireSession.connect(server?.port ?? 0, { sessionId: live.id, password: new Uint8Array(16).fill(1) }),
  );
  assert.equal((await live.ask(OpCode.Exists, pathWatchBody("/", false))).err, 0);
  await live.close();
});

test("a setACL on its way counts for what is pipelined behind it, also on the root", limit, async () => {
  await session.ask(OpCode.Create, createBody("/acl", value));
  const codes = await codesOf(session, [
    [OpCode.SetAcl, setAclBody("/acl", readOnlyAcl, -1)],
    [OpCode.SetData, setDataBody("/acl", value, -1)],
    [OpCode.Create, createBody("/acl/child", value)],
  ]);
  assert.deepEqual(codes, [0, ErrorCode.NoAuth, ErrorCode.NoAuth]);
  // ADMIN stays, so that the root can be opened again.
  const closed = [{ perms: 1 | 8 | 16, scheme: "world", id: "anyone" }];
  const onRoot = await codesOf(session, [
    [OpCode.SetAcl, setAclBody("/", closed, -1)],
    [OpCode.Create, createBody("/under-root", value)],
    [OpCode.SetAcl, setAclBody("/", openAcl, -1)],
    [OpCode.Create, createBody("/under-root", value)],
  ]);
  assert.deepEqual(onRoot, [0, ErrorCode.NoAuth, 0, 0]);
});

test("quotas count what is pipelined, what is in one multi, and every quota above", limit, async () => {
  const quota = (path: string, text: string) =>
    createBody(`/zookeeper/quota${path}/zookeeper_limits`, bytesOf(text));
  const stats = (path: string) =>
    createBody(`/zookeeper/quota${path}/zookeeper_stats`, bytesOf("count=0,bytes=0"));
  const setUp = await codesOf(session, [
    [OpCode.Create, createBody("/q", null)],
    [OpCode.Create, createBody("/q/in", null)],
    [OpCode.Create, createBody("/zookeeper/quota/q", null)],
    [OpCode.Create, createBody("/zookeeper/quota/q/in", null)],
    [OpCode.Create, quota("/q", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4")],
    [OpCode.Create, stats("/q")],
    [OpCode.Create, quota("/q/in", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=100")],
    [OpCode.Create, stats("/q/in")],
  ]);
  assert.deepEqual(setUp, setUp.map(() => 0));
  const pipelined = await codesOf(session, [
    [OpCode.Create, createBody("/q/in/1", null)],
    [OpCode.Create, createBody("/q/in/2", null)],
    [OpCode.Create, createBody("/q/in/3", null)],
  ]);
  assert.deepEqual(pipelined, [0, 0, ErrorCode.QuotaExceeded]);
  await session.ask(OpCode.Delete, pathNumberBody("/q/in/2", -1));
  const multi = await session.ask(
    OpCode.Multi,
    multiBody(["/q/4", "/q/5"].map((path) => ({ op: OpCode.Create, body: createBody(path, null) }))),
  );
  assert.equal(new Reader(multi.body).i32(), OpCode.Error);
});

test("a text that is no quota's counts as nothing and ends nothing", limit, async () => {
  const path = "/zookeeper/quota/q/zookeeper_stats";
  await session.ask(OpCode.SetData, setDataBody(path, bytesOf("no numbers"), -1));
  await session.ask(OpCode.SetData, setDataBody("/q/in/1", value, -1));
  await session.ask(OpCode.SetData, setDataBody("/zookeeper/quota/q/zookeeper_limits", null, -1));
  await session.ask(OpCode.Delete, pathNumberBody("/q/in/1", -1));
  assert.equal((await session.ask(OpCode.GetData, pathWatchBody(path, false))).err, 0);
});

test("a malformed auth packet is told so before the connection closes", limit, async () => {
  const asker = await connect();
  const cut = authBody("digest", bytesOf("u:p")).slice(0, 9);
  assert.equal((await asker.ask(OpCode.Auth, cut)).err, ErrorCode.AuthFailed);
  assert.ok(await asker.connection.untilClosed());
});

test("characters beyond U+FFFF come back as they went", limit, async () => {
  const reply = await session.ask(OpCode.Sync, pathBody("/\u{1f600}"));
  assert.equal(new Reader(reply.body).string(), "/\u{1f600}");
});

test("a write that cannot be read has a zxid of its own", limit, async () => {
  const zxid = (await session.ping()).zxid;
  const cut = bytesOfRecord((w) => w.i32(7));
  for (const op of [OpCode.Create, OpCode.SetData, OpCode.Multi, OpCode.Reconfig]) {
    assert.ok((await session.ask(op, cut)).err < 0);
  }
  assert.equal((await session.ping()).zxid, zxid + 4n);
});

test("the connection of an expired session is closed", limit, async () => {
  const quiet = await WireSession.connect(server?.port ?? 0, { timeoutMs: 1000 });
  assert.equal(quiet.connectReply.timeoutMs, 1000);
  assert.ok(await quiet.connection.untilClosed(10_000));
});
