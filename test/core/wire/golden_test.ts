/**
 * Records against bytes that really travelled: each is written and read back to the byte, and each
 * truncation of it is refused without an exception.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytesOf, bytesOfHex, hexOf } from "../../../src/core/base/bytes.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { AddWatchMode, CreateMode, OpCode, WatcherType, Xid } from "../../../src/core/wire/opcodes.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import {
  type Acl,
  aclOpen,
  readAcls,
  type Stat,
  writeAcls,
  writeStat,
} from "../../../src/core/wire/records.ts";
import * as replies from "../../../src/core/wire/replies.ts";
import * as requests from "../../../src/core/wire/requests.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { replyFrames, requestFrames } from "../../golden/client_frames.ts";

function framed(write: (writer: Writer) => void): string {
  const writer = new Writer();
  writer.i32(0);
  write(writer);
  writer.i32At(0, writer.length - 4);
  return hexOf(writer.view());
}

function hexOfFrame(text: string): string {
  return hexOf(bytesOfHex(text));
}

/** The payload of a frame whose own length must agree. */
function payloadOf(text: string): Uint8Array {
  const bytes = bytesOfHex(text);
  assert.equal(new Reader(bytes).i32(), bytes.length - 4, "the frame tells its length");
  return bytes.subarray(4);
}

const world: readonly Acl[] = aclOpen;
const connect = {
  protocolVersion: 0,
  zxidSeen: 0,
  timeoutMs: 10_000,
  sessionId: 0n,
  password: new Uint8Array(16),
  readOnly: false,
};

describe("a request as a client writes it", () => {
  const write =
    (xid: number, op: number, body: (writer: Writer) => void = () => {}) => (writer: Writer): void => {
      requests.writeRequestHeader(writer, xid, op);
      body(writer);
    };
  const createM = (path: string): requests.MultiOp => ({
    kind: "create",
    op: OpCode.Create,
    path,
    data: new Uint8Array(0),
    acls: world,
    flags: CreateMode.Persistent,
  });
  const cases: Record<keyof typeof requestFrames, (writer: Writer) => void> = {
    connect: (w) => requests.writeConnectRequest(w, connect),
    connectWithoutReadOnly: (w) => requests.writeConnectRequest(w, { ...connect, readOnly: null }),
    create: write(1, OpCode.Create, (w) => requests.writeCreateRequest(w, "/a", bytesOf("hello"), world, 0)),
    getData: write(2, OpCode.GetData, (w) => requests.writeWatchableRequest(w, "/a", true)),
    exists: write(3, OpCode.Exists, (w) => requests.writeWatchableRequest(w, "/nope", true)),
    setData: write(4, OpCode.SetData, (w) => requests.writeSetDataRequest(w, "/a", bytesOf("world!"), 0)),
    ping: write(Xid.Ping, OpCode.Ping),
    auth: write(Xid.Auth, OpCode.Auth, (w) => requests.writeAuthRequest(w, "digest", bytesOf("bob:secret"))),
    whoAmI: write(1, OpCode.WhoAmI),
    closeSession: write(25, OpCode.CloseSession),
    multi: write(5, OpCode.Multi, (w) =>
      requests.writeMultiRequest(w, [
        createM("/m1"),
        { kind: "setData", path: "/a", data: bytesOf("x"), version: -1 },
      ])),
    multiFailing: write(6, OpCode.Multi, (w) =>
      requests.writeMultiRequest(w, [
        createM("/m2"),
        { kind: "check", path: "/a", version: 77 },
        { kind: "delete", path: "/m1", version: -1 },
      ])),
    multiRead: write(8, OpCode.MultiRead, (w) =>
      requests.writeMultiRequest(w, [
        { kind: "getChildren", path: "/a" },
        { kind: "getData", path: "/a" },
        { kind: "getData", path: "/nope" },
      ])),
    addWatch: write(
      18,
      OpCode.AddWatch,
      (w) => requests.writeWatchTypeRequest(w, "/", AddWatchMode.PersistentRecursive),
    ),
    checkWatches: write(
      21,
      OpCode.CheckWatches,
      (w) => requests.writeWatchTypeRequest(w, "/", WatcherType.Any),
    ),
    getAcl: write(13, OpCode.GetAcl, (w) => requests.writePathRequest(w, "/a")),
    getAllChildrenNumber: write(16, OpCode.GetAllChildrenNumber, (w) => requests.writePathRequest(w, "/")),
    saslStart: write(1, OpCode.Sasl, (w) => requests.writeSaslRequest(w, new Uint8Array(0))),
  };
  for (const [name, body] of Object.entries(cases)) {
    it(`${name} is the captured frame to the byte`, () => {
      assert.equal(framed(body), hexOfFrame(requestFrames[name as keyof typeof requestFrames]));
    });
  }

  it("a record without a captured frame has its fields in the documented order", () => {
    const hex = (body: (writer: Writer) => void): string => {
      const writer = new Writer();
      body(writer);
      return hexOf(writer.view());
    };
    const a = "000000022f61";
    assert.equal(hex((w) => requests.writeDeleteRequest(w, "/a", -1)), `${a}ffffffff`);
    assert.equal(hex((w) => requests.writeCheckRequest(w, "/a", 7)), `${a}00000007`);
    assert.equal(hex((w) => requests.writeSetAclRequest(w, "/a", null, 1)), `${a}ffffffff00000001`);
    assert.equal(
      hex((w) => requests.writeCreateTtlRequest(w, "/a", null, [], 5, 0xff_ffff_ffff)),
      `${a}ffffffff0000000000000005000000ffffffffff`,
    );
    assert.equal(
      hex((w) => requests.writeReconfigRequest(w, "a", null, null, -1)),
      "0000000161ffffffffffffffffffffffffffffffff",
    );
    const paths = { data: ["/a"], exists: [], children: ["/a"], persistent: [], persistentRecursive: ["/a"] };
    const three = `0000000000000005 00000001${a} 00000000 00000001${a}`.replaceAll(" ", "");
    assert.equal(hex((w) => requests.writeSetWatchesRequest(w, 5, paths)), three);
    assert.equal(hex((w) => requests.writeSetWatches2Request(w, 5, paths)), `${three}0000000000000001${a}`);
  });
});

// -------------------------------------------------------------------------------------- replies

/** What a server would write for what was read: the other half of each round trip. */
const write = {
  connect: (w: Writer, value: replies.ConnectReply): void => {
    w.i32(value.protocolVersion);
    w.i32(value.timeoutMs);
    w.i64(value.sessionId);
    w.buffer(value.password);
    if (value.readOnly !== null) w.bool(value.readOnly);
  },
  event: (w: Writer, value: replies.WatchEventRecord): void => {
    w.i32(value.type);
    w.i32(value.state);
    w.string(value.path);
  },
  path: (w: Writer, value: string): void => w.string(value),
  stat: (w: Writer, value: Stat): void => writeStat(w, value),
  data: (w: Writer, value: { data: Uint8Array | null; stat: Stat }): void => {
    w.buffer(value.data);
    writeStat(w, value.stat);
  },
  acl: (w: Writer, value: { acls: readonly Acl[]; stat: Stat }): void => {
    writeAcls(w, value.acls);
    writeStat(w, value.stat);
  },
  count: (w: Writer, value: number): void => w.i32(value),
  whoAmI: (w: Writer, value: readonly replies.ClientInfo[]): void => {
    w.i32(value.length);
    for (const { scheme, user } of value) {
      w.string(scheme);
      w.string(user);
    }
  },
  multi: (w: Writer, value: readonly replies.MultiResult[]): void => {
    for (const result of value) writeMultiResult(w, result);
    requests.writeMultiHeader(w, -1, true, -1);
  },
  nothing: (): void => {},
};

function writeMultiResult(w: Writer, result: replies.MultiResult): void {
  switch (result.kind) {
    case "created":
      requests.writeMultiHeader(w, result.stat === null ? OpCode.Create : OpCode.Create2, false, 0);
      w.string(result.path);
      if (result.stat !== null) writeStat(w, result.stat);
      return;
    case "deleted":
      return requests.writeMultiHeader(w, OpCode.Delete, false, 0);
    case "checked":
      return requests.writeMultiHeader(w, OpCode.Check, false, 0);
    case "dataSet":
      requests.writeMultiHeader(w, OpCode.SetData, false, 0);
      return writeStat(w, result.stat);
    case "data":
      requests.writeMultiHeader(w, OpCode.GetData, false, 0);
      return write.data(w, result);
    case "children":
      requests.writeMultiHeader(w, OpCode.GetChildren, false, 0);
      return w.strings(result.children);
    case "error":
      requests.writeMultiHeader(w, OpCode.Error, false, result.code);
      return w.i32(result.code);
  }
}

interface ReplyCase {
  readonly read: (reader: Reader) => unknown;
  readonly write: (writer: Writer, value: never) => void;
  readonly xid?: number;
  readonly zxid?: number;
  readonly err?: number;
  /** Without a reply header in front. */
  readonly bare?: true;
  /** Truncations that are records by themselves: the older forms. */
  readonly alsoWholeAt?: number;
}

const nothing = (): null => null;
const cases: Record<keyof typeof replyFrames, ReplyCase> = {
  connect: { read: replies.readConnectReply, write: write.connect, bare: true, alsoWholeAt: 36 },
  connectWithoutReadOnly: { read: replies.readConnectReply, write: write.connect, bare: true },
  connectRefused: { read: replies.readConnectReply, write: write.connect, bare: true, alsoWholeAt: 36 },
  create: { read: replies.readPathReply, write: write.path, xid: 1, zxid: 2 },
  getData: { read: replies.readDataReply, write: write.data, xid: 2, zxid: 2 },
  existsMissing: { read: nothing, write: write.nothing, xid: 3, zxid: 2, err: ErrorCode.NoNode },
  watchEvent: { read: replies.readWatchEvent, write: write.event, xid: Xid.Notification, zxid: -1 },
  setData: { read: replies.readStatReply, write: write.stat, xid: 4, zxid: 3 },
  ping: { read: nothing, write: write.nothing, xid: Xid.Ping, zxid: 3 },
  authRefused: { read: nothing, write: write.nothing, xid: Xid.Auth, zxid: 0, err: ErrorCode.AuthFailed },
  whoAmI: { read: replies.readWhoAmIReply, write: write.whoAmI, xid: 1, zxid: 60 },
  unknownOpcode: { read: nothing, write: write.nothing, xid: 7, zxid: -1, err: ErrorCode.Unimplemented },
  multi: { read: replies.readMultiReply, write: write.multi, xid: 5, zxid: 4 },
  multiFailed: { read: replies.readMultiReply, write: write.multi, xid: 6, zxid: 5 },
  multiRead: { read: replies.readMultiReply, write: write.multi, xid: 8, zxid: 6 },
  addWatch: { read: replies.readCountReply, write: write.count, xid: 18, zxid: 7 },
  checkWatchesNone: { read: nothing, write: write.nothing, xid: 21, zxid: 8, err: ErrorCode.NoWatcher },
  getAcl: { read: replies.readAclReply, write: write.acl, xid: 13, zxid: 7 },
  getAllChildrenNumber: { read: replies.readCountReply, write: write.count, xid: 16, zxid: 7 },
  saslDone: {
    read: replies.readSaslReply,
    write: (w: Writer, value: Uint8Array | null) => w.buffer(value),
    xid: 2,
    zxid: 0,
  },
};

describe("a reply as a client reads it", () => {
  for (const [name, entry] of Object.entries(cases)) {
    const payload = payloadOf(replyFrames[name as keyof typeof replyFrames]);
    const bodyAt = entry.bare === true ? 0 : 16;

    it(`${name} is read to its last byte and written again to the byte`, () => {
      const reader = new Reader(payload);
      if (bodyAt > 0) {
        const { xid, zxid, err } = replies.readReplyHeader(reader);
        assert.deepEqual([xid, zxid, err], [entry.xid, entry.zxid, entry.err ?? 0]);
      }
      const value = entry.read(reader);
      assert.equal(reader.failed, false);
      assert.equal(reader.left, 0);
      const writer = new Writer();
      entry.write(writer, value as never);
      assert.equal(hexOf(writer.view()), hexOf(payload.subarray(bodyAt)));
    });

    it(`${name} cut anywhere is refused`, () => {
      for (let end = bodyAt; end < payload.length; end++) {
        if (end === entry.alsoWholeAt) continue;
        const reader = new Reader(payload, bodyAt, end);
        entry.read(reader);
        assert.ok(reader.failed, `${end} of ${payload.length} bytes`);
      }
    });
  }

  it("says what was in it", () => {
    const read = <T>(frame: string, decode: (reader: Reader) => T): T =>
      decode(new Reader(payloadOf(frame), 16, payloadOf(frame).length));
    const { data, stat } = read(replyFrames.getData, replies.readDataReply);
    assert.equal(hexOf(data ?? new Uint8Array()), "68656c6c6f");
    assert.deepEqual(stat, {
      czxid: 2,
      mzxid: 2,
      ctime: 0x1a1f842e743,
      mtime: 0x1a1f842e743,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: 0n,
      dataLength: 5,
      numChildren: 0,
      pzxid: 2,
    });
    assert.deepEqual(read(replyFrames.whoAmI, replies.readWhoAmIReply), [
      { scheme: "digest", user: "bob" },
      { scheme: "ip", user: "127.0.0.1" },
    ]);
    assert.deepEqual(
      read(replyFrames.multiFailed, replies.readMultiReply).map((r) => r.kind === "error" && r.code),
      [
        0,
        ErrorCode.BadVersion,
        ErrorCode.RuntimeInconsistency,
      ],
    );
    const handshake = replies.readConnectReply(new Reader(payloadOf(replyFrames.connect)));
    assert.deepEqual([handshake.sessionId, handshake.timeoutMs, handshake.readOnly], [
      0x01000008a0730000n,
      10_000,
      false,
    ]);
  });

  it("is refused where a count or a result type is absurd, and costs no memory", () => {
    for (const read of [replies.readNamesReply, replies.readWhoAmIReply, replies.readAclReply]) {
      const reader = new Reader(bytesOfHex("7fffffff 00000000"));
      read(reader);
      assert.ok(reader.failed);
    }
    const unknown = new Reader(bytesOfHex("00000063 00 00000000 ffffffff 01 ffffffff"));
    replies.readMultiReply(unknown);
    assert.ok(unknown.failed);
    const nullPath = new Reader(bytesOfHex("ffffffff"));
    replies.readPathReply(nullPath);
    assert.ok(nullPath.failed);
  });

  it("is taken with bytes behind it, as other versions of the server send them", () => {
    const payload = payloadOf(replyFrames.create);
    const longer = new Uint8Array(payload.length + 3);
    longer.set(payload);
    const reader = new Reader(longer, 16);
    assert.equal(replies.readPathReply(reader), "/a");
    assert.equal(reader.failed, false);
  });
});

describe("an ACL list", () => {
  it("cut anywhere is refused", () => {
    const writer = new Writer();
    writeAcls(writer, world);
    const bytes = writer.copy();
    for (let end = 0; end < bytes.length; end++) {
      const reader = new Reader(bytes, 0, end);
      readAcls(reader);
      assert.ok(reader.failed, `${end} of ${bytes.length} bytes`);
    }
  });
});
