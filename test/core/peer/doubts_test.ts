/**
 * A member that lacks what it acknowledged, and one whose tree is not what the txns say.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNotification, VoterState } from "../../../src/core/wire/votes.ts";
import { digestVersion } from "../../../src/core/wire/txns.ts";
import { broadcasting, following, LoneMember } from "../zab/lone_member.ts";
import { SmallDisk } from "../zab/small_disk.ts";
import {
  ack,
  bytes,
  commit,
  createTxn,
  diff,
  leaderInfo,
  newLeader,
  proposal,
  upToDate,
  z,
} from "../zab/told.ts";

/** A create whose digest is of another tree. */
function strangeTxn(zxid: number, path: string): Uint8Array {
  const txn = createTxn(zxid, path);
  const digest = bytes((w) => (w.i32(digestVersion), w.i64FromNumber(7)));
  const whole = new Uint8Array(txn.length + digest.length);
  whole.set(txn);
  whole.set(digest, txn.length);
  return whole;
}

/** The zxids that its votes name. */
function zxidsVoted(member: LoneMember): number[] {
  return [...new Set(member.votes.splice(0).map(({ bytes }) => parseNotification(bytes)?.zxid ?? NaN))];
}

function lacking(): LoneMember {
  const store = new SmallDisk();
  store.accepted = 5;
  const member = new LoneMember({ sid: 3, store });
  member.peer.begin({ ...store.fill(member.peer.loader()), lacks: "log.db ends early" }, member.monoMs);
  member.turn();
  return member;
}

test("a member that lacks what it acknowledged neither chooses nor is chosen", () => {
  const member = lacking();
  assert.match(
    member.note("history_lost").message,
    /^log\.db ends early\. This server takes no part in elections/,
  );
  assert.equal(member.note("history_lost").level, "error");
  for (const sid of [1, 2]) {
    member.step({ kind: "voterUp", sid });
    // As a new member's or a worse one's would be: it is not better than that either.
    for (const leader of [3, sid]) member.vote(sid, VoterState.Looking, leader, 0, 1, 0);
  }
  for (let i = 0; i < 100; i++) member.tick(1000);
  assert.equal(member.peer.part, "looking");
  assert.deepEqual(zxidsVoted(member), [-1]);
});

test("it takes everything from a leader that the others chose, with the promises that it gave", () => {
  const member = lacking();
  member.elected(2);
  const leader = member.dial();
  leader.send(leaderInfo(6));
  assert.deepEqual(leader.take(), ["FOLLOWERINFO of 3, accepted 5", "ACKEPOCH 0:0, current -1"]);
  const kinds = member.commands.map(({ kind }) => kind);
  leader.send(diff(z(6, 0)), proposal(createTxn(z(6, 1), "/a")), commit(z(6, 1)), newLeader(6), upToDate);
  assert.deepEqual(kinds, ["epochs"]);
  assert.ok(member.peer.serving, member.told.join());
  assert.ok(member.commands.some(({ kind }) => kind === "replaceEnd"), "all that was there was replaced");
  assert.equal(member.peer.doubts.lacks, null);
  leader.hangUp();
  for (let i = 0; i < 100; i++) member.tick(10);
  assert.deepEqual(zxidsVoted(member).at(-1), z(6, 1));
});

test("a follower whose tree is wrong says so, and takes that of the others, once", () => {
  const { member, leader } = following({ sid: 1 });
  member.votes.length = 0;
  const strange = (to: typeof leader, from: number, upTo: number) => {
    for (let i = from; i <= upTo; i++) to.send(proposal(strangeTxn(z(1, i), `/a${i}`)), commit(z(1, i)));
  };
  // Leaders of the original are wrong for a moment now and then.
  strange(leader, 1, 7);
  assert.deepEqual([member.note("digest_mismatch").level, leader.closed], ["error", false]);
  assert.notEqual(member.peer.doubts.wrong, null);
  strange(leader, 8, 8);
  assert.deepEqual([member.note("digest_mismatch").level, leader.closed], ["error", true]);
  assert.match(member.peer.doubts.wrong ?? "", /^The tree is not what the txn at 0x100000008 left/);
  member.elected(3);
  assert.deepEqual(zxidsVoted(member), [-1]);
  const again = member.dial();
  again.send(leaderInfo(1), diff(0), newLeader(1), upToDate);
  assert.ok(member.commands.some(({ kind }) => kind === "replaceEnd"), "it asked for everything");
  assert.deepEqual([member.peer.serving, member.peer.doubts.wrong], [true, null]);
  // Still wrong, and never right in between: perhaps it is the leader. It stays, and stays red.
  strange(again, 1, 20);
  assert.deepEqual([member.peer.serving, again.closed], [true, false]);
  assert.notEqual(member.peer.doubts.wrong, null);
});

test("a leader whose tree is wrong hands over; where nobody else can lead, it takes part again", () => {
  const { member, followers } = broadcasting({ sid: 3 });
  member.peer.tree.digest.add(1);
  const client = member.client();
  client.connect();
  const zxid = member.peer.ledger.proposed;
  assert.ok(zxid > 0);
  member.peer.tree.digest.add(1);
  for (const far of followers) far.send(ack(zxid));
  assert.equal(member.peer.leader, null);
  assert.equal(member.note("digest_mismatch").level, "error");
  for (let i = 0; i < 50; i++) member.tick(100);
  assert.deepEqual(zxidsVoted(member).filter((voted) => voted === zxid), []);
  for (let i = 0; i < 100; i++) member.tick(100);
  assert.equal(zxidsVoted(member).at(-1), zxid);
});
