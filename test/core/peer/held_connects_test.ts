/**
 * Clients that come while a leader is being elected: they wait for it, though not for long, and not
 * more of them than memory allows.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  connectHeldBytesMax,
  connectHeldMsMax,
  connectsHeldMax,
  electionMsMax,
} from "../../../src/core/base/limits.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { createBody } from "../../support/bodies.ts";
import { broadcasting, join, LoneMember } from "../zab/lone_member.ts";
import { ack, diff, leaderInfo, newLeader, upToDate, z } from "../zab/told.ts";

/** Server 3 of three, which looks for a leader. */
function looking(): LoneMember {
  const member = new LoneMember({ sid: 3 });
  member.begin();
  assert.equal(member.peer.part, "looking");
  return member;
}

/** A quorum follows it. */
function established(member: LoneMember): void {
  member.elect();
  const one = join(member, 1);
  one.send(ack(z(member.peer.leader?.epoch ?? 0, 0)));
  assert.equal(member.peer.leader?.phase, "broadcast");
}

describe("a ConnectRequest in an election", () => {
  test("is answered once this member leads, and what follows is served", () => {
    const member = looking();
    const client = member.client();
    client.connect();
    assert.deepEqual([client.closed, client.session], [false, null]);
    established(member);
    const follower = [...member.fars.values()][0];
    follower?.send(ack(z(1, 1)));
    assert.notEqual(client.session?.sessionId ?? 0n, 0n);
    const xid = client.send(OpCode.Create, createBody("/held", null));
    follower?.send(ack(z(1, 2)));
    assert.deepEqual(client.replies.map(({ xid, err }) => ({ xid, err })), [{ xid, err: 0 }]);
  });

  test("goes to the leader once this member follows", () => {
    const member = looking();
    const client = member.client();
    client.connect();
    member.elected(1);
    const leader = member.dial();
    leader.send(leaderInfo(1), diff(0), newLeader(1), upToDate);
    assert.equal(member.peer.learner?.phase, "broadcast");
    assert.ok(leader.take().some((line) => line.includes("REQUEST")), "it asks the leader for a session");
    assert.equal(client.closed, false);
  });

  test("outlives a leader that came to nothing", () => {
    const member = looking();
    const client = member.client();
    client.connect();
    member.elect();
    member.peer.leave("nobody followed");
    member.tick(10);
    assert.equal(client.closed, false);
    established(member);
    assert.equal(client.closed, false);
  });

  test("is refused when there is no leader after half a second", () => {
    const member = looking();
    const client = member.client();
    client.connect();
    member.tick(connectHeldMsMax - 1);
    assert.equal(client.closed, false);
    member.tick(1);
    assert.equal(client.closed, true);
    assert.ok(member.told.includes("connect_not_serving"));
  });

  test("is refused at once where the ensemble has had no leader for long", () => {
    const member = looking();
    member.tick(electionMsMax);
    const client = member.client();
    client.connect();
    assert.equal(client.closed, true);
  });

  test("is held again behind a leader that is lost", () => {
    const { member, followers } = broadcasting();
    member.tick(electionMsMax);
    for (const follower of followers) follower.hangUp();
    member.peer.leave("nobody follows");
    member.tick(0);
    const client = member.client();
    client.connect();
    assert.equal(client.closed, false);
  });

  test("is refused at once when it is long, or one too many", () => {
    const member = looking();
    const long = member.client();
    long.raw(new Uint8Array(connectHeldBytesMax + 1));
    assert.equal(long.closed, true);
    const held = Array.from({ length: connectsHeldMax }, () => {
      const client = member.client();
      client.connect();
      return client;
    });
    assert.ok(held.every(({ closed }) => !closed));
    const more = member.client();
    more.connect();
    assert.equal(more.closed, true);
    // Those that left make room.
    held[0]?.leave();
    member.tick(10);
    const next = member.client();
    next.connect();
    assert.equal(next.closed, false);
  });
});
