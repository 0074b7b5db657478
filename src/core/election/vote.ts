/**
 * Vote: who should lead, and why. quorum-protocol 2.2, 2.3.
 *
 * The better vote has seen the later epoch, then the higher zxid, then is the higher sid: whoever
 * wins already holds all that a quorum has, so that nothing committed is lost and nothing has to be
 * fetched before the new epoch begins. It is a total order, so all who hear the same votes agree.
 */
import type { Quorum } from "../base/quorum.ts";
import { VoterState } from "../wire/votes.ts";

export interface Vote {
  /** The sid voted for. */
  readonly leader: number;
  /** The last durable zxid of that leader. */
  readonly zxid: number;
  /** The round in which the vote was cast. */
  readonly round: number;
  /** The currentEpoch of that leader; once its epoch has begun, that epoch. */
  readonly epoch: number;
}

/** A vote, and what its voter was doing. */
export interface CastVote {
  readonly vote: Vote;
  readonly state: VoterState;
  /** Of the message it came in. */
  readonly version: number;
}

/** Is `candidate` better than `current`? Rounds are not looked at. A leader without weight never is. */
export function beats(candidate: Vote, current: Vote, quorum: Quorum): boolean {
  if (quorum.weight(candidate.leader) === 0) return false;
  if (candidate.epoch !== current.epoch) return candidate.epoch > current.epoch;
  if (candidate.zxid !== current.zxid) return candidate.zxid > current.zxid;
  return candidate.leader > current.leader;
}

/**
 * Do two votes count as one?
 *
 * While anyone is looking every field has to agree. Those who have settled keep the zxid and round of
 * the election they remember, which differ from one follower to the next: for them it is the leader
 * and its epoch, or, where just one of the two says no version, the leader alone.
 */
export function agrees(a: CastVote, b: CastVote): boolean {
  if (a.vote.leader !== b.vote.leader) return false;
  if (a.state === VoterState.Looking || b.state === VoterState.Looking) {
    return a.vote.zxid === b.vote.zxid && a.vote.round === b.vote.round && a.vote.epoch === b.vote.epoch;
  }
  if ((a.version > 0) !== (b.version > 0)) return true;
  return a.vote.epoch === b.vote.epoch;
}
