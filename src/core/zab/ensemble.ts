/**
 * Ensemble options: what a member is told of the others at birth. Addresses are the shell's business;
 * the core knows sids alone.
 */
import type { Quorum } from "../base/quorum.ts";

export interface EnsembleOptions {
  /** Who we are. A sid is a JavaScript number: up to 2^53. */
  readonly sid: number;
  /** We are an observer: hear all, are counted nowhere. */
  readonly observer: boolean;
  /** Sids of all members, observers too. */
  readonly members: readonly number[];
  readonly quorum: Quorum;
  /** The committed configuration as votes and NEWLEADER carry it, with its version line. quorum-protocol 7.1. */
  readonly configText: string;
  /** Its version: 0 in a static ensemble. */
  readonly configVersion: number;
  /** An epoch ends before this counter; lower in tests, where nobody waits for four thousand million txns. */
  readonly counterMax?: number;
  /** Ticks. */
  readonly initLimit: number;
  readonly syncLimit: number;
  /** False: a leader that has followers serves no clients. */
  readonly leaderServes: boolean;
  /** How long a decision waits while a better vote could still come. */
  readonly settleMs: number;
  /** A vote that nobody answered is repeated after this, then after twice that, up to the second. */
  readonly notificationMsMin: number;
  readonly notificationMsMax: number;
  /** An observer that lost its leader waits a random time up to this before it looks for another. */
  readonly observerElectionDelayMs: number;
  /** Committed txns kept in memory for learners that were away: so many at least, so many bytes at most. */
  readonly historyTxnsMin: number;
  readonly historyBytesMax: number;
  /** A learner whose missing txns are more bytes than this share of the tree gets the tree instead. 0.33 in the original. */
  readonly snapshotSizeFactor: number;
  /** Part of a snapshot that is made at once, and the next when it has left; a tree of a few such leaves whole. */
  readonly snapshotStepBytes?: number;
  /** Learners that may be given a snapshot, or a long diff, at once. Voters are not refused. */
  readonly snapSyncsMax: number;
  readonly diffSyncsMax: number;
  /** An observer asks the followers' observer port (`observerMasterPort`) rather than the leader. */
  readonly observerMasters: boolean;
}
