/**
 * Tally: the last vote of each voter, and who of them says the same.
 *
 * There are two per election: one of this round, one of those who already have a leader. Only voters
 * get in (the election asks before), so it is never larger than the ensemble.
 */
import type { Quorum } from "../base/quorum.ts";
import { VoterState } from "../wire/votes.ts";
import { agrees, type CastVote } from "./vote.ts";

export class Tally {
  readonly #votes = new Map<number, CastVote>();

  clear(): void {
    this.#votes.clear();
  }

  set(sid: number, cast: CastVote): void {
    this.#votes.set(sid, cast);
  }

  /** Did that voter say the same as `cast`? */
  agrees(sid: number, cast: CastVote): boolean {
    const theirs = this.#votes.get(sid);
    return theirs !== undefined && agrees(theirs, cast);
  }

  /** Does a quorum say the same as `cast`? */
  hasQuorum(quorum: Quorum, cast: CastVote): boolean {
    return quorum.isQuorum((sid) => this.agrees(sid, cast));
  }

  /** Did that voter say that it leads? */
  isLeading(sid: number): boolean {
    return this.#votes.get(sid)?.state === VoterState.Leading;
  }
}
