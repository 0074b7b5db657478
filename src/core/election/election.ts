/**
 * Election: who leads, found by telling each other votes until a quorum says the same.
 * FastLeaderElection, quorum-protocol 2.
 *
 * ```
 *            look()                                  takeDecision()
 *  resting ──────────► looking ──► settling ──► leading / following / observing
 *     ▲                   ▲  ▲         │                    │
 *     │                   │  └─────────┘ a better vote      │
 *     └─── leave() ───────┴──────────── look() ─────────────┘
 * ```
 *
 * An answer to a vote is another vote: who hears a better one adopts it and tells all, who hears one
 * of an earlier round answers with its own, who has a leader answers with that. Nothing else is ever
 * sent, because each message that is not better makes members of the original wait anew
 * (quorum-protocol 2.8). Links may lose, repeat and delay what they carry; safety rests on the epochs
 * that a leader agrees with a quorum afterwards, not on this.
 *
 * Always true: the round only grows while it can; a vote of ours is counted without being sent; only
 * voters are remembered, so nothing here grows with what strangers say.
 */
import { assert } from "../base/assert.ts";
import { bytesEqual, bytesOf, textOf } from "../base/bytes.ts";
import type { Quorum } from "../base/quorum.ts";
import {
  configVersionOf,
  encodeNotification,
  nobody,
  parseNotification,
  roundMax,
  votersOf,
  VoterState,
} from "../wire/votes.ts";
import { Tally } from "./tally.ts";
import { beats, type CastVote, type Vote } from "./vote.ts";

export interface ElectionOptions {
  readonly sid: number;
  readonly observer: boolean;
  readonly quorum: Quorum;
  /** The configuration as it is told to others, and its version. */
  readonly configText: string;
  readonly configVersion: number;
  /** How long a decision waits where a better vote could still come. */
  readonly settleMs: number;
  /** A vote that nobody answers is told again after this, then after twice that, up to the second. */
  readonly notificationMsMin: number;
  readonly notificationMsMax: number;
}

export type ElectionState = "looking" | "leading" | "following" | "observing";

export interface Decision {
  readonly leader: number;
  readonly vote: Vote;
}

/** The configuration of a higher version than ours that somebody told. Information only: members are static. */
export interface ConfigSeen {
  readonly from: number;
  readonly version: number;
  readonly text: string;
}

const versionOurs = 2;
/** Configurations of others that are told to an operator. */
const configsToldMax = 8;
/** A vote heard so long before we began to look is taken as if it came now; an older one may be stale. */
const earlyVoteMsMax = 1000;

/** Whom somebody takes for the voters, where those are others than ours. */
export interface VotersTold {
  readonly from: number;
  readonly voters: readonly number[];
}

const wireStates: Readonly<Record<ElectionState, VoterState>> = {
  looking: VoterState.Looking,
  leading: VoterState.Leading,
  following: VoterState.Following,
  observing: VoterState.Observing,
};

export class Election {
  readonly #options: ElectionOptions;
  readonly #quorum: Quorum;
  readonly #send: (to: number, bytes: Uint8Array) => void;
  readonly #config: Uint8Array;
  /** Our vote is counted. */
  readonly #votes: boolean;

  #state: ElectionState = "looking";
  /** In a round: from `look` to the decision. Invariant: only while looking. */
  #begun = false;
  #round = 0;
  /** What we tell when we are not looking, and strangers always. */
  #currentVote: Vote;
  #decidedOnce = false;
  #decision: Decision | null = null;

  /** What we would vote for if we had heard nobody. */
  #own: Vote;
  #proposal: Vote;
  /** Votes of this round. */
  readonly #tally = new Tally();
  /** Votes of those who have a leader, of any round. */
  readonly #settled = new Tally();
  #settleAtMs = Infinity;
  #heardAtMs = 0;
  #sentAtMs = 0;
  #silenceMs = 0;

  readonly #up = new Set<number>();
  /** Voters that were up at any time since we were born. */
  readonly #seen = new Set<number>();
  /** The last vote of each voter that began to look before we did. */
  readonly #early = new Map<number, { readonly cast: CastVote; readonly atMs: number }>();

  /** Until `followed`: voters that told us, after our decision, that they vote otherwise. */
  readonly #left = new Set<number>();
  #synced = false;
  #configSeen: ConfigSeen | null = null;
  readonly #configsTold = new Set<string>();
  #othersTold: VotersTold | null = null;

  constructor(options: ElectionOptions, send: (to: number, bytes: Uint8Array) => void) {
    this.#options = options;
    this.#quorum = options.quorum;
    this.#send = send;
    this.#config = bytesOf(options.configText);
    this.#votes = options.quorum.isVoter(options.sid);
    assert(!(options.observer && this.#votes), "an observer is no voter");
    assert(options.settleMs >= 0 && options.notificationMsMin > 0, "times of an election are positive");
    assert(options.notificationMsMin <= options.notificationMsMax, "the silence grows up to a maximum");
    this.#currentVote = { leader: options.sid, zxid: 0, round: -1, epoch: 0 };
    this.#own = this.#currentVote;
    this.#proposal = this.#currentVote;
  }

  get state(): ElectionState {
    return this.#state;
  }

  get round(): number {
    return this.#round;
  }

  get currentVote(): Vote {
    return this.#currentVote;
  }

  /** A quorum says the same as we do, and we wait whether somebody says better. */
  get settling(): boolean {
    return this.#settleAtMs !== Infinity;
  }

  get configSeen(): ConfigSeen | null {
    return this.#configSeen;
  }

  /** Somebody votes with other voters than ours: an operator has to hear of it, once. */
  takeVotersTold(): VotersTold | null {
    const told = this.#othersTold;
    this.#othersTold = null;
    return told;
  }

  /** When `tick` has something to do. */
  get nextAtMs(): number {
    if (!this.#begun) return Infinity;
    if (this.settling) return this.#settleAtMs;
    // Whoever talks without end must not keep us from asking.
    return Math.min(this.#heardAtMs + this.#silenceMs, this.#sentAtMs + this.#options.notificationMsMax);
  }

  /**
   * Our decision came to nothing: the leader we chose votes for another, or so many voters do that we
   * cannot lead. True only before `followed`; looking again is quicker than waiting for initLimit.
   */
  get deserted(): boolean {
    if (this.#state === "looking" || this.#synced) return false;
    if (this.#state !== "leading") return this.#left.has(this.#currentVote.leader);
    return !this.#quorum.isQuorum((sid) => !this.#left.has(sid));
  }

  /** The decision, once. */
  takeDecision(): Decision | null {
    const decision = this.#decision;
    this.#decision = null;
    return decision;
  }

  /**
   * The leader is lost, or we lead no more, and it is not yet time for `look`. From now on nobody is
   * told of a leader that there isn't.
   */
  leave(): void {
    this.#state = "looking";
    this.#begun = false;
    this.#settleAtMs = Infinity;
    this.#decision = null;
  }

  /** Begins a round. `zxidLast` is the last durable one: all that we ever acknowledged is covered by it. */
  look(zxidLast: number, epochCurrent: number, monoMs: number): void {
    this.leave();
    this.#begun = true;
    this.#tally.clear();
    this.#settled.clear();
    // Only malice gets this far. Beyond it we go on like a server that was started anew.
    this.#round = this.#round >= roundMax ? 1 : this.#round + 1;
    this.#silenceMs = this.#options.notificationMsMin;
    this.#heardAtMs = monoMs;
    const { sid, observer } = this.#options;
    this.#own = observer
      ? { leader: nobody, zxid: nobody, round: this.#round, epoch: nobody }
      : { leader: this.#votes ? sid : nobody, zxid: zxidLast, round: this.#round, epoch: epochCurrent };
    if (!this.#decidedOnce) {
      this.#currentVote = { leader: sid, zxid: zxidLast, round: -1, epoch: epochCurrent };
    }
    this.#propose(this.#own, monoMs);
    this.#consider(monoMs);

    const early = [...this.#early];
    this.#early.clear();
    for (const [from, { cast, atMs }] of early) {
      if (this.#begun && atMs >= monoMs - earlyVoteMsMax) this.#hear(from, cast, monoMs);
    }
  }

  /** A notification, without its length, from whoever is behind the connection of `from`. */
  heard(from: number, bytes: Uint8Array, monoMs: number): void {
    const told = parseNotification(bytes);
    if (told === null || from === this.#options.sid) return;
    const { state, version, leader, zxid, round, epoch } = told;
    if (told.config !== null) this.#noteConfig(from, told.config);
    if (!this.#quorum.isVoter(from)) return this.#answerStranger(from, state);

    const cast: CastVote = { vote: { leader, zxid, round, epoch }, state, version };
    if (this.#begun) return this.#hear(from, cast, monoMs);
    if (state !== VoterState.Looking) {
      this.#early.delete(from);
      return;
    }
    // It began to look before we did. What it says is kept, for it does not say it again soon.
    this.#early.set(from, { cast, atMs: monoMs });
    if (this.#state === "looking") return;
    if (round > this.#round || (round === this.#round && leader !== this.#currentVote.leader)) {
      this.#left.add(from);
    }
    this.#answer(from, this.#currentVote);
  }

  /** There is a connection to that member now. The link says again what it said last; we need not. */
  up(sid: number, _monoMs: number): void {
    if (!this.#quorum.isVoter(sid)) return;
    this.#up.add(sid);
    this.#seen.add(sid);
  }

  /** There is no connection any more: perhaps nobody is left whom we would wait for. */
  down(sid: number, monoMs: number): void {
    this.#up.delete(sid);
    this.#early.delete(sid);
    if (this.#begun) this.#consider(monoMs);
  }

  tick(monoMs: number): void {
    if (!this.#begun || monoMs < this.nextAtMs) return;
    if (this.settling) return this.#decide(this.#proposal);
    this.#silenceMs = Math.min(this.#silenceMs * 2, this.#options.notificationMsMax);
    this.#heardAtMs = monoMs;
    this.#tellAll(monoMs);
  }

  /**
   * The new epoch has begun: synced with the leader, or leading and serving. Who joins later compares
   * leader and epoch over all answers, so everyone has to tell the same (quorum-protocol 2.7).
   */
  followed(epoch: number): void {
    this.#currentVote = { ...this.#currentVote, epoch };
    this.#synced = true;
    this.#left.clear();
  }

  #hear(from: number, cast: CastVote, monoMs: number): void {
    this.#heardAtMs = monoMs;
    const { vote, state } = cast;
    if (state === VoterState.Looking && vote.round < this.#round) this.#answer(from, this.#proposal);
    if (!this.#quorum.isVoter(vote.leader)) return;
    switch (state) {
      case VoterState.Looking:
        return this.#hearLooking(from, cast, monoMs);
      case VoterState.Following:
      case VoterState.Leading:
        return this.#hearSettled(from, cast, monoMs);
      case VoterState.Observing:
        return;
    }
  }

  #hearLooking(from: number, cast: CastVote, monoMs: number): void {
    // A voter that looks tells those without a vote about its previous leader, often a dead one.
    if (!this.#votes) return;
    const { vote } = cast;
    // Whose database is missing can neither choose nor be chosen.
    if (this.#own.zxid === -1 || vote.zxid === -1) return;
    if (vote.round < this.#round) return;
    if (vote.round > this.#round) {
      this.#round = vote.round;
      this.#tally.clear();
      this.#propose(beats(vote, this.#own, this.#quorum) ? vote : this.#own, monoMs);
    } else if (beats(vote, this.#proposal, this.#quorum)) {
      this.#propose(vote, monoMs);
    }
    this.#tally.set(from, cast);
    this.#consider(monoMs);
  }

  #hearSettled(from: number, cast: CastVote, monoMs: number): void {
    const { vote } = cast;
    if (vote.round === this.#round) {
      // Kept without a version: of this round's followers some have begun the new epoch and some not
      // yet, so it is the leader alone that has to agree.
      this.#tally.set(from, { ...cast, version: 0 });
      if (this.#tally.hasQuorum(this.#quorum, cast) && this.#leads(this.#tally, vote)) {
        return this.#decide(vote);
      }
    }
    this.#settled.set(from, cast);
    if (this.#settled.hasQuorum(this.#quorum, cast) && this.#leads(this.#settled, vote)) {
      // A reconfiguration leaves votes with round -1.
      this.#round = Math.max(0, vote.round);
      return this.#decide(vote);
    }
    this.#consider(monoMs);
  }

  /** Followers may remember a leader that is gone: it has to say so itself. */
  #leads(tally: Tally, vote: Vote): boolean {
    return vote.leader === this.#options.sid ? vote.round === this.#round : tally.isLeading(vote.leader);
  }

  #propose(vote: Vote, monoMs: number): void {
    this.#proposal = { ...vote, round: this.#round };
    this.#settleAtMs = Infinity;
    if (this.#votes && this.#own.zxid !== -1) this.#tally.set(this.#options.sid, this.#proposed());
    this.#tellAll(monoMs);
  }

  #proposed(): CastVote {
    return { vote: this.#proposal, state: VoterState.Looking, version: versionOurs };
  }

  /** Does a quorum say the same as we do, and could anyone still say better? */
  #consider(monoMs: number): void {
    if (!this.#votes) return;
    const proposed = this.#proposed();
    if (!this.#tally.hasQuorum(this.#quorum, proposed)) {
      this.#settleAtMs = Infinity;
      return;
    }
    if (!this.settling) this.#settleAtMs = monoMs + this.#options.settleMs;
    if (monoMs >= this.#settleAtMs || this.#isSettled(proposed)) this.#decide(this.#proposal);
  }

  /**
   * Nobody is left to wait for: the leader is there, whoever is there says the same, and they are a
   * quorum. A voter that was never there may be about to start and counts as one to wait for; one that
   * was there and is gone is most likely the leader whose end began this election.
   */
  #isSettled(proposed: CastVote): boolean {
    const { sid } = this.#options;
    const { leader } = this.#proposal;
    if (leader !== sid && !this.#up.has(leader)) return false;
    for (const voter of this.#quorum.voters) {
      if (voter === sid) continue;
      if (!this.#seen.has(voter)) return false;
      if (this.#up.has(voter) && !this.#tally.agrees(voter, proposed)) return false;
    }
    return this.#quorum.isQuorum((voter) => voter === sid || this.#up.has(voter));
  }

  #decide(vote: Vote): void {
    const { sid } = this.#options;
    this.#state = vote.leader === sid ? "leading" : this.#options.observer ? "observing" : "following";
    this.#begun = false;
    this.#settleAtMs = Infinity;
    this.#currentVote = vote;
    this.#decidedOnce = true;
    this.#decision = { leader: vote.leader, vote };
    this.#synced = false;
    this.#left.clear();
    this.#early.clear();
  }

  #tellAll(monoMs: number): void {
    this.#sentAtMs = monoMs;
    const bytes = encodeNotification(VoterState.Looking, this.#proposal, this.#config);
    for (const voter of this.#quorum.voters) if (voter !== this.#options.sid) this.#send(voter, bytes);
  }

  /**
   * One without a vote answers nobody: no voter has a use for it, and a voter of the original that
   * looks answers the answer at once, so that two messages would chase each other until it has a leader.
   */
  #answer(to: number, vote: Vote): void {
    if (this.#votes) this.#send(to, encodeNotification(wireStates[this.#state], vote, this.#config));
  }

  /** Who has no vote hears of the leader; while we look of the previous one, and that we look. */
  #answerStranger(to: number, theirs: VoterState): void {
    if (theirs === VoterState.Looking) this.#answer(to, { ...this.#currentVote, round: this.#round });
  }

  #noteConfig(from: number, config: Uint8Array): void {
    if (bytesEqual(config, this.#config)) return;
    const text = textOf(config);
    this.#noteVoters(from, text);
    const version = configVersionOf(text);
    if (version === null || version <= (this.#configSeen?.version ?? this.#options.configVersion)) return;
    this.#configSeen = { from, version, text };
  }

  #noteVoters(from: number, text: string): void {
    if (this.#configsTold.size >= configsToldMax || this.#configsTold.has(text)) return;
    this.#configsTold.add(text);
    const voters = votersOf(text);
    const ours = this.#quorum.voters;
    if (voters.length === 0 || (voters.length === ours.length && voters.every((sid, i) => sid === ours[i]))) {
      return;
    }
    this.#othersTold = { from, voters };
  }
}
