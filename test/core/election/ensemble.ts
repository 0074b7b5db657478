/**
 * An ensemble that does nothing but elect, on one thread, from a seed: what the random tests run.
 *
 * Links are as the election port's: one connection per pair, one slot per direction in which the
 * newer message replaces the unsent older one, and a memory of the last one sent, which is said again
 * on a new connection. Sending to who is not connected starts a dial. Links are cut, members crash and
 * come back with the disk they had, and messages are lost with their connection. What follows an
 * election is a sketch of it: followers find their leader, a quorum of them begins an epoch, the leader
 * adds to its history and they take it over.
 *
 * Watched at every step, and told as a `Violation`:
 * - a vote is never worse than what its voter holds itself, and never claims what its leader did not hold;
 * - a decision rests on a quorum that voted so in that round, or that has that leader;
 * - one life of one member is in no two established terms of one round under different leaders;
 * - an epoch begins with a leader that holds all that was committed before.
 */
import type { Quorum } from "../../../src/core/base/quorum.ts";
import { Election } from "../../../src/core/election/election.ts";
import { beats, type Vote } from "../../../src/core/election/vote.ts";
import { parseNotification, VoterState } from "../../../src/core/wire/votes.ts";
import type { Random } from "../../support/random.ts";

export class Violation extends Error {}

export interface EnsembleOptions {
  readonly quorum: Quorum;
  readonly observers: readonly number[];
  /** What the members believe a quorum to be; the checks use `quorum`. Another one is a planted bug. */
  readonly believed?: Quorum;
  readonly settleMs: number;
}

interface Member {
  readonly sid: number;
  /** Null: crashed. */
  election: Election | null;
  /** How many times it was started. */
  life: number;
  zxid: number;
  epoch: number;
  /** Leader: who found us. Follower: the leader once found. */
  readonly linked: Set<number>;
  /** The epoch has begun for this one. */
  established: boolean;
  decidedAtMs: number;
  wakeAtMs: number;
  /** Numbers the looks, so that a timer of an earlier one does nothing. */
  term: number;
  /** Highest round of this life. */
  roundHigh: number;
}

/** One direction of one pair. */
interface Lane {
  slot: Uint8Array | null;
  remembered: Uint8Array | null;
  /** Nothing overtakes. */
  lastArrivalMs: number;
}

interface Pair {
  readonly sids: readonly [number, number];
  cut: boolean;
  dialing: boolean;
  /** 0: none. Else the number of the connection. */
  connection: number;
  readonly lanes: readonly [Lane, Lane];
}

const epochUnit = 2 ** 32;
const syncMsMax = 400;

export class Ensemble {
  nowMs = 0;
  readonly members = new Map<number, Member>();
  readonly #options: EnsembleOptions;
  readonly #random: Random;
  readonly #sids: readonly number[];
  readonly #pairs = new Map<string, Pair>();
  #connections = 0;
  #queue: { readonly atMs: number; readonly number: number; readonly run: () => void }[] = [];
  #events = 0;

  /** Who ever voted so: `round leader zxid epoch` to sids. */
  readonly #cast = new Map<string, Set<number>>();
  /** Who ever told that it has that leader. */
  readonly #following = new Map<number, Set<number>>();
  /** `leader zxid epoch` that a member once held. */
  readonly #held = new Set<string>();
  /** `sid life round` to the leader of an established term. */
  readonly #terms = new Map<string, number>();
  #epochAccepted = 0;
  #committed = { epoch: 0, zxid: 0 };
  /** What a test may look at. */
  readonly counts = { decisions: 0, terms: 0, crashes: 0, cuts: 0, messages: 0, deserted: 0 };

  constructor(options: EnsembleOptions, random: Random) {
    this.#options = options;
    this.#random = random;
    this.#sids = [...options.quorum.voters, ...options.observers];
    for (const sid of this.#sids) {
      this.members.set(sid, {
        sid,
        election: null,
        life: 0,
        zxid: 0,
        epoch: 0,
        linked: new Set(),
        established: false,
        decidedAtMs: 0,
        wakeAtMs: Infinity,
        term: 0,
        roundHigh: 0,
      });
    }
    for (const a of this.#sids) {
      for (const b of this.#sids) {
        if (a >= b) continue;
        const lane = (): Lane => ({ slot: null, remembered: null, lastArrivalMs: 0 });
        this.#pairs.set(`${a} ${b}`, {
          sids: [a, b],
          cut: false,
          dialing: false,
          connection: 0,
          lanes: [lane(), lane()],
        });
      }
    }
  }

  // Faults, and their end.

  start(sid: number): void {
    const member = this.#member(sid);
    if (member.election !== null) return;
    member.life++;
    member.wakeAtMs = Infinity;
    member.roundHigh = 0;
    member.election = new Election(
      {
        sid,
        observer: this.#options.observers.includes(sid),
        quorum: this.#options.believed ?? this.#options.quorum,
        configText: "version=0",
        configVersion: 0,
        settleMs: this.#options.settleMs,
        notificationMsMin: 200,
        notificationMsMax: 2000,
      },
      (to, bytes) => this.#send(member, to, bytes),
    );
    this.#look(member);
  }

  crash(sid: number): void {
    const member = this.#member(sid);
    if (member.election === null) return;
    this.counts.crashes++;
    member.election = null;
    this.#reset(member);
    for (const pair of this.#pairs.values()) {
      const side = pair.sids.indexOf(sid);
      if (side < 0) continue;
      this.#disconnect(pair);
      const lane = pair.lanes[side as 0 | 1];
      lane.slot = null;
      lane.remembered = null;
    }
  }

  cut(a: number, b: number): void {
    const pair = this.#pair(a, b);
    if (pair.cut) return;
    this.counts.cuts++;
    pair.cut = true;
    this.#disconnect(pair);
  }

  mend(a: number, b: number): void {
    this.#pair(a, b).cut = false;
  }

  /** The election connection breaks and nothing else does. */
  break(a: number, b: number): void {
    this.#disconnect(this.#pair(a, b));
  }

  heal(): void {
    for (const pair of this.#pairs.values()) pair.cut = false;
    for (const sid of this.#sids) this.start(sid);
  }

  /** An established leader takes a write, and those who are synced get it sooner or later, or never. */
  write(): void {
    for (const leader of this.members.values()) {
      if (leader.election === null || !leader.established) continue;
      if (leader.election.state !== "leading") continue;
      leader.zxid++;
      const has = new Set([leader.sid]);
      for (const sid of leader.linked) {
        const follower = this.#member(sid);
        if (follower.epoch !== leader.epoch || follower.zxid !== leader.zxid - 1) continue;
        if (this.#random.percent(20)) continue;
        follower.zxid = leader.zxid;
        has.add(sid);
      }
      if (this.#options.quorum.isQuorum((sid) => has.has(sid))) {
        this.#committed = { epoch: leader.epoch, zxid: leader.zxid };
      }
    }
  }

  run(forMs: number): void {
    const until = this.nowMs + forMs;
    for (let steps = 0;; steps++) {
      if (steps > 200_000) throw new Violation(`no end: ${steps} events in ${forMs} ms`);
      let first = 0;
      for (let i = 1; i < this.#queue.length; i++) {
        const [a, b] = [this.#queue[i], this.#queue[first]];
        if (a === undefined || b === undefined) break;
        if (a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number)) first = i;
      }
      const event = this.#queue[first];
      if (event === undefined || event.atMs > until) break;
      this.#queue.splice(first, 1);
      this.nowMs = event.atMs;
      event.run();
    }
    this.nowMs = until;
  }

  /** The leader that everyone has, or what is wrong. */
  agreement(): { readonly leader: number } | { readonly wrong: string } {
    const said = [...this.members.values()].map(({ sid, election, established: done }) => {
      const leader = election === null ? "crashed" : election.currentVote.leader;
      return { leader, text: `${sid}: ${election?.state} ${leader}${done ? "" : " (not synced)"}`, done };
    });
    const wrong = said.some(({ leader, done }) => !done || leader !== said[0]?.leader);
    const leader = said[0]?.leader;
    if (wrong || typeof leader !== "number") return { wrong: said.map(({ text }) => text).join(", ") };
    return { leader };
  }

  // Members.

  #look(member: Member): void {
    this.#reset(member);
    const { election } = member;
    if (election === null) return;
    election.leave();
    // The disk has to be quiet first.
    const { term } = member;
    this.#later(this.#random.below(8), () => {
      if (member.term !== term || member.election !== election) return;
      this.#held.add(`${member.sid} ${member.zxid} ${member.epoch}`);
      election.look(member.zxid, member.epoch, this.nowMs);
      this.#after(member);
    });
  }

  #reset(member: Member): void {
    member.term++;
    member.established = false;
    member.linked.clear();
    for (const other of this.members.values()) {
      // Who followed this one sees its socket end.
      if (other.linked.delete(member.sid)) this.#lost(other);
    }
  }

  /** One that was synced with `member` is gone: its leader, or one of its followers. */
  #lost(member: Member): void {
    const { term } = member;
    this.#later(1 + this.#random.below(15), () => {
      if (member.term !== term || member.election === null) return;
      const { quorum } = this.#options;
      const leads = member.election.state === "leading";
      if (leads && quorum.isQuorum((sid) => sid === member.sid || member.linked.has(sid))) return;
      this.#look(member);
    });
  }

  /** Something was said to `member`. */
  #after(member: Member): void {
    const { election } = member;
    if (election === null) return;
    if (election.state === "looking") member.roundHigh = Math.max(member.roundHigh, election.round);
    const decision = election.takeDecision();
    if (decision !== null) this.#decided(member, decision.vote);
    else if (election.deserted) {
      this.counts.deserted++;
      this.#look(member);
    }
    const atMs = Math.max(election.nextAtMs, this.nowMs);
    if (atMs === Infinity || (member.wakeAtMs <= atMs && member.wakeAtMs > this.nowMs)) return;
    member.wakeAtMs = atMs;
    this.#later(atMs - this.nowMs + this.#random.below(10), () => {
      if (member.election !== election) return;
      member.wakeAtMs = Infinity;
      election.tick(this.nowMs);
      this.#after(member);
    });
  }

  #decided(member: Member, vote: Vote): void {
    this.counts.decisions++;
    member.decidedAtMs = this.nowMs;
    const { quorum } = this.#options;
    const cast = this.#cast.get(keyOf(vote));
    const following = this.#following.get(vote.leader);
    const voted = quorum.isQuorum((sid) => cast?.has(sid) ?? false);
    const have = quorum.isQuorum((sid) => following?.has(sid) ?? false);
    if (!voted && !have) this.#violated(`${member.sid} decided ${keyOf(vote)} without a quorum`);
    const { term } = member;
    this.#later(syncMsMax, () => {
      if (member.term !== term || member.established) return;
      this.#look(member);
    });
    if (vote.leader !== member.sid) this.#dial(member, vote.leader, term);
  }

  /** A follower looks for its leader's quorum port. */
  #dial(member: Member, sid: number, term: number): void {
    this.#later(1 + this.#random.below(10), () => {
      if (member.term !== term || member.election === null) return;
      const leader = this.#member(sid);
      const there = !this.#pair(member.sid, sid).cut && leader.election?.state === "leading" &&
        leader.election.currentVote.leader === sid;
      if (!there) return this.#dial(member, sid, term);
      // Whoever has seen more than its leader turns away (or is turned away).
      if (member.epoch > leader.epoch || (member.epoch === leader.epoch && member.zxid > leader.zxid)) {
        if (!leader.established) return this.#dial(member, sid, term);
      }
      leader.linked.add(member.sid);
      member.linked.add(sid);
      if (leader.established) this.#sync(member, leader);
      else this.#establish(leader);
    });
  }

  #establish(leader: Member): void {
    const { quorum } = this.#options;
    if (!quorum.isQuorum((sid) => sid === leader.sid || leader.linked.has(sid))) return;
    const held = { leader: leader.sid, round: 0, zxid: leader.zxid, epoch: leader.epoch };
    const committed = { ...held, ...this.#committed };
    if (beats(committed, held, quorum)) {
      this.#violated(`${leader.sid} begins with ${held.epoch} ${held.zxid}, committed was ${committed.zxid}`);
    }
    leader.epoch = ++this.#epochAccepted;
    leader.zxid = leader.epoch * epochUnit;
    this.#committed = { epoch: leader.epoch, zxid: leader.zxid };
    leader.established = true;
    leader.election?.followed(leader.epoch);
    this.counts.terms++;
    this.#noteTerm(leader, leader);
    for (const sid of leader.linked) this.#sync(this.#member(sid), leader);
  }

  #sync(member: Member, leader: Member): void {
    member.zxid = leader.zxid;
    member.epoch = leader.epoch;
    member.established = true;
    member.election?.followed(leader.epoch);
    this.#noteTerm(member, leader);
  }

  #noteTerm(member: Member, leader: Member): void {
    const round = member.election?.round ?? 0;
    // Who went back joined what others made of a round of theirs, after they were all started anew.
    if (!this.#options.quorum.isVoter(member.sid) || round < member.roundHigh) return;
    member.roundHigh = round;
    const key = `${member.sid} ${member.life} ${round}`;
    const before = this.#terms.get(key) ?? leader.sid;
    if (before !== leader.sid) {
      this.#violated(`${member.sid} in round ${round} has ${before} and then ${leader.sid}`);
    }
    this.#terms.set(key, leader.sid);
  }

  // Links.

  #send(from: Member, to: number, bytes: Uint8Array): void {
    this.#noteSaid(from, to, bytes);
    const pair = this.#pair(from.sid, to);
    const side = pair.sids.indexOf(from.sid) as 0 | 1;
    pair.lanes[side].slot = bytes;
    if (pair.connection !== 0) this.#flushLater(pair, side);
    else this.#connectLater(pair);
  }

  #connectLater(pair: Pair): void {
    if (pair.dialing) return;
    pair.dialing = true;
    this.#later(1 + this.#random.below(12), () => {
      pair.dialing = false;
      const [a, b] = [this.#member(pair.sids[0]), this.#member(pair.sids[1])];
      if (pair.cut || pair.connection !== 0 || a.election === null || b.election === null) return;
      pair.connection = ++this.#connections;
      a.election.up(b.sid, this.nowMs);
      b.election.up(a.sid, this.nowMs);
      for (const side of [0, 1] as const) {
        pair.lanes[side].slot ??= pair.lanes[side].remembered;
        this.#flushLater(pair, side);
      }
    });
  }

  #flushLater(pair: Pair, side: 0 | 1): void {
    const { connection } = pair;
    const lane = pair.lanes[side];
    this.#later(this.#random.below(4), () => {
      if (pair.connection !== connection || lane.slot === null) return;
      const bytes = lane.slot;
      lane.slot = null;
      lane.remembered = bytes;
      // Most are quick; some take longer than anyone waits.
      const delay = this.#random.percent(3) ? this.#random.below(600) : this.#random.below(12);
      lane.lastArrivalMs = Math.max(lane.lastArrivalMs, this.nowMs + delay);
      this.#later(lane.lastArrivalMs - this.nowMs, () => {
        const to = this.#member(pair.sids[side === 0 ? 1 : 0]);
        if (pair.connection !== connection || to.election === null) return;
        this.counts.messages++;
        to.election.heard(pair.sids[side], bytes, this.nowMs);
        this.#after(to);
      });
    });
  }

  #disconnect(pair: Pair): void {
    for (const side of [0, 1] as const) {
      const [member, other] = [
        this.#member(pair.sids[side]),
        this.#member(pair.sids[side === 0 ? 1 : 0]),
      ];
      if (pair.connection !== 0) member.election?.down(other.sid, this.nowMs);
      if (pair.cut && member.linked.delete(other.sid)) this.#lost(member);
      this.#after(member);
    }
    pair.connection = 0;
  }

  #noteSaid(from: Member, to: number, bytes: Uint8Array): void {
    const told = parseNotification(bytes);
    const { quorum } = this.#options;
    if (told === null) return this.#violated(`${from.sid} said what nobody can read`);
    if (!quorum.isVoter(from.sid) || from.election === null) return;
    if (told.state !== VoterState.Looking) {
      noteIn(this.#following, told.leader, from.sid);
      return;
    }
    // To those without a vote it tells its previous leader; that is no vote.
    if (!quorum.isVoter(to)) return;
    if (!this.#held.has(`${told.leader} ${told.zxid} ${told.epoch}`)) {
      this.#violated(`${from.sid} votes ${keyOf(told)}, which ${told.leader} never held`);
    }
    const own: Vote = { leader: from.sid, zxid: from.zxid, epoch: from.epoch, round: 0 };
    if (beats(own, told, quorum)) this.#violated(`${from.sid} votes ${keyOf(told)} and holds more`);
    noteIn(this.#cast, keyOf(told), from.sid);
  }

  // Small things.

  #violated(what: string): never {
    throw new Violation(`at ${this.nowMs} ms: ${what}`);
  }

  #later(inMs: number, run: () => void): void {
    this.#queue.push({ atMs: this.nowMs + inMs, number: ++this.#events, run });
  }

  #member(sid: number): Member {
    const member = this.members.get(sid);
    if (member === undefined) throw new Violation(`${sid} is no member`);
    return member;
  }

  #pair(a: number, b: number): Pair {
    const pair = this.#pairs.get(a < b ? `${a} ${b}` : `${b} ${a}`);
    if (pair === undefined) throw new Violation(`${a} and ${b} are no pair`);
    return pair;
  }
}

function keyOf({ round, leader, zxid, epoch }: Vote): string {
  return `${round} ${leader} ${zxid} ${epoch}`;
}

function noteIn<K>(map: Map<K, Set<number>>, key: K, sid: number): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([sid]));
  else set.add(sid);
}

/** For `believed`: as many voters are enough as half of them, rounded down. A bug to be found. */
export function lax(quorum: Quorum): Quorum {
  return {
    voters: quorum.voters,
    isVoter: (sid) => quorum.isVoter(sid),
    weight: (sid) => quorum.weight(sid),
    isQuorum: (has) => 2 * quorum.voters.filter(has).length >= quorum.voters.length - 1,
  };
}
