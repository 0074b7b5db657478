/**
 * A disk that is silent for long, a leader's above all: the others go on without it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  appendBytesPause,
  followerBytesWaitingMax,
  requestsHeldBytesMax,
} from "../../../src/core/base/limits.ts";
import { sessionIdOf } from "../../../src/core/base/zxid.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { createBody } from "../../support/bodies.ts";
import { broadcasting, type Far, following, LoneMember } from "./lone_member.ts";
import { seatTickMs } from "./seat.ts";
import {
  ack,
  bytes,
  commit,
  createTxn,
  ping,
  proposal,
  request,
  revalidate,
  sessionTxn,
  touches,
  z,
} from "./told.ts";

const session = 0x0100_0000_0000_0001n;
const large = new Uint8Array(1_000_000);

/** Both followers are quick; the leader's disk has a batch, as of txn 2, and says nothing more. */
function silent(): { member: LoneMember; one: Far; two: Far } {
  const { member, followers: [one, two] } = broadcasting();
  one.send(request(session, 0, OpCode.CreateSession, bytes((w) => w.i32(40_000))));
  for (const far of [one, two]) far.send(ack(z(1, 1)));
  member.holdsDisk = true;
  one.send(request(session, 0, OpCode.Create, createBody("/first", null)));
  assert.equal(member.diskBusy, "append");
  one.take();
  two.take();
  return { member, one, two };
}

/** Requests of `one`, numbered from `first`, until so many bytes were sent. Returns how many. */
function flood(one: Far, first: number, bytesMin: number): number {
  let count = 0;
  for (; count * large.length <= bytesMin; count++) {
    const cxid = first + count;
    one.send(request(session, cxid, OpCode.Create, createBody(`/n${cxid}`, large)));
  }
  return count;
}

function proposals(far: Far): number {
  return far.take().filter((line) => line.startsWith("PROPOSAL")).length;
}

describe("a leader whose disk is silent", () => {
  test("commits what the others have", () => {
    const { member, one, two } = silent();
    one.send(request(session, 1, OpCode.Create, createBody("/a", null)));
    one.send(ack(z(1, 3)));
    two.send(ack(z(1, 3)));
    assert.equal(member.peer.ledger.committed, z(1, 3));
    assert.ok(two.take().includes("COMMIT 1:3"));
    assert.notEqual(member.peer.tree.findText("/a"), 0);
  });

  test("lets requests wait, and hears acknowledgements, pings and returning sessions all the same", () => {
    const { member, one, two } = silent();
    const taken = flood(one, 1, appendBytesPause);
    assert.equal(proposals(two), taken);
    const waiting = flood(one, taken + 1, 4 << 20);
    assert.deepEqual([proposals(two), one.link.paused], [0, false]);

    one.take();
    for (const far of [one, two]) far.send(ack(z(1, 2 + taken)));
    assert.equal(member.peer.ledger.committed, z(1, 2 + taken));
    const before = member.peer.sessions.get(sessionIdOf(0x0100_0000, 1))?.deadlineMs ?? 0;
    member.tick(seatTickMs);
    one.send(ping(z(1, 1), touches(session)));
    assert.ok((member.peer.sessions.get(sessionIdOf(0x0100_0000, 1))?.deadlineMs ?? 0) > before);
    two.take();
    two.send(revalidate(session));
    assert.ok(two.take().some((line) => line.startsWith("REVALIDATE")));
    one.send(revalidate(session));

    // The disk has one more batch to write, and there is room for what waited, in its order.
    assert.equal(member.disk(), "append");
    member.tick(0);
    const created = two.take().flatMap((line) => line.match(/PROPOSAL .* create \/n(\d+)/)?.[1] ?? []);
    assert.deepEqual(created.map(Number), Array.from({ length: waiting }, (_, i) => taken + 1 + i));
  });

  test("does not read on the link of a learner that sends without end, and then reads again", () => {
    const { member, one, two } = silent();
    let count = flood(one, 1, appendBytesPause);
    while (!one.link.paused && count < 100) count += flood(one, count + 1, 0);
    assert.ok(count * large.length > appendBytesPause + requestsHeldBytesMax, `${count}`);
    assert.deepEqual([one.link.paused, two.link.paused], [true, false]);
    for (let i = 0; i < 10 && one.link.paused; i++) {
      member.disk();
      member.tick(0);
    }
    assert.equal(one.link.paused, false);
    for (let i = 0; i < 10; i++) {
      member.disk();
      member.tick(0);
    }
    assert.equal(member.peer.ledger.proposed, z(1, 2 + count));
  });

  test("forgets what a learner wanted that is gone", () => {
    const { member, one, two } = silent();
    const taken = flood(one, 1, appendBytesPause);
    flood(one, taken + 1, 2 << 20);
    one.hangUp();
    proposals(two);
    member.disk();
    member.tick(0);
    assert.equal(proposals(two), 0);
  });

  const ticks = (member: LoneMember, count: number, ...fars: readonly Far[]): void => {
    for (let i = 0; i < count && member.peer.isLeading; i++) {
      for (const far of fars) far.send(ping(z(1, 1), touches(session)));
      member.tick(seatTickMs);
    }
  };

  test("makes way within two ticks where clients have to wait, and can't be elected before it is quiet", () => {
    const { member, one, two } = silent();
    const taken = flood(one, 1, appendBytesPause);
    for (const far of [one, two]) far.send(ack(z(1, 2 + taken)));
    ticks(member, 1, one, two);
    assert.equal(member.peer.isLeading, true);
    ticks(member, 1, one, two);
    assert.equal(member.peer.part, "settling");
    assert.match(
      member.note("part_left").message,
      /disk has been silent for 2000 ms, and the others are a quorum/,
    );
    assert.equal(one.closed, true);
    member.tick(seatTickMs);
    assert.equal(member.peer.part, "settling");
    assert.equal(member.disk(), "append");
    assert.equal(member.peer.part, "settling", "the rest has to go to the disk as well");
    assert.equal(member.disk(), "append");
    assert.equal(member.peer.part, "looking");
  });

  test("makes way after syncLimit where nobody has to wait", () => {
    const { member, one, two } = silent();
    for (const far of [one, two]) far.send(ack(z(1, 2)));
    ticks(member, 5, one, two);
    assert.equal(member.peer.isLeading, true);
    ticks(member, 1, one, two);
    assert.equal(member.peer.part, "settling");
  });

  test("stays where the others do not have more", () => {
    const { member, one, two } = silent();
    one.send(ack(z(1, 2)));
    two.hangUp();
    ticks(member, 20, one);
    assert.equal(member.peer.isLeading, true);
  });

  test("is excused while it did not run itself", () => {
    const { member, one, two } = silent();
    for (const far of [one, two]) far.send(ack(z(1, 2)));
    member.tick(4 * seatTickMs);
    ticks(member, 4, one, two);
    assert.equal(member.peer.isLeading, true);
  });

  test("expires nobody whose client waits for an answer", () => {
    const { member, followers: [one, two] } = broadcasting();
    const client = member.client();
    client.connect(0n, null, 2000);
    for (const far of [one, two]) far.send(ack(z(1, 1)));
    client.send(OpCode.Create, createBody("/slow", null));
    ticks(member, 5, one, two);
    assert.deepEqual([member.peer.isLeading, member.peer.counters.sessionsExpired], [true, 0]);
    for (const far of [one, two]) far.send(ack(z(1, 2)));
    ticks(member, 10, one, two);
    assert.equal(member.peer.counters.sessionsExpired, 1);
  });
});

describe("a follower whose disk is silent", () => {
  test("leaves when more waits than memory is good for", () => {
    const { member, leader } = following();
    member.holdsDisk = true;
    let counter = 1;
    for (; member.peer.ledger.bytesWaiting <= followerBytesWaitingMax; counter++) {
      const txn = createTxn(z(1, counter), `/n${counter}`, { data: large });
      leader.send(proposal(txn), commit(z(1, counter)));
    }
    assert.equal(member.peer.learner?.phase, "broadcast");
    leader.send(ping(z(1, 1)));
    member.tick(seatTickMs);
    member.tick(seatTickMs);
    assert.equal(member.peer.part, "settling");
    assert.match(member.note("part_left").message, /disk has been silent for 2000 ms, and \d+ bytes wait/);
  });

  test("tells its leader of clients that wait for an answer as if they had been heard", () => {
    const { member, leader } = following();
    const client = member.client();
    client.connect();
    const asked = leader.take().join();
    const id = BigInt(asked.match(/0x[0-9a-f]+/)?.[0] ?? "0");
    leader.send(
      proposal(sessionTxn(z(1, 1), id)),
      commit(z(1, 1)),
    );
    client.send(OpCode.Create, createBody("/a", null));
    leader.send(ping(z(1, 1)));
    leader.take();
    leader.send(ping(z(1, 1)));
    assert.match(leader.take().join(), new RegExp(`PING .*${id.toString(16)}`));
  });
});
