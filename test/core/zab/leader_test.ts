/**
 * A leader against learners that are played by hand. quorum-protocol 3.3, 4.1 to 4.6, 5, 12.
 *
 * The member is a whole peer, so what a client is told is seen as well. It is server 3 of 1 to 3
 * unless said otherwise.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { quorumLinksMax } from "../../../src/core/base/limits.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { createBody, noBody, pathBody } from "../../support/bodies.ts";
import { broadcasting, type Far, join, LoneMember } from "./lone_member.ts";
import { seatTickMs } from "./seat.ts";
import { SmallDisk } from "./small_disk.ts";
import {
  ack,
  ackEpoch,
  bytes,
  createTxn,
  errorTxn,
  followerInfo,
  join as joined,
  observerInfo,
  packet,
  ping,
  request,
  revalidate,
  touches,
  z,
} from "./told.ts";

const session = 0x0100_0000_0000_0001n;
const timeoutBody = (ms: number) => bytes((w) => w.i32(ms));

/** `count` txns of an epoch, from counter 1. */
const history = (epoch: number, count: number) =>
  Array.from({ length: count }, (_, i) => createTxn(z(epoch, i + 1), `/h${i + 1}`));

function introduce(member: LoneMember, sid: number, accepted = 0): Far {
  const far = member.accept();
  far.send(followerInfo(sid, accepted));
  return far;
}

describe("discovery", () => {
  test("LEADERINFO waits for a quorum, and then for the promise to be durable", () => {
    const member = LoneMember.leading({ sid: 3, voters: [1, 2, 3, 4, 5] });
    member.holdsDisk = true;
    const one = introduce(member, 1);
    assert.deepEqual([one.take(), member.diskBusy], [[], null], "two of five");
    const two = introduce(member, 2);
    assert.deepEqual([one.take(), two.take(), member.diskBusy], [[], [], "epochs"]);
    assert.equal(member.disk(), "epochs");
    assert.deepEqual(member.commands.at(-1), { kind: "epochs", accepted: 1, current: 0 });
    assert.deepEqual([one.take(), two.take()], [["LEADERINFO of epoch 1"], ["LEADERINFO of epoch 1"]]);
  });

  test("the epoch is above all that was accepted, by an observer too", () => {
    const member = LoneMember.leading({ sid: 3, observers: [4] });
    const observer = member.accept();
    observer.send(observerInfo(4, 6));
    const follower = introduce(member, 1, 2);
    assert.deepEqual(follower.take(), ["LEADERINFO of epoch 7"]);
    assert.deepEqual(observer.take(), ["LEADERINFO of epoch 7"]);
    assert.equal(member.store.accepted, 7);
  });

  test("a member that promised a later epoch stays outside, and our next epoch is above its promise", () => {
    const { member, followers } = broadcasting();
    const [one, two] = followers;
    two.hangUp();
    const far = introduce(member, 2, 7);
    assert.deepEqual([member.peer.serving, far.take(), one.closed], [true, ["LEADERINFO of epoch 1"], false]);
    assert.match(member.note("epoch_promised").message, /promised epoch 7 to another and ours is 1/);
    far.hangUp();
    one.hangUp();
    for (let i = 0; i < 20 && member.peer.leader !== null; i++) member.tick(seatTickMs);
    member.elect();
    assert.equal(introduce(member, 1, 1).take()[0], "LEADERINFO of epoch 8");
  });

  test("no packet that claims a later epoch moves a leader, or cuts off the member that it names", () => {
    const { member, followers } = broadcasting();
    for (let i = 0; i < 1000; i++) {
      const isAbsurd = i % 2 === 0;
      const far = introduce(member, 1 + i % 3 % 2, 1 + (isAbsurd ? 65_000 + i : i * 4));
      assert.deepEqual([far.closed, far.take()], isAbsurd ? [true, []] : [false, ["LEADERINFO of epoch 1"]]);
      far.hangUp();
    }
    assert.match(
      member.note("epoch_absurd").message,
      /has accepted epoch \d+ and ours is 1: its data is of another/,
    );
    assert.deepEqual([member.peer.epoch, member.peer.serving, followers.map(({ closed }) => closed)], [
      1,
      true,
      [false, false],
    ]);
    const client = member.client();
    client.connect();
    for (const far of followers) far.send(ack(z(1, 1)));
    assert.notEqual(client.session, null);
  });

  test("nor does an absurd one count while epochs are collected", () => {
    const member = LoneMember.leading({ sid: 3 });
    for (let i = 0; i < 1000; i++) introduce(member, 1, 65_000 + i);
    assert.deepEqual([member.peer.leader?.phase, member.peer.leader?.epoch], ["discovery", 1]);
    assert.equal(introduce(member, 1, 100).take()[0], "LEADERINFO of epoch 101");
  });

  test("a stranger that promised a later epoch ends nothing", () => {
    const { member } = broadcasting();
    const far = introduce(member, 77, 7);
    assert.deepEqual([member.peer.serving, far.take()], [true, ["LEADERINFO of epoch 1"]]);
  });

  test("observers and strangers are no part of any quorum", () => {
    const member = LoneMember.leading({ sid: 3, observers: [4] });
    const others = [observerInfo(4), observerInfo(77), followerInfo(78), observerInfo(1)];
    for (const info of others) member.accept().send(info);
    assert.equal(member.peer.leader?.phase, "discovery");
    introduce(member, 1);
    assert.equal(member.peer.leader?.phase, "acknowledge");
  });

  test("who says to be us is turned away, and the operator is told to look at myid", () => {
    const member = LoneMember.leading({ sid: 3 });
    const twin = introduce(member, 3);
    assert.equal(twin.closed, true);
    assert.match(member.note("sid_twice").message, /look at its myid/);
  });

  test("a sid that comes twice: the later one stays, once it follows", () => {
    const member = LoneMember.leading({ sid: 3 });
    const first = introduce(member, 1);
    const second = introduce(member, 1);
    assert.deepEqual([first.closed, second.closed], [false, false]);
    second.take();
    second.send(ackEpoch(0, 0));
    assert.deepEqual([first.closed, second.closed], [true, false]);
    first.hangUp();
    assert.deepEqual(second.take(), ["DIFF 0:0", "NEWLEADER of epoch 1"]);
  });

  test("observers that no configuration knows may have the same sid; members may not", () => {
    const member = LoneMember.leading({ sid: 3, observers: [4] });
    introduce(member, 1);
    const strangers = [member.accept(), member.accept()];
    for (const far of strangers) far.send(observerInfo(0x1_2345_6789, 0), ackEpoch(0, 0));
    assert.deepEqual(strangers.map(({ closed }) => closed), [false, false]);
    const known = [member.accept(), member.accept()];
    for (const far of known) far.send(observerInfo(4, 0), ackEpoch(0, 0));
    assert.deepEqual(known.map(({ closed }) => closed), [true, false]);
  });

  test("a stranger is served and told of", () => {
    const { member } = broadcasting();
    const stranger = join(member, 77);
    assert.deepEqual(stranger.take().at(-1), "NEWLEADER of epoch 1");
    assert.match(member.note("learner_stranger").message, /not in our configuration/);
  });

  test("whatever else comes first, or in an old form, ends that link alone", () => {
    const { member, followers } = broadcasting();
    const old = packet(11, 0, bytes((w) => w.i64FromNumber(1)));
    const nobody = packet(11, 0);
    for (const first of [ack(z(1, 0)), ackEpoch(0, 0), old, nobody, packet(99, 0), packet(-1, -1)]) {
      const far = member.accept();
      far.send(first);
      assert.equal(far.closed, true);
    }
    assert.deepEqual([followers[0].closed, followers[1].closed, member.peer.serving], [false, false, true]);
  });

  test("an epoch that no ensemble of ours can have is not believed", () => {
    const member = LoneMember.leading({ sid: 3, observers: [4] });
    for (const accepted of [0x1f_fffe, 0x1f_ffff, 0x7fff_ffff, -1]) {
      const far = member.accept();
      far.send(packet(16, accepted * 0x1_0000_0000, observerInfo(4).slice(16, 36)));
      assert.equal(far.closed, true, `accepted ${accepted}`);
    }
    assert.match(member.note("epoch_absurd").message, /another ensemble/);
    assert.deepEqual(introduce(member, 1).take(), ["LEADERINFO of epoch 1"]);
  });
});

describe("before UPTODATE", () => {
  test("a learner has nothing long to say", () => {
    const { member } = broadcasting();
    const far = member.accept();
    far.send(packet(11, 0, new Uint8Array(5000)).slice(0, 16));
    assert.equal(far.closed, true);
    assert.match(member.note("packet_damaged").message, /longer than 4096 bytes/);
  });

  test("its packets may come a byte at a time, or all at once", () => {
    const { member } = broadcasting();
    const far = member.accept();
    for (const byte of followerInfo(1, 1)) far.send(Uint8Array.of(byte));
    assert.deepEqual(far.take(), ["LEADERINFO of epoch 1"]);
    far.send(joined(ackEpoch(-1, 0), ack(z(1, 0)), ack(z(1, 0)).slice(0, 7)));
    far.send(ack(z(1, 0)).slice(7));
    assert.deepEqual(far.take(), ["DIFF 0:0", "NEWLEADER of epoch 1", "UPTODATE"]);
    assert.equal(far.closed, false);
  });
});

describe("ACKEPOCH", () => {
  test("a learner that is ahead loses its link, and the others go on", () => {
    const store = SmallDisk.of(1, history(1, 3), z(1, 3));
    const member = LoneMember.leading({ sid: 3, voters: [1, 2, 3, 4, 5], store });
    const [longer, newer, level, behind] = [1, 2, 4, 5].map((sid) => introduce(member, sid, 1)) as [
      Far,
      Far,
      Far,
      Far,
    ];
    longer.send(ackEpoch(1, z(1, 4)));
    newer.send(ackEpoch(2, z(1, 1)));
    assert.deepEqual([longer.closed, newer.closed], [true, true]);
    assert.match(
      member.note("learner_ahead").message,
      /with epoch 2 and zxid 0x100000001: ours are 1 and 0x100000003/,
    );
    level.send(ackEpoch(1, z(1, 3)));
    behind.send(ackEpoch(0, z(1, 1)));
    assert.equal(member.peer.leader?.phase, "synchronization");
    assert.deepEqual([level.closed, behind.closed], [false, false]);
  });

  test("one that had promised this epoch already is synchronized and not counted", () => {
    const member = LoneMember.leading({ sid: 3 });
    const one = introduce(member, 1);
    one.send(ackEpoch(-1, 0));
    assert.equal(member.peer.leader?.phase, "acknowledge");
    const two = introduce(member, 2);
    two.send(ackEpoch(0, 0));
    assert.equal(member.peer.leader?.phase, "synchronization");
    assert.deepEqual(one.take(), ["LEADERINFO of epoch 1", "DIFF 0:0", "NEWLEADER of epoch 1"]);
  });

  test("without its four bytes, or something else in its place, ends the link", () => {
    const { member } = broadcasting();
    for (const wrong of [packet(18, 0), packet(18, 0, new Uint8Array(3)), ack(0), followerInfo(1)]) {
      const far = introduce(member, 77);
      far.send(wrong);
      assert.equal(far.closed, true);
    }
  });
});

describe("NEWLEADER", () => {
  test("nobody is served before a quorum acknowledged it and our own epoch is durable", () => {
    const member = LoneMember.leading({ sid: 3 });
    const one = introduce(member, 1);
    member.holdsDisk = true;
    one.send(ackEpoch(0, 0));
    assert.equal(member.diskBusy, "epochs");
    one.send(ack(z(1, 0)));
    assert.deepEqual([member.peer.serving, member.peer.leader?.phase], [false, "synchronization"]);
    assert.equal(one.take().includes("UPTODATE"), false);
    member.disk();
    assert.deepEqual(member.commands.at(-1), { kind: "epochs", accepted: 1, current: 1 });
    assert.equal(member.peer.serving, true);
    assert.deepEqual(one.take(), ["UPTODATE"]);
  });

  test("a quorum of followers does not make up for our own epoch", () => {
    const member = LoneMember.leading({ sid: 3 });
    const [one, two] = [introduce(member, 1), introduce(member, 2)];
    member.holdsDisk = true;
    for (const far of [one, two]) far.send(ackEpoch(0, 0));
    for (const far of [one, two]) far.send(ack(z(1, 0)));
    assert.equal(member.peer.serving, false);
    member.disk();
    assert.equal(member.peer.serving, true);
  });

  test("an ACK of another zxid before it is not it", () => {
    const store = SmallDisk.of(1, history(1, 2), z(1, 2));
    const member = LoneMember.leading({ sid: 3, store });
    const one = introduce(member, 1, 1);
    one.send(ackEpoch(1, z(1, 1)));
    // Learners up to 3.9.2 acknowledge what came with the sync first.
    one.send(ack(z(1, 2)), ack(z(1, 0)), ack(z(9, 0)));
    assert.deepEqual([one.closed, member.peer.serving], [false, false]);
    one.send(ack(z(2, 0)));
    assert.equal(member.peer.serving, true);
  });

  test("anything but an ACK in its place ends the link", () => {
    const member = LoneMember.leading({ sid: 3 });
    const one = introduce(member, 1);
    one.send(ackEpoch(0, 0), ping(z(1, 0)));
    assert.equal(one.closed, true);
    assert.equal(member.peer.serving, false);
  });

  test("said before it was sent, is out of turn", () => {
    const member = LoneMember.leading({ sid: 3, voters: [1, 2, 3, 4, 5] });
    const one = introduce(member, 1);
    introduce(member, 2);
    one.send(ackEpoch(0, 0));
    one.send(ack(z(1, 0)));
    assert.equal(one.closed, true);
    assert.match(member.note("packet_early").message, /Ack before its turn/);
  });

  test("carries the configuration, and is the first thing after which pings come", () => {
    const member = LoneMember.leading({ sid: 3 });
    const [one, two] = [introduce(member, 1), introduce(member, 2)];
    one.send(ackEpoch(0, 0));
    const at = one.take().indexOf("NEWLEADER of epoch 1");
    const text = new TextDecoder().decode(one.packets[at]);
    assert.match(text, /server\.1=10\.0\.0\.1:2888:3888:participant\n[^]*version=0/);
    two.take();
    member.tick(seatTickMs);
    assert.deepEqual([one.take(), two.take()], [["PING 1:0"], []], "the other did not get NEWLEADER yet");
  });
});

describe("commit", () => {
  test("a proposal leaves before it is on our own disk, and commits with us as one of the quorum", () => {
    const { member, followers: [one, two] } = broadcasting();
    member.holdsDisk = true;
    const client = member.client();
    client.connect();
    const created = /PROPOSAL 1:1 createSession/;
    assert.match(one.take()[0] ?? "", created);
    assert.match(two.take()[0] ?? "", created);
    one.send(ack(z(1, 1)));
    assert.deepEqual([client.session, one.take()], [null, []], "one follower is no quorum");
    member.disk();
    assert.deepEqual(one.take(), ["COMMIT 1:1"]);
    assert.deepEqual(two.take(), ["COMMIT 1:1"]);
    assert.notEqual(client.session, null);
  });

  test("a quorum of followers commits what we do not have on disk ourselves", () => {
    const { member, followers: [one, two] } = broadcasting();
    member.holdsDisk = true;
    const client = member.client();
    client.connect();
    one.send(ack(z(1, 1)));
    two.send(ack(z(1, 1)));
    assert.notEqual(client.session, null);
    assert.equal(member.store.last, 0);
    member.disk();
    assert.equal(member.store.last, z(1, 1));
  });

  test("our own disk alone commits nothing", () => {
    const { member } = broadcasting();
    const client = member.client();
    client.connect();
    assert.deepEqual([member.store.last, client.session], [z(1, 1), null]);
  });

  test("an ACK of many commits all of them, in order and without a gap", () => {
    const { member, followers: [one, two] } = broadcasting();
    const clients = [1, 2, 3, 4].map(() => member.client());
    for (const client of clients) client.connect();
    one.take();
    two.take();
    two.send(ack(z(1, 3)));
    assert.deepEqual(one.take(), ["COMMIT 1:1", "COMMIT 1:2", "COMMIT 1:3"]);
    assert.deepEqual(clients.map(({ session }) => session !== null), [true, true, true, false]);
    one.send(ack(z(1, 1)), ack(z(1, 2)), ack(z(1, 2)), ack(z(1, 4)));
    assert.deepEqual(two.take(), ["COMMIT 1:1", "COMMIT 1:2", "COMMIT 1:3", "COMMIT 1:4"]);
  });

  test("observers, strangers and sids that lie about their part are counted nowhere", () => {
    const { member, followers: [one] } = broadcasting({ sid: 3, observers: [4] });
    const others = [
      join(member, 4, { observer: true }),
      join(member, 77),
      join(member, 78, { observer: true }),
    ];
    for (const far of others) far.send(ack(z(1, 0)), ack(z(1, 0)));
    const client = member.client();
    client.connect();
    for (const far of others) far.send(ack(z(1, 1)));
    assert.equal(client.session, null);
    one.send(ack(z(1, 1)));
    assert.notEqual(client.session, null);
  });

  test("an ACK of what was never sent ends the link, and counts for nothing", () => {
    const { member, followers: [one, two] } = broadcasting();
    const client = member.client();
    client.connect();
    one.send(ack(z(1, 2)));
    assert.equal(one.closed, true);
    assert.match(member.note("ack_absurd").message, /0x100000002, which it was never sent/);
    assert.equal(client.session, null);
    two.send(ack(z(9, 0)));
    assert.equal(two.closed, true);
  });

  test("an ACK in the same piece as nonsense counts for nothing more than it says", () => {
    const { member, followers: [one] } = broadcasting();
    const client = member.client();
    client.connect();
    one.send(joined(ack(z(1, 1)), packet(3, z(1, 7))));
    assert.equal(one.closed, true);
    assert.equal(client.session, null, "whoever lies is not believed");
  });

  test("observers get INFORM alone, and only of what is committed", () => {
    const { member, followers: [one] } = broadcasting({ sid: 3, observers: [4] });
    const observer = join(member, 4, { observer: true });
    observer.send(ack(z(1, 0)));
    assert.deepEqual(observer.take().slice(-1), ["UPTODATE"]);
    const client = member.client();
    client.connect();
    assert.deepEqual(observer.take(), []);
    one.send(ack(z(1, 1)));
    assert.match(observer.take().join(), /^INFORM 1:1 createSession 0x[0-9a-f]+$/);
  });
});

describe("synchronization", () => {
  const leading = (store: SmallDisk) => {
    const { member } = broadcasting({ sid: 3, store });
    return member;
  };
  const three = () => SmallDisk.of(1, history(1, 3), z(1, 3));
  const synced = (far: Far) => far.take().slice(1);

  test("whoever has all gets an empty DIFF", () => {
    const far = join(leading(three()), 1, { current: 1, zxid: z(1, 3) });
    assert.deepEqual(synced(far), ["DIFF 1:3", "NEWLEADER of epoch 2"]);
  });

  test("whoever misses some gets each with its commit", () => {
    const far = join(leading(three()), 1, { current: 1, zxid: z(1, 1) });
    assert.deepEqual(synced(far), [
      "DIFF 1:3",
      "PROPOSAL 1:2 create /h2",
      "COMMIT 1:2",
      "PROPOSAL 1:3 create /h3",
      "COMMIT 1:3",
      "NEWLEADER of epoch 2",
    ]);
  });

  test("whoever has more of our last epoch is told to cut it off", () => {
    const far = join(leading(three()), 1, { current: 1, zxid: z(1, 5) });
    assert.deepEqual(synced(far), ["TRUNC 1:3", "NEWLEADER of epoch 2"]);
  });

  test("whoever has more of another epoch, or what we never had, gets the tree", () => {
    const mixed = () => SmallDisk.of(4, [...history(1, 2), ...history(4, 1)], z(4, 1));
    for (const zxid of [z(3, 1), z(1, 3), z(2, 0), z(4, 0), -1]) {
      const far = join(leading(mixed()), 1, { current: 4, zxid });
      assert.deepEqual(synced(far).slice(0, 3), ["SNAP 4:1", "(snapshot)", "NEWLEADER of epoch 5"]);
    }
  });

  test("what memory forgot is read from the log", () => {
    const store = three();
    const { member } = broadcasting({ sid: 3, store, ensemble: { historyBytesMax: 1 } });
    const far = join(member, 1, { current: 1, zxid: z(1, 1) });
    assert.deepEqual(synced(far), [
      "DIFF 1:3",
      "PROPOSAL 1:2 create /h2",
      "COMMIT 1:2",
      "PROPOSAL 1:3 create /h3",
      "COMMIT 1:3",
      "NEWLEADER of epoch 2",
    ]);
  });

  test("where the log does not reach back so far, or has another txn there, the tree is sent", () => {
    const store = SmallDisk.of(4, [...history(1, 2), ...history(4, 3)], z(4, 3));
    const { member } = broadcasting({ sid: 3, store, ensemble: { historyBytesMax: 1 } });
    assert.deepEqual(synced(join(member, 1, { current: 4, zxid: z(1, 7) }))[0], "SNAP 4:3");
    store.logFloor = z(4, 1);
    assert.deepEqual(synced(join(member, 1, { current: 4, zxid: z(1, 1) }))[0], "SNAP 4:3");
  });

  test("a late joiner gets what is committed before NEWLEADER, and what is in flight behind it", () => {
    const { member, followers: [one, two] } = broadcasting();
    const clients = [1, 2, 3].map(() => member.client());
    for (const client of clients) client.connect();
    one.send(ack(z(1, 1)));
    two.hangUp();
    const late = join(member, 2);
    assert.deepEqual(late.take().map((line) => line.replace(/ 0x.*/, "")), [
      "LEADERINFO of epoch 1",
      "DIFF 1:1",
      "PROPOSAL 1:1 createSession",
      "COMMIT 1:1",
      "NEWLEADER of epoch 1",
      "PROPOSAL 1:2 createSession",
      "PROPOSAL 1:3 createSession",
    ]);
    // What goes on meanwhile comes at once, also before its ACK of NEWLEADER.
    one.send(ack(z(1, 2)));
    assert.deepEqual(late.take(), ["COMMIT 1:2"]);
    late.send(ack(z(1, 0)));
    assert.deepEqual(late.take(), ["UPTODATE"]);
    late.send(ack(z(1, 0)), ack(z(1, 1)), ack(z(1, 2)), ack(z(1, 3)));
    assert.deepEqual(one.take().slice(-1), ["COMMIT 1:3"]);
  });

  test("a follower that comes again is not counted with what it had acknowledged before", () => {
    const { member, followers: [one] } = broadcasting();
    const client = member.client();
    member.holdsDisk = true;
    client.connect();
    one.send(ack(z(1, 1)));
    one.hangUp();
    // It may have cut its log meanwhile.
    join(member, 1);
    member.disk();
    assert.equal(client.session, null);
  });

  test("nor is one that comes again before we noticed the end of its first link", () => {
    const { member, followers: [one] } = broadcasting();
    const client = member.client();
    member.holdsDisk = true;
    client.connect();
    one.send(ack(z(1, 1)));
    join(member, 1);
    assert.equal(one.closed, true);
    member.disk();
    assert.equal(client.session, null);
  });

  test("an observer that would be one too many is turned away; voters never are", () => {
    const options = { sid: 3, store: three(), ensemble: { snapSyncsMax: 0 } };
    const { member } = broadcasting(options);
    const observer = join(member, 77, { observer: true, current: 1, zxid: -1 });
    assert.equal(observer.closed, true);
    assert.match(member.note("sync_throttled").message, /0 snap syncs/);
    const voter = join(member, 1, { current: 1, zxid: -1 });
    assert.equal(voter.take().includes("(snapshot)"), true);
  });
});

describe("all places taken", () => {
  test("by links that say nothing, or by strangers: a member gets in all the same", () => {
    const { member, followers: [one, two] } = broadcasting();
    const silent = Array.from({ length: 300 }, () => member.accept());
    const strangers = Array.from({ length: 300 }, (_, i) => join(member, 1000 + i, { observer: true }));
    assert.equal(silent.every(({ closed }, i) => closed === i < 300 - (quorumLinksMax - 302)), true);
    one.hangUp();
    assert.equal(join(member, 1).closed, false);
    for (let i = 0; i < 300; i++) member.accept();
    assert.equal(join(member, 2).closed, false);
    assert.deepEqual([two.closed, member.peer.isLeading], [true, true], "2 came again");
    assert.equal(strangers.some(({ closed }) => closed), false, "who says nothing goes first");
  });

  test("a byte now and then is no reason to stay", () => {
    const { member } = broadcasting();
    const slow = member.accept();
    const info = followerInfo(77);
    for (let i = 0; i < 12; i++) {
      slow.send(info.slice(i, i + 1));
      member.tick(seatTickMs);
      for (const far of member.fars.values()) if (far !== slow) far.send(ping(z(1, 0)));
    }
    assert.equal(slow.closed, true);
    assert.match(member.note("learner_silent").message, /did not say who it is for 10000 ms/);
  });

  test("before anybody leads the oldest link that waits goes", () => {
    const member = new LoneMember({ sid: 3 });
    member.begin();
    const links = Array.from({ length: quorumLinksMax + 3 }, () => member.accept());
    assert.deepEqual(links.map(({ closed }) => closed).lastIndexOf(true), 2);
  });
});

describe("observers that do not read", () => {
  test("keep others out for as long as they hold too much, and never a voter", () => {
    const { member } = broadcasting({ sid: 3, store: SmallDisk.of(1, history(1, 3), z(1, 3)) });
    const asleep = join(member, 77, { observer: true, current: 1, zxid: z(1, 1) });
    asleep.link.unsentBytes = 65 << 20;
    const second = join(member, 78, { observer: true, current: 1, zxid: z(1, 1) });
    assert.equal(second.closed, true);
    assert.match(member.note("sync_throttled").message, /other observers left 68157440 bytes unread/);
    assert.equal(join(member, 1, { current: 1, zxid: z(1, 1) }).closed, false);
    // Far beyond what one may leave, it goes.
    member.tick(10);
    assert.equal(asleep.closed, true);
    assert.match(member.note("learner_slow").message, /68157440 bytes wait/);
    assert.equal(join(member, 78, { observer: true, current: 1, zxid: z(1, 1) }).closed, false);
  });
});

describe("time", () => {
  test("without a quorum of FOLLOWERINFO a leader looks again after initLimit", () => {
    const member = LoneMember.leading({ sid: 3 });
    for (let i = 0; i < 11; i++) member.tick(seatTickMs);
    assert.equal(member.peer.leader, null);
    assert.match(member.note("part_left").message, /no quorum in discovery after 10000 ms/);
  });

  test("followers that say nothing for syncLimit are let go, and then the leader goes too", () => {
    const { member, followers: [one, two] } = broadcasting();
    const client = member.client();
    client.connect();
    one.send(ack(z(1, 1)));
    assert.notEqual(client.session, null);
    for (let i = 0; i < 5 && member.peer.isLeading; i++) {
      member.tick(seatTickMs);
      one.send(ping(z(1, 1)));
    }
    assert.deepEqual([member.peer.isLeading, two.closed], [true, false]);
    for (let i = 0; i < 8 && member.peer.isLeading; i++) member.tick(seatTickMs);
    assert.deepEqual([member.peer.isLeading, one.closed, two.closed], [false, true, true]);
    assert.equal(client.closed, true, "its clients have to look for another server");
    assert.match(member.note("part_left").message, /no quorum/);
  });

  test("followers whose links we pause, while our disk is behind, are not taken for silent", () => {
    const { member, followers: [one, two] } = broadcasting();
    one.link.paused = two.link.paused = true;
    for (let i = 0; i < 12; i++) member.tick(seatTickMs);
    assert.deepEqual([member.peer.isLeading, one.closed, two.closed], [true, false, false]);
    one.link.paused = two.link.paused = false;
    for (let i = 0; i < 12 && member.peer.isLeading; i++) member.tick(seatTickMs);
    assert.equal(member.peer.isLeading, false);
  });

  test("the end of the last needed link is noticed within a tick", () => {
    const { member, followers: [one, two] } = broadcasting();
    one.hangUp();
    member.tick(seatTickMs);
    assert.equal(member.peer.isLeading, true);
    two.hangUp();
    member.tick(seatTickMs);
    member.tick(seatTickMs);
    assert.equal(member.peer.isLeading, false);
  });

  test("a follower that answers pings and acknowledges nothing is let go after syncLimit", () => {
    const { member, followers: [one, two] } = broadcasting();
    member.client().connect();
    for (let i = 0; i < 8; i++) {
      member.tick(seatTickMs);
      one.send(ping(z(1, 1)));
      two.send(ack(z(1, 1)), ping(z(1, 1)));
    }
    assert.deepEqual([one.closed, two.closed, member.peer.isLeading], [true, false, true]);
    assert.match(member.note("learner_late").message, /0x100000001 was not acknowledged/);
  });

  test("when all learners have told that they look elsewhere, a leader does not wait for initLimit", () => {
    const { member, followers: [one, two] } = broadcasting();
    one.hangUp();
    two.hangUp();
    assert.equal(member.peer.isLeading, true, "not yet: they may come back at once");
    member.tick(seatTickMs);
    member.tick(seatTickMs);
    assert.equal(member.peer.part === "leading", false);
  });
});

describe("the end of an epoch", () => {
  const near = () => SmallDisk.of(1, history(1, 1), z(1, 1));

  test("its last counter is never proposed: the leader steps down instead", () => {
    const { member, followers: [one] } = broadcasting({ sid: 3, store: near() });
    assert.equal(member.peer.leader?.epoch, 2);
    // Two billion txns later.
    member.peer.ledger.reset(z(2, 0xffff_fffd) as never);
    member.peer.applier.zxid = z(2, 0xffff_fffd);
    const [last, over] = [member.client(), member.client()];
    last.connect();
    assert.match(one.take()[0] ?? "", /^PROPOSAL 2:4294967294 /);
    assert.equal(member.peer.isLeading, true);
    over.connect();
    assert.deepEqual([member.peer.isLeading, one.closed, over.closed], [false, true, true]);
    assert.deepEqual(one.take(), []);
    assert.match(member.note("part_left").message, /epoch 2 has no zxids left/);
    assert.equal(member.store.last, z(2, 0xffff_fffe));
  });
});

test("behind the last epoch there is none, and the operator is told what to do", () => {
  const member = LoneMember.leading({ sid: 3, store: SmallDisk.of(0x1f_ffff, [], 0) });
  introduce(member, 1, 0x1f_ffff);
  assert.equal(member.store.accepted, 0x1f_ffff);
  member.tick(10);
  assert.equal(member.peer.leader, null);
  assert.match(member.note("part_left").message, /start a new ensemble/);
});

describe("requests of a learner's clients", () => {
  const opened = () => {
    const all = broadcasting();
    const { followers: [one, two] } = all;
    one.send(request(session, 0, OpCode.CreateSession, timeoutBody(10_000), undefined));
    one.send(ack(z(1, 1)));
    one.take();
    two.take();
    return all;
  };

  test("become proposals with session and cxid as they came", () => {
    const { followers: [one, two] } = opened();
    one.send(request(session, 7, OpCode.Create, createBody("/a", null)));
    assert.deepEqual(two.take(), ["PROPOSAL 1:2 create /a"]);
    const view = new DataView(two.packets.at(-1)?.slice(16).buffer as ArrayBuffer);
    assert.deepEqual([view.getBigInt64(0), view.getInt32(8)], [session, 7]);
  });

  test("that are refused become error txns, and keep their place", () => {
    const { followers: [one, two] } = opened();
    one.send(
      request(session, 1, OpCode.Create, createBody("/a/b", null)),
      request(session, 2, OpCode.Create, createBody("/a", null)),
      request(session, 3, OpCode.Create, createBody("/a", null)),
    );
    assert.deepEqual(two.take(), [
      "PROPOSAL 1:2 error -101",
      "PROPOSAL 1:3 create /a",
      "PROPOSAL 1:4 error -110",
    ]);
  });

  test("of a session that nobody knows are refused as expired", () => {
    const { followers: [one] } = opened();
    one.send(request(77n, 1, OpCode.Create, createBody("/a", null)));
    assert.deepEqual(one.take(), ["PROPOSAL 1:2 error -112"]);
  });

  test("from another learner than the session's are refused as moved, until it is revalidated there", () => {
    const { followers: [one, two] } = opened();
    two.send(request(session, 1, OpCode.Create, createBody("/a", null)));
    assert.deepEqual(two.take(), ["PROPOSAL 1:2 error -118"]);
    two.send(revalidate(session));
    assert.deepEqual(two.take(), [`REVALIDATE 0x${session.toString(16)} true`]);
    two.send(request(session, 2, OpCode.Create, createBody("/a", null)));
    assert.deepEqual(two.take(), ["PROPOSAL 1:3 create /a"]);
    one.take();
    one.send(request(session, 3, OpCode.Create, createBody("/b", null)));
    assert.deepEqual(one.take(), ["PROPOSAL 1:4 error -118"]);
  });

  test("REVALIDATE of a session that is unknown or closing says so, in the order asked", () => {
    const { followers: [one] } = opened();
    one.send(revalidate(77n), revalidate(session), revalidate(78n));
    assert.deepEqual(one.take(), [
      "REVALIDATE 0x4d false",
      `REVALIDATE 0x${session.toString(16)} true`,
      "REVALIDATE 0x4e false",
    ]);
    one.send(request(session, 9, OpCode.CloseSession, noBody));
    one.take();
    one.send(revalidate(session));
    assert.deepEqual(one.take(), [`REVALIDATE 0x${session.toString(16)} false`]);
  });

  test("closeSession lists the ephemerals", () => {
    const { followers: [one] } = opened();
    one.send(request(session, 1, OpCode.Create, createBody("/e", null, 1)));
    one.send(ack(z(1, 2)));
    one.send(request(session, 2, OpCode.CloseSession, noBody));
    const closing = new TextDecoder().decode(one.packets.at(-1));
    assert.match(closing, /\/e/);
  });

  test("too short for their head, or of an op that is none, change nothing", () => {
    const { member, followers: [one, two] } = opened();
    one.send(request(session, 1, 12345, noBody));
    assert.deepEqual([one.closed, two.take()], [false, []]);
    assert.match(member.note("request_unknown").message, /op 12345/);
    one.send(packet(1, -1, new Uint8Array(15)));
    assert.equal(one.closed, true);
  });

  test("with a body that is cut or garbage get an error txn", () => {
    const { followers: [one, two] } = opened();
    const whole = createBody("/a", new TextEncoder().encode("hello"));
    for (let cut = 0; cut < whole.length; cut++) {
      one.send(request(session, cut, OpCode.Create, whole.slice(0, cut)));
      const told = two.take().join();
      assert.match(told, /^PROPOSAL \S+ error -/, `cut at ${cut}: ${told}`);
    }
  });

  test("touched sessions in answers to PING live on; the others expire", () => {
    const { member, followers: [one, two] } = opened();
    const second = session + 1n;
    one.send(request(second, 0, OpCode.CreateSession, timeoutBody(4000), undefined), ack(z(1, 2)));
    two.take();
    for (let i = 0; i < 6; i++) {
      member.tick(seatTickMs);
      one.send(ping(z(1, 2), touches(session, 0xdead_beefn)));
      two.send(ack(z(1, 2)), ping(z(1, 2)));
    }
    const closed = two.take().filter((line) => line.startsWith("PROPOSAL"));
    assert.deepEqual(closed, [`PROPOSAL 1:3 closeSession 0x${second.toString(16)}`]);
  });
});

describe("sync", () => {
  const sync = (cxid: number) => request(session, cxid, OpCode.Sync, pathBody("/"));

  test("is answered once a quorum answered a ping that was sent after it", () => {
    const { member, followers: [one, two] } = broadcasting();
    one.send(sync(1));
    assert.deepEqual([one.take(), two.take()], [["PING 1:0"], ["PING 1:0"]]);
    two.send(ping(z(1, 0)));
    assert.deepEqual(one.take(), ["SYNC"]);
    assert.equal(member.peer.isLeading, true);
  });

  test("is answered behind the commit of all that was proposed when it came", () => {
    const { member, followers: [one, two] } = broadcasting();
    member.client().connect();
    one.take();
    one.send(sync(1));
    one.send(ping(z(1, 1)));
    assert.deepEqual(one.take(), ["PING 1:1"]);
    two.send(ack(z(1, 1)));
    assert.deepEqual(one.take(), ["COMMIT 1:1", "SYNC"]);
  });

  test("many are answered in their order, one each", () => {
    const { followers: [one] } = broadcasting();
    one.send(sync(1), sync(2), sync(3));
    one.send(ping(z(1, 0)), ping(z(1, 0)), ping(z(1, 0)));
    assert.equal(one.take().filter((line) => line === "SYNC").length, 3);
  });

  test("is not answered by a leader whose followers are silent", () => {
    const { member, followers: [one, two] } = broadcasting();
    const observer = join(member, 77, { observer: true });
    observer.send(ack(z(1, 0)));
    observer.take();
    observer.send(sync(1));
    observer.send(ping(z(1, 0)), ping(z(1, 0)));
    assert.equal(observer.take().includes("SYNC"), false, "an observer is no quorum");
    assert.equal(one.take().length + two.take().length > 0, true);
  });
});

test("an error txn travels like any other", () => {
  const store = SmallDisk.of(1, [createTxn(z(1, 1), "/a"), errorTxn(z(1, 2), -110)], z(1, 2));
  const { member } = broadcasting({ sid: 3, store });
  const far = join(member, 1, { current: 1, zxid: z(1, 1) });
  assert.deepEqual(far.take().slice(1, 4), ["DIFF 1:2", "PROPOSAL 1:2 error -110", "COMMIT 1:2"]);
});
