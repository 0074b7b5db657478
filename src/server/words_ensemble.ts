/**
 * Words of an ensemble: what `mntr` and the metrics tell of a member beside what a server tells that
 * stands alone (operations.md 4.1).
 *
 * The original has these names on a leader only, on members only or on everyone; which, is settled
 * here, since dashboards tell a leader from the others by the names that are there.
 */
import type { LatencySummary } from "../core/base/histogram.ts";
import { counterOf, epochOf, type Zxid } from "../core/base/zxid.ts";
import type { EnsembleStatus, LearnerStatus } from "../core/peer/status.ts";
import type { WordSource } from "./four_letter_words.ts";

const rolesShown: Readonly<Record<EnsembleStatus["role"], string>> = {
  looking: "looking",
  leader: "leading",
  follower: "following",
  observer: "observing",
};

/** `leading - broadcast`, `following - synchronization - diff`. */
export function peerStateText(ensemble: EnsembleStatus): string {
  const parts = [rolesShown[ensemble.role]];
  if (ensemble.phase !== "election") parts.push(ensemble.phase);
  if (ensemble.phase === "synchronization" && ensemble.syncKindLast !== null) {
    parts.push(ensemble.syncKindLast);
  }
  return parts.join(" - ");
}

export function isSynced(learner: LearnerStatus): boolean {
  return learner.phase === "broadcast";
}

/** Synced learners, counted as the original counts them: the leader itself is in none. */
export function syncedCounts(ensemble: EnsembleStatus) {
  const synced = ensemble.learners.filter(isSynced);
  return {
    followers: synced.filter(({ role, voting }) => role === "follower" && voting).length,
    nonVotingFollowers: synced.filter(({ role, voting }) => role === "follower" && !voting).length,
    observers: synced.filter(({ role }) => role === "observer").length,
  };
}

/** By name; which of them are there depends on the role. */
export function ensembleGauges(source: WordSource, ensemble: EnsembleStatus | null): Map<string, number> {
  const gauges = new Map<string, number>();
  if (ensemble === null) return gauges;
  gauges.set("quorum_size", ensemble.voters.length);
  const synced = syncedCounts(ensemble);
  const servesObservers = ensemble.role === "follower" &&
    (source.settings.ensemble?.observerMasterPort ?? -1) > 0;
  if (ensemble.role === "leader" || servesObservers) gauges.set("synced_observers", synced.observers);
  if (ensemble.role !== "leader") return gauges;
  gauges.set("learners", ensemble.learners.length);
  gauges.set("synced_followers", synced.followers);
  gauges.set("synced_non_voting_followers", synced.nonVotingFollowers);
  gauges.set("pending_syncs", ensemble.pendingSyncs);
  gauges.set("leader_uptime", ensemble.leaderUptimeMs);
  gauges.set("last_proposal_size", ensemble.proposalBytesLast);
  gauges.set("min_proposal_size", ensemble.proposalBytesMin);
  gauges.set("max_proposal_size", ensemble.proposalBytesMax);
  return gauges;
}

export function ensembleCounters(ensemble: EnsembleStatus | null): Readonly<Record<string, number>> {
  if (ensemble === null) return {};
  return {
    proposal_count: ensemble.proposals,
    looking_count: ensemble.elections,
    learner_proposal_received_count: ensemble.proposalsReceived,
    learner_commit_received_count: ensemble.commitsReceived,
    diff_count: ensemble.diffSyncs,
    snap_count: ensemble.snapSyncs,
  };
}

/** Summaries without quantiles. */
export function ensembleTimes(
  source: WordSource,
  ensemble: EnsembleStatus | null,
): Readonly<Record<string, LatencySummary>> {
  if (ensemble === null) return {};
  const syncName = source.settings.ensemble?.observer === true ? "observer_sync_time" : "follower_sync_time";
  return {
    election_time: ensemble.electionTimes,
    unavailable_time: ensemble.unavailableTimes,
    [syncName]: ensemble.syncTimes,
    ...(ensemble.role === "leader" ? { leader_unavailable_time: ensemble.unavailableTimes } : {}),
  };
}

/** Summaries with quantiles; `append` is what a member waits for its own log. */
export function ensembleLatencies(
  ensemble: EnsembleStatus | null,
  append: LatencySummary,
): Readonly<Record<string, LatencySummary>> {
  // Alone, a proposal is committed once its own log holds it: one time under both names.
  if (ensemble === null) return { propagation_latency: append };
  return {
    proposal_ack_creation_latency: append,
    ...(ensemble.role !== "leader" ? {} : {
      quorum_ack_latency: ensemble.quorumTimes,
      propagation_latency: ensemble.quorumTimes,
    }),
  };
}

/** `Proposal sizes last/min/max`, the last line of a leader's `srvr`. */
export function proposalSizesLine(ensemble: EnsembleStatus | null): string {
  if (ensemble?.role !== "leader") return "";
  const { proposalBytesLast, proposalBytesMin, proposalBytesMax } = ensemble;
  return `Proposal sizes last/min/max: ${proposalBytesLast}/${proposalBytesMin}/${proposalBytesMax}\n`;
}

/** Zxids of one epoch are counted; over an epoch's border only those of the new one are known. */
export function txnsBetween(zxidFrom: number, zxidTo: number): number {
  if (zxidTo <= zxidFrom) return 0;
  const sameEpoch = epochOf(zxidFrom as Zxid) === epochOf(zxidTo as Zxid);
  return sameEpoch ? zxidTo - zxidFrom : counterOf(zxidTo as Zxid);
}
