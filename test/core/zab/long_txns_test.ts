/**
 * Txns at their longest: what a leader proposes its followers take, and what they would not take is
 * refused before it is proposed. Three members with short packets, in virtual time.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lengthsOf } from "../../../src/core/base/limits.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import {
  authBody,
  createBody,
  multiBody,
  noBody,
  setAclBody,
  setDataBody,
  type SubRequest,
} from "../../support/bodies.ts";
import { Stage } from "../../transcripts/stage.ts";
import type { SeatClient } from "./seat.ts";

const { frameBytesMax, packetBytesMax } = lengthsOf(4000, 2000);
/** No learner is more patient than the original's. */
const lengths = { ...lengthsOf(4000, 2000), leaderPacketBytesMax: packetBytesMax };
const authAcl = [{ perms: 31, scheme: "auth", id: "" }];

function three(): Stage {
  const stage = new Stage({ lengths });
  stage.start(1, 2, 3);
  stage.run(400);
  return stage;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const codes = (client: SeatClient) => client.replies.map(({ err }) => err);

/** All three follow the leader that they had, and have the same tree. */
function assertCalm(stage: Stage, sids: readonly number[] = [1, 2, 3]): void {
  const peers = sids.map((sid) => stage.actor(sid).peer);
  const leader = stage.actor(3).peer;
  assert.deepEqual(
    peers.map(({ epoch, serving }) => ({ epoch, serving })),
    peers.map(() => ({
      epoch: 1,
      serving: true,
    })),
  );
  for (const { tree, applier } of peers) {
    assert.equal(tree.digest.value, leader.tree.digest.value);
    assert.deepEqual([applier.zxid, applier.digestMismatches], [leader.applier.zxid, 0]);
    assert.deepEqual([tree.liveCount, tree.ephemeralCount], [
      leader.tree.liveCount,
      leader.tree.ephemeralCount,
    ]);
  }
}

/** Ephemerals whose paths are ten packets long. */
function withEphemerals(stage: Stage, client: SeatClient): void {
  for (let i = 0; i < 60; i++) client.send(OpCode.Create, createBody(`/${i}${"x".repeat(1000)}`, null, 1));
  stage.run(200);
  assert.deepEqual(new Set(codes(client)), new Set([0]));
  assert.equal(stage.actor(3).peer.tree.ephemeralCount, 60);
}

describe("a session whose paths make more than a packet", () => {
  for (const sid of [1, 3]) {
    test(`closes at server ${sid}`, () => {
      const stage = three();
      const client = stage.client(sid);
      stage.run(50);
      withEphemerals(stage, client);
      client.send(OpCode.CloseSession, noBody);
      stage.run(1000);
      assertCalm(stage);
      assert.equal(stage.actor(1).peer.tree.ephemeralCount, 0);
    });
  }

  test("expires, with one of three members down", () => {
    const stage = three();
    const client = stage.client(2);
    stage.run(50);
    withEphemerals(stage, client);
    stage.crash(1);
    client.leave();
    stage.run(30_000);
    assertCalm(stage, [2, 3]);
    assert.deepEqual([stage.actor(3).peer.sessions.size, stage.actor(2).peer.tree.ephemeralCount], [0, 0]);
  });
});

describe("a txn that would be too long is refused, and not proposed", () => {
  test("a setData as long as a frame is not", () => {
    const stage = three();
    const client = stage.client(1);
    stage.run(50);
    client.send(OpCode.Create, createBody("/a", null));
    client.send(OpCode.SetData, setDataBody("/a", new Uint8Array(frameBytesMax - 8 - 4 - 2 - 4 - 4), -1));
    client.send(OpCode.Create, createBody("/b", new Uint8Array(frameBytesMax - 100)));
    stage.run(100);
    assert.deepEqual(codes(client), [0, 0, 0]);
    assertCalm(stage);
  });

  for (const sid of [1, 3]) {
    test(`identities of a client of server ${sid}, in a create, a setACL and a multi`, () => {
      const stage = three();
      const client = stage.client(sid);
      stage.run(50);
      client.send(OpCode.Auth, authBody("digest", bytesOf(`${"u".repeat(3000)}:p`)), -4);
      const long = new Uint8Array(frameBytesMax - 500);
      const part = (path: string): SubRequest => ({
        op: OpCode.Create,
        body: createBody(path, null, 0, authAcl),
      });
      client.send(OpCode.Create, createBody("/a", long, 0, authAcl));
      client.send(OpCode.Create, createBody("/b", null, 0, authAcl));
      client.send(OpCode.SetAcl, setAclBody("/b", authAcl, -1));
      client.send(OpCode.Multi, multiBody([part("/c"), part("/d"), part("/e")]));
      client.send(OpCode.Multi, multiBody([part("/c")]));
      client.send(OpCode.Create, createBody("/d", null));
      stage.run(200);
      assert.deepEqual(codes(client), [0, ErrorCode.MarshallingError, 0, 0, 0, 0, 0]);
      assertCalm(stage);
      const { tree } = stage.actor(3).peer;
      assert.deepEqual(["/a", "/b", "/c", "/d", "/e"].map((path) => tree.findText(path) !== 0), [
        false,
        true,
        true,
        true,
        false,
      ]);
    });
  }

  test("parts that come to thirty times as much are not written down first", () => {
    const stage = three();
    const client = stage.client(3);
    stage.run(50);
    client.send(OpCode.Auth, authBody("digest", bytesOf(`${"u".repeat(3000)}:p`)), -4);
    const parts = Array.from({ length: 60 }, (_, i): SubRequest => ({
      op: OpCode.Create,
      body: createBody(`/m${i}`, null, 0, authAcl),
    }));
    const { ledger } = stage.actor(3).peer;
    const { writer } = ledger;
    const body = multiBody(parts);
    assert.ok(body.length < frameBytesMax);
    client.send(OpCode.Multi, body);
    assert.ok(writer.bytes.length <= 4 * packetBytesMax, `${writer.bytes.length} bytes`);
    stage.run(200);
    assertCalm(stage);
    assert.equal(stage.actor(3).peer.tree.findText("/m0"), 0);
  });
});
