/**
 * A follower that serves observers, between a leader and observers that are played by hand.
 * quorum-protocol 8.3.
 *
 * The member is a whole peer, server 1 of 1 to 3; the leader is server 3.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { quorumLinksMax } from "../../../src/core/base/limits.ts";
import { PacketType } from "../../../src/core/wire/packets.ts";
import { createBody, pathBody } from "../../support/bodies.ts";
import { type Far, following, type LoneMember } from "./lone_member.ts";
import { type SeatOptions, seatTickMs } from "./seat.ts";
import { SmallDisk } from "./small_disk.ts";
import {
  ack,
  ackEpoch,
  bytes,
  commit,
  createTxn,
  errorTxn,
  followerInfo,
  inform,
  join as joined,
  observerInfo,
  packet,
  ping,
  proposal,
  request,
  revalidate,
  revalidated,
  sessionTxn,
  sync,
  touches,
  z,
} from "./told.ts";

const session = 0x0700_0000_0000_0001n;
const own = 0x0100_0000_0000_0002n;
const history = (epoch: number, count: number) =>
  Array.from({ length: count }, (_, i) => createTxn(z(epoch, i + 1), `/h${i + 1}`));

function serving(options: Partial<SeatOptions> = {}): { member: LoneMember; leader: Far } {
  const made = following({ sid: 1, ...options, ensemble: { observerMasters: true, ...options.ensemble } });
  assert.equal(made.member.peer.servesObservers, true);
  return made;
}

/** Up to its sync; what it was told since then is still to be taken. */
function introduced(member: LoneMember, zxid = 0, sid = 77): Far {
  const far = member.accept("observers");
  far.send(observerInfo(sid, 0));
  assert.deepEqual(far.take(), ["LEADERINFO of epoch 1"]);
  far.send(ackEpoch(0, zxid));
  return far;
}

function active(member: LoneMember, zxid = 0, sid = 77): Far {
  const far = introduced(member, zxid, sid);
  far.take();
  far.send(ack(z(1, 0)), ack(z(1, 0)));
  assert.deepEqual(far.take(), ["UPTODATE"]);
  return far;
}

const propose = (leader: Far, ...txns: readonly Uint8Array[]): void => {
  for (const txn of txns) leader.send(proposal(txn));
};

describe("who is served", () => {
  test("nobody before we follow, and nobody where it was not asked for", () => {
    const { member } = following({ sid: 1 });
    assert.equal(member.peer.servesObservers, false);
    assert.equal(member.accept("observers").closed, true);
    const late = serving();
    late.leader.hangUp();
    assert.equal(late.member.peer.servesObservers, false);
    assert.equal(late.member.accept("observers").closed, true);
  });

  test("observers alone", () => {
    const { member } = serving();
    const far = member.accept("observers");
    far.send(followerInfo(2, 1));
    assert.equal(far.closed, true);
    assert.match(member.note("packet_first").message, /this port is for observers/);
  });

  test("not who has promised a later leader", () => {
    const { member } = serving();
    const far = member.accept("observers");
    far.send(observerInfo(77, 2));
    assert.deepEqual([far.take(), far.closed], [[], true]);
    assert.match(member.note("epoch_later").message, /accepted epoch 2, ours is 1/);
  });

  test("who says nothing holds no place, neither for long nor against who comes", () => {
    const { member, leader } = serving();
    const observer = active(member);
    const silent = Array.from({ length: quorumLinksMax - 1 }, () => member.accept("observers"));
    assert.equal(active(member, 0, 78).closed, false);
    assert.deepEqual([silent[0]?.closed, silent[1]?.closed, observer.closed], [true, false, false]);
    for (let i = 0; i < 11; i++) {
      member.tick(seatTickMs);
      leader.send(ping(0));
      silent[1]?.send(new Uint8Array(1));
      if (i < 10) observer.send(ping(0));
    }
    assert.deepEqual([silent[1]?.closed, observer.closed], [true, false]);
  });

  test("an observer without a number, and two with the same", () => {
    const { member } = serving();
    const far = [introduced(member, 0, -1), introduced(member, 0, 5), introduced(member, 0, 5)];
    assert.deepEqual(far.map(({ closed }) => closed), [false, false, false]);
  });

  test("bytes that are no packet end the link and nothing else", () => {
    const { member, leader } = serving();
    const [good, bad] = [active(member), active(member)];
    bad.send(bytes((w) => {
      w.i32(5);
      w.i64FromNumber(0);
      w.i32(0x7fff_ffff);
    }));
    assert.deepEqual([bad.closed, good.closed, leader.closed], [true, false, false]);
    assert.equal(member.told.includes("packet_damaged"), true);
  });
});

describe("getting level", () => {
  test("what is missing comes as DIFF, then NEWLEADER, and UPTODATE when that is acknowledged", () => {
    const { member } = serving({ store: SmallDisk.of(0, [], 0, 0) });
    const far = introduced(member);
    assert.deepEqual(far.take(), ["DIFF 0:0", "NEWLEADER of epoch 1"]);
    far.send(ack(z(1, 0)));
    assert.deepEqual(far.take(), ["UPTODATE"]);
    far.send(ack(z(1, 0)));
    assert.deepEqual([far.take(), far.closed], [[], false]);
  });

  test("what is proposed and not committed is not told, and is told when it commits", () => {
    const { member, leader } = serving();
    propose(leader, ...history(1, 3));
    leader.send(commit(z(1, 1)));
    const far = introduced(member);
    assert.deepEqual(far.take(), [
      "DIFF 1:1",
      "PROPOSAL 1:1 create /h1",
      "COMMIT 1:1",
      "NEWLEADER of epoch 1",
    ]);
    leader.send(commit(z(1, 2)));
    assert.deepEqual(far.take(), ["INFORM 1:2 create /h2"], "before its ACK too: nothing may be missed");
    far.send(ack(z(1, 0)));
    leader.send(commit(z(1, 3)));
    assert.deepEqual(far.take(), ["UPTODATE", "INFORM 1:3 create /h3"]);
  });

  test("who is ahead of us waits until we have what it has", () => {
    const { member, leader } = serving();
    propose(leader, ...history(1, 3));
    leader.send(commit(z(1, 1)));
    const far = introduced(member, z(1, 3));
    assert.deepEqual(far.take(), []);
    leader.send(commit(z(1, 2)));
    assert.deepEqual(far.take(), []);
    leader.send(commit(z(1, 3)));
    assert.deepEqual(far.take(), ["DIFF 1:3", "NEWLEADER of epoch 1"]);
    assert.deepEqual(active(member, z(1, 3)).closed, false);
  });

  test("who is ahead by what nobody knows is given up", () => {
    const { member } = serving();
    const far = introduced(member, z(1, 9));
    for (let i = 0; i < 12; i++) member.tick(seatTickMs);
    assert.equal(far.closed, true);
  });

  test("a history that is too old is answered with the tree", () => {
    const { member, leader } = serving({ ensemble: { historyBytesMax: 1 } });
    for (const [at, txn] of history(1, 5).entries()) {
      propose(leader, txn);
      leader.send(commit(z(1, at + 1)));
    }
    member.store.logFloor = z(1, 5);
    const far = introduced(member);
    assert.deepEqual(far.take(), ["SNAP 1:5", "(snapshot)", "NEWLEADER of epoch 1"]);
  });

  test("who has nothing gets the tree where the history is more", () => {
    const { member, leader } = serving({ ensemble: { snapshotStepBytes: 500 } });
    for (let i = 1; i <= 100; i++) leader.send(proposal(errorTxn(z(1, i), -101)), commit(z(1, i)));
    assert.deepEqual(introduced(member).take(), ["SNAP 1:100", "(snapshot)", "NEWLEADER of epoch 1"]);
    assert.equal(introduced(member, z(1, 1)).take()[0], "DIFF 1:100");
  });

  test("packets before their turn end the link", () => {
    for (
      const early of [
        ping(0),
        ack(z(1, 0)),
        request(session, 1, OpCode.Create, createBody("/x", bytes(() => {}))),
      ]
    ) {
      const { member } = serving();
      const far = member.accept("observers");
      far.send(observerInfo(77), early);
      assert.equal(far.closed, true);
    }
  });
});

describe("in between", () => {
  test("each commit is told once, to all, in order", () => {
    const { member, leader } = serving();
    const observers = [active(member, 0, 7), active(member, 0, 8)];
    propose(leader, ...history(1, 3));
    for (const far of observers) assert.deepEqual(far.take(), []);
    leader.send(commit(z(1, 1)), commit(z(1, 2)), commit(z(1, 3)));
    for (const far of observers) {
      assert.deepEqual(far.take(), [
        "INFORM 1:1 create /h1",
        "INFORM 1:2 create /h2",
        "INFORM 1:3 create /h3",
      ]);
    }
  });

  test("a change of members is told with the leader that was told to us", () => {
    const { member, leader } = serving();
    const far = active(member);
    const designated = bytes((w) => w.i64(2n));
    const txn = createTxn(z(1, 1), "/reconfig");
    propose(leader, txn, createTxn(z(1, 2), "/next"));
    leader.send(packet(PacketType.CommitAndActivate, z(1, 1), designated), commit(z(1, 2)));
    const [told, next] = far.packets.slice(-2);
    assert.deepEqual(told, packet(PacketType.InformAndActivate, z(1, 1), joined(designated, txn)));
    assert.deepEqual(next, inform(createTxn(z(1, 2), "/next")));
  });

  test("a request goes on as it is, byte for byte", () => {
    const { member, leader } = serving();
    const far = active(member);
    leader.take();
    const ids = [{ scheme: "ip", id: "10.0.0.1" }, { scheme: "digest", id: "a:b" }];
    for (const told of [undefined, ids]) {
      const asked = request(session, 9, OpCode.Create, createBody("/x", bytes(() => {})), told);
      far.send(asked);
      assert.deepEqual(leader.packets.at(-1), asked);
    }
  });

  test("answers to syncs find who asked, in the order asked, behind the commits before them", () => {
    const { member, leader } = serving();
    const [one, two] = [active(member, 0, 7), active(member, 0, 8)];
    const ask = (far: Far, cxid: number): void =>
      far.send(request(session, cxid, OpCode.Sync, pathBody("/")));
    ask(one, 1);
    ask(two, 2);
    ask(one, 3);
    propose(leader, ...history(1, 1));
    leader.send(commit(z(1, 1)), sync);
    assert.deepEqual([one.take(), two.take()], [["INFORM 1:1 create /h1", "SYNC"], [
      "INFORM 1:1 create /h1",
    ]]);
    leader.send(sync, sync);
    assert.deepEqual([one.take(), two.take()], [["SYNC"], ["SYNC"]]);
    leader.send(sync);
    assert.deepEqual([one.take(), two.take()], [[], []], "one that nobody waits for");
  });

  test("an observer that left gets no answer, and its place in the order stays", () => {
    const { member, leader } = serving();
    const [one, two] = [active(member, 0, 7), active(member, 0, 8)];
    one.send(request(session, 1, OpCode.Sync, pathBody("/")));
    two.send(request(session, 2, OpCode.Sync, pathBody("/")));
    one.hangUp();
    leader.send(sync);
    assert.deepEqual(two.take(), []);
    leader.send(sync);
    assert.deepEqual(two.take(), ["SYNC"]);
  });

  test("whether a session lives is asked above, and told to who asked", () => {
    const { member, leader } = serving();
    const [one, two] = [active(member, 0, 7), active(member, 0, 8)];
    leader.take();
    one.send(revalidate(session));
    two.send(revalidate(session));
    assert.equal(leader.take().length, 2);
    leader.send(revalidated(session, true));
    assert.deepEqual([one.take(), two.take()], [["REVALIDATE 0x700000000000001 true"], []]);
    leader.send(revalidated(session, false));
    assert.deepEqual([one.take(), two.take()], [[], ["REVALIDATE 0x700000000000001 false"]]);
  });

  test("sessions that observers heard are told with our own", () => {
    const { member, leader } = serving();
    const far = active(member);
    propose(leader, sessionTxn(z(1, 1), session), sessionTxn(z(1, 2), own));
    leader.send(commit(z(1, 1)), commit(z(1, 2)));
    far.send(ping(0, touches(session, 0x99n)));
    leader.take();
    leader.send(ping(z(1, 2)));
    assert.deepEqual(leader.take(), ["PING 1:2 0x700000000000001"], "of one that nobody has nothing is said");
  });

  test("pings come every half tick, and who answers none is left", () => {
    const { member, leader } = serving();
    const [quiet, alive] = [active(member, 0, 7), active(member, 0, 8)];
    let pings = 0;
    for (let i = 0; i < 70; i++) {
      member.tick(seatTickMs / 10);
      leader.send(ping(0));
      pings += quiet.take().length;
      for (const _ of alive.take()) alive.send(ping(0));
    }
    assert.ok(pings >= 9 && pings <= 11, `${pings} pings in five ticks`);
    assert.deepEqual([quiet.closed, alive.closed], [true, false]);
  });

  test("when the leader is lost all observers are told by the end of their links", () => {
    const { member, leader } = serving();
    const observers = [active(member), introduced(member), member.accept("observers")];
    leader.hangUp();
    assert.deepEqual(observers.map(({ closed }) => closed), [true, true, true]);
    assert.equal(member.peer.servesObservers, false);
  });

  test("half a request, or less, ends the link", () => {
    const { member, leader } = serving();
    leader.take();
    for (const type of [PacketType.Request, PacketType.Revalidate]) {
      const far = active(member);
      far.send(packet(type, -1, new Uint8Array(7)));
      assert.equal(far.closed, true);
    }
    assert.deepEqual(leader.take(), []);
  });
});
