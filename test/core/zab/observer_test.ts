/**
 * Observers that no configuration knows, before a leader that is played by hand. quorum-protocol 8.1.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { following, LoneMember } from "./lone_member.ts";
import { createTxn, inform, sessionTxn, z } from "./told.ts";

const stranger = (sid: number) => following({ sid, ensemble: { sid, observer: true } });

test("observers with the same low byte, born in the same millisecond, give out other session ids", () => {
  const ids = [0x1_0000_0007, 0x1_0000_0107, 0x1_00ff_ff07, 0x1_0100_0007].map((sid) => {
    const { member, leader } = stranger(sid);
    member.client().connect();
    const [asked] = leader.take();
    return asked?.match(/createSession of (0x7[0-9a-f]{14}),/)?.[1];
  });
  assert.equal(ids.includes(undefined), false, `${ids}`);
  assert.equal(new Set(ids).size, 3, "the fourth differs in bits that are in no session id");
});

test("an observer that no configuration knows serves, and serves no observers", () => {
  const { member, leader } = following({
    sid: 0x1_0000_0007,
    ensemble: { sid: 0x1_0000_0007, observer: true, observerMasters: true },
  });
  leader.send(inform(sessionTxn(z(1, 1), 5n)), inform(createTxn(z(1, 2), "/a")));
  assert.deepEqual(leader.take(), [], "it acknowledges nothing");
  assert.notEqual(member.peer.tree.findText("/a"), 0);
  assert.equal(member.peer.mode, "observer");
  assert.equal(member.peer.servesObservers, false);
});

test("an observer asks any follower where followers serve observers", () => {
  const sid = 0x1_0000_0007;
  const member = new LoneMember({ sid, ensemble: { sid, observer: true, observerMasters: true } });
  member.begin();
  member.elected(3);
  assert.deepEqual(member.peer.dialWanted, { sid: 3, observerMaster: true });
});
