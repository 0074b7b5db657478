/**
 * Ensemble status: a member's part in its ensemble, as `status.ts` describes it.
 */
import { epochOf, type Zxid } from "../base/zxid.ts";
import type { Leader } from "../zab/leader.ts";
import type { Learner } from "../zab/learner.ts";
import type { LearnerLink } from "../zab/learner_link.ts";
import type { Peer } from "./peer.ts";
import type { EnsembleStatus, LearnerStatus } from "./status.ts";

/** Null where the peer stands alone. */
export function ensembleStatus(peer: Peer, monoMs: number): EnsembleStatus | null {
  const { member, election, leader, learner, master, ledger, stats } = peer;
  if (member === null || election === null) return null;
  const phase = phaseOf(leader, learner);
  const role = leader !== null
    ? "leader"
    : learner === null
    ? "looking"
    : member.observer
    ? "observer"
    : "follower";
  const leads = leader?.phase === "broadcast";
  const serves = leader ?? master;
  const links = serves === null ? [] : [...serves.learners.values()].filter((one) => one.phase !== "info");
  const learners = links.map((one) => learnerStatus(peer, one, monoMs));
  return {
    sid: member.sid,
    role,
    phase,
    phaseMs: Math.max(0, monoMs - stats.phaseSinceMs),
    leader: leader !== null ? member.sid : learner?.leader ?? null,
    master: learner?.master ?? null,
    voters: member.quorum.voters,
    observers: member.members.filter((sid) => !member.quorum.isVoter(sid)),
    configText: member.configText,
    configVersion: member.configVersion,
    epochAccepted: peer.epochs.accepted,
    epochCurrent: peer.epochs.current,
    round: election.round,
    zxidProposed: leads ? leader.zxidLast : ledger.proposed,
    zxidDurable: ledger.durable,
    zxidCommitted: ledger.committed,
    proposalsInFlight: ledger.inFlight,
    leaderUptimeMs: leads ? Math.max(0, monoMs - stats.servingSinceMs) : 0,
    proposals: leads ? stats.proposals : 0,
    proposalBytesLast: leads ? stats.proposalBytesLast : -1,
    proposalBytesMin: leads ? stats.proposalBytesMin : -1,
    proposalBytesMax: leads ? stats.proposalBytesMax : -1,
    pendingSyncs: leader?.pendingSyncs ?? peer.pendingSyncs,
    proposalsReceived: stats.proposalsReceived,
    commitsReceived: stats.commitsReceived,
    electionMsLast: stats.electionMsLast,
    elections: stats.elections,
    electionTimes: stats.electionTimes.summary(),
    syncMsLast: stats.syncMsLast,
    syncKindLast: stats.syncKindLast,
    syncTimes: stats.syncTimes.summary(),
    unavailableTimes: stats.unavailableTimes.summary(),
    quorumTimes: stats.quorumTimes.summary(),
    quorumPacketsReceived: leader?.packetsReceived ?? learner?.packetsReceived ?? 0,
    quorumPacketsSent: learner?.packetsSent ?? links.reduce((sum, one) => sum + one.packetsSent, 0),
    forwarded: stats.forwarded,
    learners,
    learnersRefused: serves?.refused ?? 0,
    snapSyncs: serves?.snaps ?? 0,
    diffSyncs: serves?.diffs ?? 0,
  };
}

function phaseOf(leader: Leader | null, learner: Learner | null): EnsembleStatus["phase"] {
  if (leader !== null) {
    if (leader.phase === "broadcast" || leader.phase === "synchronization") return leader.phase;
    return "discovery";
  }
  if (learner === null) return "election";
  if (learner.phase === "broadcast") return "broadcast";
  return learner.phase === "dial" || learner.phase === "discovery" ? "discovery" : "synchronization";
}

function learnerStatus(peer: Peer, one: LearnerLink, monoMs: number): LearnerStatus {
  const reached = one.observer ? one.sent : one.acked;
  const proposed = peer.ledger.proposed;
  const same = epochOf(proposed) === epochOf(reached as Zxid);
  return {
    sid: one.sid,
    role: one.observer ? "observer" : "follower",
    voting: one.voting,
    remote: one.link.remote,
    phase: one.phase === "active"
      ? "broadcast"
      : one.phase === "epoch" || one.phase === "ackEpoch"
      ? "discovery"
      : "synchronization",
    zxidAcked: reached,
    lagTxns: one.observer || !same ? 0 : Math.max(0, proposed - reached),
    unsentBytes: one.link.unsentBytes,
    syncKind: one.syncKind,
    syncMs: one.syncMs,
    connectedMs: Math.max(0, monoMs - one.openedMs),
    silentMs: Math.max(0, monoMs - one.heardMs),
    packetsReceived: one.packetsReceived,
    packetsSent: one.packetsSent,
    requests: one.requests,
    ackTimes: one.ackTimes.summary(),
  };
}
