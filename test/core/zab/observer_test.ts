/**
 * Observers that no configuration knows, before a leader that is played by hand. quorum-protocol 8.1.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeNotification, votersOf, VoterState } from "../../../src/core/wire/votes.ts";
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

test("an operator is told once who else votes, where the voters are others than here", () => {
  const sid = 0x1_0000_0007;
  const member = new LoneMember({ sid, voters: [1], ensemble: { sid, observer: true } });
  member.begin();
  const vote = { leader: 3, zxid: 0, round: 1, epoch: 1 };
  const line = (one: number, role = "participant") => `server.${one}=10.0.0.${one}:2888:3888:${role}`;
  const text = (...lines: readonly string[]) => new TextEncoder().encode([...lines, "version=0"].join("\n"));
  const say = (config: Uint8Array) =>
    member.step({ kind: "vote", from: 1, bytes: encodeNotification(VoterState.Following, vote, config) });
  say(text(line(1), line(4, "observer;0.0.0.0:2181")));
  assert.equal(member.told.includes("voters_differ"), false, "observers are no voters");
  for (let i = 0; i < 3; i++) say(text(line(2), line(1), line(10)));
  assert.equal(member.told.filter((event) => event === "voters_differ").length, 1);
  assert.match(
    member.note("voters_differ").message,
    /^Server 1 votes with 1, 2, 10, and here the voters are 1: /,
  );
  for (let i = 0; i < 20; i++) say(text(line(1), line(100 + i)));
  assert.ok(member.told.filter((event) => event === "voters_differ").length <= 8, "and not without end");
});

test("voters are read of a configuration whatever else it says", () => {
  assert.deepEqual(votersOf("server.2=[::1]:1:2:participant;[::]:3\nserver.1=a:1:2|b:1:2\nversion=1f"), [
    1,
    2,
  ]);
  assert.deepEqual(votersOf("server.x=1\nserver.99999999999999999=a\ngroup.1=1:2\nxserver.3=a"), []);
});
