/**
 * A learner against a leader that is played by hand. quorum-protocol 3.3, 4.4, 4.7, 5, 12.
 *
 * The member is a whole peer, server 1 of 1 to 3 unless said otherwise; the leader is server 3.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { PacketType } from "../../../src/core/wire/packets.ts";
import { passwordOf } from "../../../src/core/session/password.ts";
import { sessionIdOf } from "../../../src/core/base/zxid.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { SnapshotWriter } from "../../../src/core/zab/snapshot_writer.ts";
import { createBody, pathBody, pathWatchBody } from "../../support/bodies.ts";
import { Side } from "./history.ts";
import { type Far, following, LoneMember } from "./lone_member.ts";
import { type SeatClient, seatTickMs } from "./seat.ts";
import { SmallDisk } from "./small_disk.ts";
import {
  type Bytes,
  bytes,
  commit,
  createTxn,
  diff,
  errorTxn,
  inform,
  join,
  leaderInfo,
  newLeader,
  packet,
  ping,
  proposal,
  revalidated,
  sessionTxn,
  snap,
  sync,
  trunc,
  upToDate,
  z,
} from "./told.ts";

const history = (epoch: number, count: number) =>
  Array.from({ length: count }, (_, i) => createTxn(z(epoch, i + 1), `/h${i + 1}`));

/** What follows a SNAP packet: a tree with these znodes, and one session. */
function snapshot(zxid: number, paths: readonly string[]): Bytes {
  const side = new Side();
  side.tree.makeReserved();
  side.apply(sessionTxn(z(1, 1), 0x0300_0000_0000_0001n));
  paths.forEach((path, i) => side.apply(createTxn(z(1, i + 2), path)));
  const w = new Writer();
  new SnapshotWriter(side.tree, side.sessions, zxid).fill(w, Infinity);
  return w.copy();
}

const kinds = (member: LoneMember) => member.commands.map(({ kind }) => kind);
const has = (member: LoneMember, path: string) => member.peer.tree.findText(path) !== 0;
const onDisk = (member: LoneMember) => member.store.txns.map(({ zxid }) => zxid);

/** That it left its leader, and why. */
function left(member: LoneMember, leader: Far, event: string, why: RegExp): void {
  assert.equal(leader.closed, true, `it stays: ${member.told.join(", ")}`);
  assert.equal(member.peer.learner, null);
  assert.match(member.note(event).message, why);
}

describe("discovery", () => {
  test("the promise is durable before ACKEPOCH leaves", () => {
    const { member, leader } = LoneMember.learning({ sid: 1 });
    assert.deepEqual(leader.take(), ["FOLLOWERINFO of 1, accepted 0"]);
    member.holdsDisk = true;
    leader.send(leaderInfo(4));
    assert.deepEqual([leader.take(), member.diskBusy], [[], "epochs"]);
    member.disk();
    assert.deepEqual(member.commands, [{ kind: "epochs", accepted: 4, current: 0 }]);
    assert.deepEqual(leader.take(), ["ACKEPOCH 0:0, current 0"]);
  });

  test("ACKEPOCH tells the end of the log and the epoch of the last leader followed", () => {
    const store = SmallDisk.of(2, [...history(1, 3), createTxn(z(2, 1), "/b")], z(1, 3), 3);
    const { leader } = LoneMember.learning({ sid: 1, store });
    assert.deepEqual(leader.take(), ["FOLLOWERINFO of 1, accepted 3"]);
    leader.send(leaderInfo(4));
    assert.deepEqual(leader.take(), ["ACKEPOCH 2:1, current 2"]);
  });

  test("an epoch that was promised already is answered with -1, and is not stored again", () => {
    const { member, leader } = LoneMember.learning({ sid: 1, store: SmallDisk.of(1, [], 0, 4) });
    leader.take();
    leader.send(leaderInfo(4));
    assert.deepEqual([leader.take(), kinds(member)], [["ACKEPOCH 0:0, current -1"], []]);
  });

  test("an epoch below the promise is refused, and the promise stays", () => {
    const { member, leader } = LoneMember.learning({ sid: 1, store: SmallDisk.of(1, [], 0, 4) });
    leader.send(leaderInfo(3));
    left(member, leader, "epoch_old", /offers epoch 3, and 4 is promised already/);
    assert.equal(member.store.accepted, 4);
  });

  test("who is refused again and again does not come back a hundred times a second", () => {
    const { member, leader } = LoneMember.learning({ sid: 1, store: SmallDisk.of(1, [], 0, 4) });
    leader.send(leaderInfo(3));
    let attempts = 1;
    const startMs = member.monoMs;
    while (member.monoMs - startMs < 10_000) {
      member.tick(10);
      if (member.peer.part !== "looking") continue;
      member.elected(3);
      member.dial().send(leaderInfo(3));
      attempts++;
    }
    assert.ok(attempts > 10 && attempts < 25, `${attempts} attempts in ten seconds`);
    // Whoever followed in between begins anew.
    for (let i = 0; i < 200 && member.peer.part !== "looking"; i++) member.tick(10);
    member.elected(3, 5);
    const last = member.dial();
    last.send(leaderInfo(5), diff(0), newLeader(5), upToDate);
    assert.equal(member.peer.serving, true);
    last.hangUp();
    assert.equal(member.peer.part, "looking", "at once");
  });

  test("epochs that can be none are refused before they are stored", () => {
    for (const zxid of [z(0, 0), z(1, 1), z(0x20_0000, 0), -1, -(2 ** 63)]) {
      const { member, leader } = LoneMember.learning({ sid: 1 });
      leader.send(packet(PacketType.LeaderInfo, zxid, bytes((w) => w.i32(0x10000))));
      left(member, leader, "epoch_absurd", /offers the epoch of/);
      assert.deepEqual([member.store.accepted, kinds(member)], [0, []]);
    }
  });

  test("whatever comes before LEADERINFO, or LEADERINFO twice, ends the link", () => {
    for (const first of [diff(0), newLeader(1), upToDate, ping(0), packet(99, 0), packet(0, 0)]) {
      const { member, leader } = LoneMember.learning({ sid: 1 });
      leader.send(first);
      left(member, leader, "packet_first", /where LEADERINFO was due/);
    }
    const { member, leader } = LoneMember.learning({ sid: 1 });
    member.holdsDisk = true;
    leader.send(leaderInfo(1), leaderInfo(2));
    left(member, leader, "packet_first", /LeaderInfo where LEADERINFO was due/);
  });

  test("an observer says that it is one", () => {
    const { leader } = LoneMember.learning({ sid: 4, observers: [4] });
    assert.deepEqual(leader.take(), ["OBSERVERINFO of 4, accepted 0"]);
  });
});

describe("synchronization", () => {
  const begun = (store = new SmallDisk()) => {
    const { member, leader } = LoneMember.learning({ sid: 1, store });
    leader.send(leaderInfo(5));
    leader.take();
    member.commands.length = 0;
    return { member, leader };
  };

  test("DIFF: the log, then the epoch, then the ACK; nothing is applied before UPTODATE", () => {
    const { member, leader } = begun();
    member.holdsDisk = true;
    const [a, b] = [createTxn(z(1, 1), "/a"), createTxn(z(1, 2), "/b")];
    leader.send(diff(z(1, 2)), proposal(a), commit(z(1, 1)), proposal(b), commit(z(1, 2)), newLeader(5));
    assert.deepEqual([member.diskBusy, leader.take()], ["append", []]);
    // Whatever was taken in the order of arrival, the epoch is behind all of it.
    while (member.diskBusy === "append") member.disk();
    assert.deepEqual([onDisk(member), member.diskBusy, leader.take()], [[z(1, 1), z(1, 2)], "epochs", []]);
    assert.equal(member.store.current, 0);
    member.disk();
    assert.deepEqual([member.store.current, leader.take()], [5, ["ACK 5:0"]]);
    assert.deepEqual([has(member, "/a"), member.peer.serving], [false, false]);
    leader.send(upToDate);
    assert.deepEqual([has(member, "/a"), has(member, "/b"), member.peer.serving], [true, true, true]);
    assert.deepEqual(leader.take(), ["ACK 5:0"]);
  });

  test("a crash between log and epoch leaves a log that is not believed too much", () => {
    const { member, leader } = begun();
    member.holdsDisk = true;
    leader.send(diff(z(1, 1)), proposal(createTxn(z(1, 1), "/a")), commit(z(1, 1)), newLeader(5));
    while (member.diskBusy === "append") member.disk();
    const again = new LoneMember({ sid: 1, store: member.store });
    again.begin();
    assert.deepEqual([again.peer.epochs, again.peer.ledger.durable], [{ accepted: 5, current: 0 }, z(1, 1)]);
  });

  test("proposals before NEWLEADER that are not committed yet are durable before its ACK", () => {
    const { member, leader } = begun();
    member.holdsDisk = true;
    leader.send(diff(0), proposal(createTxn(z(5, 1), "/a")), newLeader(5), commit(z(5, 1)));
    while (member.diskBusy === "append") member.disk();
    assert.deepEqual([onDisk(member), leader.take()], [[z(5, 1)], []]);
    member.disk();
    // NEWLEADER strictly first (ZOOKEEPER-4685).
    assert.deepEqual(leader.take(), ["ACK 5:0", "ACK 5:1"]);
    leader.send(commit(z(5, 1)));
    assert.equal(has(member, "/a"), false, "nobody knows yet whether this leader got its quorum");
    leader.send(upToDate);
    assert.equal(has(member, "/a"), true, "committed meanwhile (ZOOKEEPER-4394)");
  });

  test("no ACK overtakes the ACK of NEWLEADER, however late the disk is", () => {
    const { member, leader } = begun();
    leader.send(diff(0));
    member.holdsDisk = true;
    leader.send(newLeader(5));
    leader.send(proposal(createTxn(z(5, 1), "/a")), proposal(createTxn(z(5, 2), "/b")), ping(z(5, 2)));
    const told: string[] = [];
    for (let i = 0; i < 10 && member.disk() !== null; i++) told.push(...leader.take());
    assert.deepEqual(told, ["ACK 5:0", "ACK 5:1", "ACK 5:2"]);
  });

  test("a PING before UPTODATE is not answered", () => {
    const { leader } = begun();
    leader.send(diff(0), ping(0), newLeader(5), ping(z(5, 0)));
    assert.deepEqual(leader.take(), ["ACK 5:0"]);
    leader.send(upToDate, ping(z(5, 0)));
    assert.deepEqual(leader.take(), ["ACK 5:0", "PING 5:0"]);
  });

  test("TRUNC: the surplus leaves log and disk before the epoch changes, and a restart does not bring it back", () => {
    const { member, leader } = begun(SmallDisk.of(1, history(1, 5), z(1, 2)));
    leader.send(trunc(z(1, 3)), proposal(createTxn(z(4, 1), "/n")), commit(z(4, 1)), newLeader(5));
    assert.deepEqual(kinds(member), ["truncate", "append", "epochs"]);
    assert.deepEqual(onDisk(member), [z(1, 1), z(1, 2), z(1, 3), z(4, 1)]);
    assert.match(member.note("log_truncated").message, /Cut the log at 0x100000003/);
    leader.send(upToDate);
    assert.deepEqual(["/h3", "/h4", "/h5", "/n"].map((path) => has(member, path)), [
      true,
      false,
      false,
      true,
    ]);
    const again = new LoneMember({ sid: 1, store: member.store });
    again.begin();
    assert.equal(again.peer.ledger.durable, z(4, 1));
  });

  test("TRUNC below what is committed is refused with words that say what to do, and nothing is deleted", () => {
    const { member, leader } = begun(SmallDisk.of(1, history(1, 5), z(1, 4)));
    leader.send(trunc(z(1, 2)));
    left(
      member,
      leader,
      "truncate_committed",
      /up to 0x100000004 was committed here[^]*Nothing is deleted: to join/,
    );
    assert.deepEqual([onDisk(member).length, kinds(member)], [5, []]);
    // The next attempt is refused as well: nobody's data is given up by itself.
    for (let i = 0; i < 50 && member.peer.part !== "looking"; i++) member.tick(10);
    member.elected(3, 5);
    const second = member.dial();
    assert.deepEqual(second.take(), ["FOLLOWERINFO of 1, accepted 5"]);
    second.send(leaderInfo(6));
    assert.deepEqual(second.take(), ["ACKEPOCH 1:5, current 1"]);
  });

  test("TRUNC below what was committed while we followed is refused too", () => {
    const { member, leader } = following();
    for (const txn of history(1, 3)) leader.send(proposal(txn));
    leader.send(commit(z(1, 2)));
    leader.hangUp();
    member.elected(3);
    const second = member.dial();
    second.send(leaderInfo(2), trunc(z(1, 1)));
    left(member, second, "truncate_committed", /up to 0x100000002 was committed here/);
    assert.deepEqual([onDisk(member).length, has(member, "/h2")], [3, true]);
  });

  test("TRUNC to where this log has nothing leads to a second attempt that takes everything", () => {
    const store = SmallDisk.of(2, [createTxn(z(1, 1), "/a"), createTxn(z(2, 1), "/b")], z(1, 1));
    const { member, leader } = begun(store);
    leader.send(trunc(z(1, 7)));
    left(member, leader, "truncate_nowhere", /where this log has no txn/);
    for (let i = 0; i < 50 && member.peer.part !== "looking"; i++) member.tick(10);
    member.elected(3, 5);
    const second = member.dial();
    second.send(leaderInfo(6));
    assert.deepEqual(second.take(), ["FOLLOWERINFO of 1, accepted 5", "ACKEPOCH 0:0, current -1"]);
    second.send(snap(z(4, 9)), snapshot(z(4, 9), ["/s"]), newLeader(6), upToDate);
    assert.deepEqual(["/s", "/a", "/b"].map((path) => has(member, path)), [true, false, false]);
  });

  test("SNAP: the tree is stored before the epoch, and what follows it is applied at UPTODATE", () => {
    const { member, leader } = begun(SmallDisk.of(1, history(1, 2), z(1, 2)));
    leader.send(
      join(snap(z(4, 9)), snapshot(z(4, 9), ["/s"]), proposal(createTxn(z(4, 10), "/t"))),
      commit(z(4, 10)),
      newLeader(5),
    );
    assert.deepEqual(kinds(member), [
      ...["replaceBegin", "replaceRows", "replaceSessions", "replaceEnd", "append", "epochs"],
    ]);
    assert.deepEqual([member.store.zxidTable, onDisk(member)], [z(4, 9), [z(4, 10)]]);
    assert.deepEqual(leader.take(), ["ACK 5:0"]);
    leader.send(upToDate);
    assert.deepEqual(["/s", "/t", "/h1"].map((path) => has(member, path)), [true, true, false]);
    assert.equal(member.peer.sessions.get(sessionIdOf(0x0300_0000, 1)) !== undefined, true);
  });

  test("SNAP in single bytes is the same", () => {
    const { member, leader } = begun();
    for (const byte of join(snap(z(4, 9)), snapshot(z(4, 9), ["/s"]), newLeader(5))) {
      leader.send(Uint8Array.of(byte));
    }
    leader.send(upToDate);
    assert.deepEqual([has(member, "/s"), member.peer.serving], [true, true]);
  });

  test("SNAP that ends half-way: memory is read from the disk again, and the vote is as before", () => {
    const store = SmallDisk.of(1, history(1, 2), z(1, 2));
    const stream = snapshot(z(4, 9), ["/s", "/t", "/u"]);
    for (const part of [0, 1, Math.floor(stream.length / 2), stream.length - 1]) {
      const { member, leader } = begun(store);
      leader.send(snap(z(4, 9)), stream.slice(0, part));
      assert.equal(has(member, "/h1"), false);
      leader.hangUp();
      assert.equal(kinds(member).at(-1), "reload");
      assert.deepEqual(["/h1", "/h2", "/s"].map((path) => has(member, path)), [true, true, false]);
      assert.deepEqual([member.peer.ledger.durable, member.peer.part], [z(1, 2), "looking"]);
    }
  });

  test("a snapshot that is damaged is refused, and what was there before is there again", () => {
    const { member, leader } = begun(SmallDisk.of(1, history(1, 2), z(1, 2)));
    const stream = snapshot(z(4, 9), ["/s"]);
    stream.fill(0x41, stream.length - 10);
    leader.send(snap(z(4, 9)), stream);
    left(member, leader, "snapshot_damaged", /its snapshot is damaged/);
    assert.deepEqual([has(member, "/h1"), has(member, "/s")], [true, false]);
  });

  test("a snapshot that claims more sessions or ACL lists than there can be is refused at once", () => {
    const claims: readonly (readonly [RegExp, Bytes])[] = [
      [/claims 2147483647 sessions/, bytes((w) => w.i32(2 ** 31 - 1))],
      [/claims 16777216 sessions/, bytes((w) => w.i32(1 << 24))],
      [/claims -1 sessions/, bytes((w) => w.i32(-1))],
      [/claims 2147483647 ACL lists/, bytes((w) => w.i64(0x7fff_ffffn))],
    ];
    for (const [why, stream] of claims) {
      const { member, leader } = begun();
      leader.send(snap(z(4, 9)), stream);
      left(member, leader, "snapshot_damaged", why);
    }
  });

  test("a snapshot of a later epoch than its leader's is refused", () => {
    for (const zxid of [z(6, 0), -1]) {
      const { member, leader } = begun();
      leader.send(snap(zxid));
      left(member, leader, "snapshot_absurd", /in epoch 5/);
    }
  });

  test("anything but DIFF, TRUNC or SNAP first ends the link", () => {
    for (
      const first of [proposal(createTxn(z(5, 1), "/a")), newLeader(5), upToDate, commit(0), leaderInfo(5)]
    ) {
      const { member, leader } = begun();
      leader.send(first);
      left(member, leader, "packet_sync", /where DIFF, TRUNC or SNAP was due/);
    }
  });

  test("a gap among proposals ends the link, and nothing of what is behind it is kept", () => {
    const gaps: readonly (readonly Bytes[])[] = [
      [createTxn(z(1, 1), "/a"), createTxn(z(1, 3), "/c")],
      [createTxn(z(1, 2), "/b")],
      [createTxn(z(4, 1), "/a"), createTxn(z(1, 1), "/b")],
      [createTxn(z(6, 1), "/a")],
      [createTxn(z(2, 0), "/a")],
    ];
    for (const txns of gaps) {
      const { member, leader } = begun();
      leader.send(diff(z(5, 9)), ...txns.map((txn) => proposal(txn)));
      left(member, leader, "proposal_gap", /behind 0x/);
    }
  });

  test("a proposal whose packet says another zxid than its txn ends the link", () => {
    const { member, leader } = begun();
    leader.send(diff(z(1, 1)), packet(PacketType.Proposal, z(1, 1), createTxn(z(1, 2), "/a")));
    left(member, leader, "proposal_gap", /0x100000002 \(packet 0x100000001\)/);
  });

  test("a proposal that holds no txn ends the link", () => {
    for (const data of [null, new Uint8Array(0), new Uint8Array(31)]) {
      const { member, leader } = begun();
      leader.send(diff(0), packet(PacketType.Proposal, z(5, 1), data));
      left(member, leader, "proposal_short", /holds no txn/);
    }
  });

  test("what is sent twice around NEWLEADER is kept once", () => {
    const { member, leader } = begun();
    const txn = createTxn(z(5, 1), "/a");
    leader.send(
      diff(0),
      proposal(txn),
      newLeader(5),
      proposal(txn),
      upToDate,
      commit(z(5, 1)),
      commit(z(5, 1)),
    );
    assert.deepEqual([onDisk(member), has(member, "/a"), leader.closed], [[z(5, 1)], true, false]);
  });

  test("a commit of what was never proposed ends the link", () => {
    const { member, leader } = begun();
    leader.send(diff(0), commit(z(5, 1)));
    left(member, leader, "commit_unknown", /commits 0x500000001, which it never proposed/);
  });

  test("DIFF up to the beginning of an epoch, which is no txn, covers what lies before it", () => {
    // A leader of the original that has committed nothing yet and one proposal in flight.
    const { member, leader } = begun(SmallDisk.of(1, history(1, 3), z(1, 1)));
    leader.send(diff(z(5, 0)), proposal(createTxn(z(5, 1), "/n")), newLeader(5), upToDate);
    assert.deepEqual([has(member, "/h3"), has(member, "/n"), leader.closed], [true, false, false]);
    leader.send(commit(z(5, 1)));
    assert.equal(has(member, "/n"), true);
  });

  test("a commit of what is no txn ends the link, at whatever time", () => {
    const early = begun(SmallDisk.of(1, history(1, 3), z(1, 1)));
    early.leader.send(diff(z(1, 3)), proposal(createTxn(z(5, 1), "/n")), commit(z(5, 0)));
    left(early.member, early.leader, "commit_unknown", /0x500000000/);
    for (const zxid of [z(5, 0), z(4, 7), z(1, 9)]) {
      const { member, leader } = begun(SmallDisk.of(1, history(1, 3), z(1, 1)));
      leader.send(diff(z(1, 3)), newLeader(5), upToDate);
      leader.send(proposal(createTxn(z(5, 1), "/n")), commit(zxid));
      left(member, leader, "commit_unknown", /which it never proposed/);
      assert.equal(has(member, "/n"), false);
    }
  });

  test("NEWLEADER of another epoch ends the link", () => {
    const { member, leader } = begun();
    leader.send(diff(0), newLeader(6));
    left(member, leader, "epoch_other", /NEWLEADER of 0x600000000 in epoch 5/);
  });

  test("UPTODATE too early ends the link: nothing is served that is not on the disk", () => {
    const { member, leader } = begun();
    leader.send(diff(0));
    member.holdsDisk = true;
    leader.send(newLeader(5), upToDate);
    left(member, leader, "packet_early", /UPTODATE before NEWLEADER was acknowledged/);
    assert.equal(member.peer.serving, false);
  });

  test("UPTODATE twice is once", () => {
    const { member, leader } = begun();
    leader.send(diff(0), newLeader(5), upToDate, upToDate);
    assert.deepEqual([leader.take(), leader.closed, member.peer.serving], [
      ["ACK 5:0", "ACK 5:0"],
      false,
      true,
    ]);
  });

  test("whoever stops between NEWLEADER and UPTODATE keeps all of it in the log, unapplied", () => {
    const { member, leader } = begun();
    leader.send(diff(z(1, 1)), proposal(createTxn(z(1, 1), "/a")), commit(z(1, 1)), newLeader(5));
    leader.hangUp();
    assert.deepEqual([onDisk(member), has(member, "/a")], [[z(1, 1)], false]);
    assert.deepEqual(member.peer.epochs, { accepted: 5, current: 5 });
    assert.equal(member.peer.ledger.durable, z(1, 1), "the vote covers it");
  });

  test("an observer takes its backlog as INFORM, and acknowledges NEWLEADER alone", () => {
    const { member, leader } = LoneMember.learning({ sid: 4, observers: [4] });
    leader.send(leaderInfo(5), diff(z(1, 1)), inform(createTxn(z(1, 1), "/a")), newLeader(5), upToDate);
    leader.send(inform(createTxn(z(5, 1), "/b")));
    assert.deepEqual(["/a", "/b"].map((path) => has(member, path)), [true, true]);
    assert.deepEqual(leader.take(), [
      "OBSERVERINFO of 4, accepted 0",
      "ACKEPOCH 0:0, current 0",
      "ACK 5:0",
      "ACK 5:0",
    ]);
    assert.deepEqual(onDisk(member), [z(1, 1), z(5, 1)]);
  });
});

describe("broadcast", () => {
  const opened = () => {
    const { member, leader } = following();
    const client = member.client();
    client.connect();
    const asked = leader.take()[0] ?? "";
    const id = BigInt(/0x[0-9a-f]+/.exec(asked)?.[0] ?? "0");
    leader.send(proposal(sessionTxn(z(1, 1), id)), commit(z(1, 1)));
    assert.deepEqual(leader.take(), ["ACK 1:1"]);
    assert.equal(client.session?.sessionId, id);
    return { member, leader, client, id };
  };

  test("each ACK waits for the disk and they go in order, none left out", () => {
    const { member, leader } = following();
    member.holdsDisk = true;
    leader.send(proposal(createTxn(z(1, 1), "/a")));
    leader.send(proposal(createTxn(z(1, 2), "/b")), proposal(createTxn(z(1, 3), "/c")));
    assert.deepEqual(leader.take(), []);
    member.disk();
    assert.deepEqual(leader.take(), ["ACK 1:1"]);
    member.disk();
    assert.deepEqual(leader.take(), ["ACK 1:2", "ACK 1:3"]);
  });

  test("a commit is applied although our own disk is late", () => {
    const { member, leader } = following();
    member.holdsDisk = true;
    leader.send(proposal(createTxn(z(1, 1), "/a")), commit(z(1, 1)));
    assert.deepEqual([has(member, "/a"), leader.take()], [true, []]);
    member.disk();
    assert.deepEqual(leader.take(), ["ACK 1:1"]);
  });

  test("a proposal alone changes nothing that a client sees", () => {
    const { member, leader } = following();
    leader.send(proposal(createTxn(z(1, 1), "/a")));
    assert.equal(has(member, "/a"), false);
  });

  test("a gap, a step back and a commit ahead end the link", () => {
    const wrongs: readonly (readonly [string, readonly Bytes[]])[] = [
      ["proposal_gap", [proposal(createTxn(z(1, 2), "/b"))]],
      ["proposal_gap", [proposal(createTxn(z(1, 1), "/a")), proposal(createTxn(z(1, 1), "/a"))]],
      ["proposal_gap", [proposal(createTxn(z(2, 1), "/a"))]],
      ["commit_unknown", [commit(z(1, 1))]],
      ["commit_unknown", [proposal(createTxn(z(1, 1), "/a")), commit(z(1, 2))]],
    ];
    for (const [event, packets] of wrongs) {
      const { member, leader } = following();
      leader.send(...packets);
      left(member, leader, event, /./);
    }
    const { member, leader } = following();
    leader.send(proposal(createTxn(z(1, 1), "/a")), proposal(createTxn(z(1, 3), "/c")));
    left(member, leader, "proposal_gap", /0x100000003 .* behind 0x100000001/);
  });

  test("a client's write goes to the leader with its identities, and is answered by its commit", () => {
    const { member, leader, client, id } = opened();
    const xid = client.send(OpCode.Create, createBody("/a", null));
    assert.deepEqual(leader.take(), [`REQUEST create /a of 0x${id.toString(16)}, cxid ${xid}`]);
    assert.match(new TextDecoder().decode(leader.packets.at(-1)), /ip.{4}10\.1\.0\.1$/s);
    leader.send(proposal(createTxn(z(1, 2), "/a", { session: id, cxid: xid })));
    assert.deepEqual(client.replies, []);
    leader.send(commit(z(1, 2)));
    assert.deepEqual(client.replies, [{ xid, err: 0, zxid: z(1, 2) }]);
    assert.equal(member.peer.outstanding, 0);
  });

  test("an error txn answers its request; another's txn answers nobody here", () => {
    const { leader, client, id } = opened();
    const xid = client.send(OpCode.Create, createBody("/a", null));
    leader.send(proposal(errorTxn(z(1, 2), -110, { session: 99n, cxid: xid })), commit(z(1, 2)));
    leader.send(proposal(errorTxn(z(1, 3), -110, { session: id, cxid: xid + 7 })), commit(z(1, 3)));
    assert.deepEqual(client.replies, []);
    leader.send(proposal(errorTxn(z(1, 4), -110, { session: id, cxid: xid })), commit(z(1, 4)));
    assert.deepEqual(client.replies, [{ xid, err: -110, zxid: z(1, 4) }]);
  });

  test("replies keep the order of one client's requests, reads behind the writes before them", () => {
    const { leader, client, id } = opened();
    const read = pathWatchBody("/a", false);
    const xids = [
      client.send(OpCode.Exists, read),
      client.send(OpCode.Create, createBody("/a", null)),
      client.send(OpCode.Exists, read),
      client.send(OpCode.Create, createBody("/b", null)),
      client.send(OpCode.Exists, read),
    ] as const;
    const told = () => client.replies.map(({ xid, err }) => [xid, err]);
    assert.deepEqual(told(), [[xids[0], -101]]);
    leader.send(proposal(createTxn(z(1, 2), "/a", { session: id, cxid: xids[1] })));
    leader.send(proposal(createTxn(z(1, 3), "/b", { session: id, cxid: xids[3] })), commit(z(1, 2)));
    assert.deepEqual(told(), [[xids[0], -101], [xids[1], 0], [xids[2], 0]]);
    leader.send(commit(z(1, 3)));
    assert.deepEqual(told().slice(3), [[xids[3], 0], [xids[4], 0]]);
  });

  test("SYNC answers the oldest, and nobody when nothing waits", () => {
    const { leader, client, id } = opened();
    leader.send(sync);
    assert.deepEqual(client.replies, []);
    const [a, b] = [client.send(OpCode.Sync, pathBody("/a")), client.send(OpCode.Sync, pathBody("/b"))];
    assert.deepEqual(leader.take(), [
      `REQUEST sync /a of 0x${id.toString(16)}, cxid ${a}`,
      `REQUEST sync /b of 0x${id.toString(16)}, cxid ${b}`,
    ]);
    leader.send(sync);
    assert.deepEqual(client.replies.map(({ xid }) => xid), [a]);
    leader.send(sync, sync);
    assert.deepEqual(client.replies.map(({ xid }) => xid), [a, b]);
  });

  test("a session is not there before its txn commits, and is offered with the sid in its id", () => {
    const { member, leader } = following();
    const client = member.client();
    client.connect();
    assert.match(leader.take()[0] ?? "", /^REQUEST createSession of 0x1[0-9a-f]{14}, cxid 0$/);
    assert.equal(client.session, null);
  });

  const returning = (valid: boolean): { client: SeatClient; leader: Far; member: LoneMember } => {
    const { member, leader } = following();
    const id = 0x0200_0000_0000_0007n;
    leader.send(proposal(sessionTxn(z(1, 1), id)), commit(z(1, 1)));
    leader.take();
    const client = member.client();
    client.connect(id, passwordOf(sessionIdOf(0x0200_0000, 7)));
    assert.deepEqual(leader.take(), ["REVALIDATE 0x200000000000007"]);
    assert.equal(client.session, null);
    leader.send(revalidated(id, valid));
    return { client, leader, member };
  };

  test("a session that moves here waits for the leader's word", () => {
    const { client } = returning(true);
    assert.deepEqual([client.session?.sessionId, client.closed], [0x0200_0000_0000_0007n, false]);
  });

  test("a session that the leader does not know is refused", () => {
    const { client } = returning(false);
    assert.deepEqual([client.session?.timeoutMs, client.closed], [0, true]);
  });

  test("a wrong password never reaches the leader", () => {
    const { member, leader } = following();
    leader.send(proposal(sessionTxn(z(1, 1), 7n)), commit(z(1, 1)));
    leader.take();
    const client = member.client();
    client.connect(7n, new Uint8Array(16));
    assert.deepEqual([leader.take(), client.session?.timeoutMs, client.closed], [[], 0, true]);
  });

  test("answers to PING name the sessions that were heard since, once", () => {
    const { member, leader, client, id } = opened();
    leader.send(ping(z(1, 1)));
    const [first] = leader.take();
    assert.equal(first?.includes(id.toString(16)), true);
    leader.send(ping(z(1, 1)));
    assert.deepEqual(leader.take(), ["PING 1:1"]);
    client.send(OpCode.Ping, new Uint8Array(0), -2);
    leader.send(ping(z(1, 1)));
    assert.deepEqual(leader.take(), [`PING 1:1 0x${id.toString(16)}`]);
    assert.equal(member.peer.serving, true);
  });

  test("when the leader is lost its clients' connections are closed, and nothing is answered late", () => {
    const { member, leader, client, id } = opened();
    const xid = client.send(OpCode.Create, createBody("/a", null));
    leader.send(proposal(createTxn(z(1, 2), "/a", { session: id, cxid: xid })));
    leader.hangUp();
    assert.deepEqual([client.closed, client.replies, member.peer.serving], [true, [], false]);
    assert.equal(member.peer.part, "looking");
    assert.deepEqual(onDisk(member), [z(1, 1), z(1, 2)]);
  });

  test("a leader that is silent for syncLimit is left", () => {
    const { member, leader } = following();
    for (let i = 0; i < 5; i++) member.tick(seatTickMs);
    assert.equal(leader.closed, false);
    leader.send(ping(z(1, 0)));
    for (let i = 0; i < 5; i++) member.tick(seatTickMs);
    assert.equal(leader.closed, false);
    member.tick(seatTickMs);
    left(member, leader, "leader_silent", /nothing was heard for 6000 ms/);
  });

  test("packets of a kind that is none are passed over; lengths that can be none end the link", () => {
    const { member, leader } = following();
    leader.send(packet(99, 5), packet(-7, 0, new Uint8Array(100)), packet(0, 0), packet(11, 0));
    assert.equal(leader.closed, false);
    leader.send(bytes((w) => {
      w.i32(2);
      w.i64(5n);
      w.i32(-2);
    }));
    left(member, leader, "packet_damaged", /none at all/);
  });

  test("a reconfiguration is told of, and its txn applied like any other", () => {
    const { member, leader } = following();
    const txn = errorTxn(z(1, 1), -13);
    leader.send(proposal(txn), packet(PacketType.CommitAndActivate, z(1, 1), bytes((w) => w.i64(3n))));
    assert.match(member.note("reconfig_seen").message, /goes on with those of its own configuration/);
    assert.equal(member.peer.zxid, z(1, 1));
    const observer = LoneMember.learning({ sid: 4, observers: [4] });
    observer.leader.send(leaderInfo(1), diff(0), newLeader(1), upToDate);
    observer.leader.send(packet(PacketType.InformAndActivate, z(1, 1), join(new Uint8Array(8), txn)));
    assert.deepEqual([observer.leader.closed, observer.member.peer.zxid], [false, z(1, 1)]);
  });

  test("a txn of a type that we do not know is not passed over: the link ends, and says why", () => {
    const { member, leader } = following();
    const odd = errorTxn(z(1, 1), -1);
    new DataView(odd.buffer).setInt32(28, 4711);
    leader.send(proposal(odd));
    left(member, leader, "txn_unknown", /0x100000001 is of type 4711, which this release does not know/);
    assert.equal(member.store.last, 0);
  });

  test("a txn that is cut does not end the process", () => {
    const { member, leader } = following({ sid: 1, digestEnabled: false });
    for (let cut = 32; cut < createTxn(z(1, 1), "/a").length; cut++) {
      const zxid = member.peer.zxid + 1 > z(1, 0) ? member.peer.zxid + 1 : z(1, 1);
      leader.send(proposal(createTxn(zxid, "/a").slice(0, cut)), commit(zxid));
      assert.deepEqual([member.peer.zxid, leader.closed], [zxid, false]);
    }
  });
});
