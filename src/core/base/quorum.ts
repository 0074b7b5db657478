/**
 * Quorum: which sets of voters may decide for the ensemble.
 *
 * Majority, or weights in groups (quorum-protocol 8.4). Whoever asks gives a predicate over sids, so
 * that nobody has to build a set for it. Any two quorums share a voter: everything else rests on that.
 */
import { assert } from "./assert.ts";

export interface Quorum {
  /** Sids of the voters, ascending. */
  readonly voters: readonly number[];
  isVoter(sid: number): boolean;
  /** 1 with majorities; a voter with weight 0 votes and follows but is never elected. */
  weight(sid: number): number;
  /** Is the set of voters for which `has` holds a quorum? */
  isQuorum(has: (sid: number) => boolean): boolean;
}

export class MajorityQuorum implements Quorum {
  readonly voters: readonly number[];
  readonly #set: ReadonlySet<number>;

  constructor(voters: readonly number[]) {
    assert(voters.length > 0, "an ensemble has a voter");
    this.voters = [...voters].sort((a, b) => a - b);
    this.#set = new Set(voters);
    assert(this.#set.size === voters.length, "each voter is there once");
  }

  isVoter(sid: number): boolean {
    return this.#set.has(sid);
  }

  weight(sid: number): number {
    return this.#set.has(sid) ? 1 : 0;
  }

  isQuorum(has: (sid: number) => boolean): boolean {
    let count = 0;
    for (const sid of this.voters) if (has(sid)) count++;
    return count * 2 > this.voters.length;
  }
}

export interface QuorumGroup {
  readonly members: readonly { readonly sid: number; readonly weight: number }[];
}

/** More than half of the weight in more than half of the groups; groups without weight do not count. */
export class HierarchicalQuorum implements Quorum {
  readonly voters: readonly number[];
  readonly #weights = new Map<number, number>();
  readonly #groups: readonly QuorumGroup[];

  constructor(groups: readonly QuorumGroup[]) {
    for (const { members } of groups) {
      for (const { sid, weight } of members) {
        assert(!this.#weights.has(sid), "groups share no voter");
        this.#weights.set(sid, weight);
      }
    }
    this.voters = [...this.#weights.keys()].sort((a, b) => a - b);
    this.#groups = groups.filter(({ members }) => members.some(({ weight }) => weight > 0));
    assert(this.#groups.length > 0, "some group has weight");
  }

  isVoter(sid: number): boolean {
    return this.#weights.has(sid);
  }

  weight(sid: number): number {
    return this.#weights.get(sid) ?? 0;
  }

  isQuorum(has: (sid: number) => boolean): boolean {
    let groups = 0;
    for (const { members } of this.#groups) {
      let total = 0;
      let got = 0;
      for (const { sid, weight } of members) {
        total += weight;
        if (has(sid)) got += weight;
      }
      if (got > Math.floor(total / 2)) groups++;
    }
    return groups > Math.floor(this.#groups.length / 2);
  }
}
