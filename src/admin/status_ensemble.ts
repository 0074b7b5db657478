/**
 * Status of an ensemble as JSON: its members as this one sees them, and this one's part in it.
 *
 * Only a leader knows how the others are. What is not known is null, which is not the same as "not
 * there": a follower tells `link: null` of its fellows, a leader tells it of who does not follow.
 */
import { MajorityQuorum } from "../core/base/quorum.ts";
import { type Zxid, zxidHex } from "../core/base/zxid.ts";
import type { EnsembleStatus, LatencySummary, LearnerStatus, PeerStatus } from "../core/peer/status.ts";
import type { WordSource } from "../server/four_letter_words.ts";
import { isSynced, peerStateText, txnsBetween } from "../server/words_ensemble.ts";
import { type MemberShown, membersOf, placeText } from "../server/words_members.ts";

/** Members and learners that are listed; observers may be many. */
const membersListedMax = 200;

export function ensembleJson(source: WordSource, status: PeerStatus) {
  const { ensemble } = status;
  if (ensemble === null) return null;
  const all = membersSeen(source, ensemble);
  return {
    sid: ensemble.sid,
    role: ensemble.role,
    phase: ensemble.phase,
    state: peerStateText(ensemble),
    phaseMs: ensemble.phaseMs,
    leader: ensemble.leader,
    master: ensemble.master,
    voters: ensemble.voters,
    observers: ensemble.observers,
    /** Voters in step, this one with them; null where that is not known. */
    votersInStep: ensemble.role === "leader" ? votersInStep(ensemble).length : null,
    /** Whichever voter in step is lost next, a quorum stays; null where that is not known. */
    survivesLoss: ensemble.role === "leader" ? survivesLoss(source, ensemble) : null,
    configVersion: zxidHex(ensemble.configVersion as Zxid),
    epochAccepted: ensemble.epochAccepted,
    epochCurrent: ensemble.epochCurrent,
    round: ensemble.round,
    zxidProposed: zxidHex(ensemble.zxidProposed as Zxid),
    zxidDurable: zxidHex(ensemble.zxidDurable as Zxid),
    zxidCommitted: zxidHex(ensemble.zxidCommitted as Zxid),
    notDurableTxns: txnsBetween(ensemble.zxidDurable, ensemble.zxidProposed),
    proposalsInFlight: ensemble.proposalsInFlight,
    leaderUptimeMs: ensemble.leaderUptimeMs,
    proposals: ensemble.proposals,
    proposalBytesLast: ensemble.proposalBytesLast,
    proposalBytesMax: ensemble.proposalBytesMax,
    pendingSyncs: ensemble.pendingSyncs,
    elections: ensemble.elections,
    electionMsLast: ensemble.electionMsLast,
    electionMsMax: ensemble.electionTimes.maxMs,
    unavailableMsSum: ensemble.unavailableTimes.sumMs,
    syncMsLast: ensemble.syncMsLast,
    syncKindLast: ensemble.syncKindLast,
    snapSyncs: ensemble.snapSyncs,
    diffSyncs: ensemble.diffSyncs,
    quorum: { count: ensemble.quorumTimes.count, ...timesJson(ensemble.quorumTimes) },
    quorumPacketsReceived: ensemble.quorumPacketsReceived,
    quorumPacketsSent: ensemble.quorumPacketsSent,
    forwarded: ensemble.forwarded,
    learnersRefused: ensemble.learnersRefused,
    list: all.slice(0, membersListedMax),
    leftOut: Math.max(0, all.length - membersListedMax),
  };
}

export type EnsembleJson = NonNullable<ReturnType<typeof ensembleJson>>;

function votersInStep(ensemble: EnsembleStatus): number[] {
  const following = new Set(ensemble.learners.filter(isSynced).map(({ sid }) => sid));
  return ensemble.voters.filter((sid) => sid === ensemble.sid || following.has(sid));
}

function survivesLoss(source: WordSource, ensemble: EnsembleStatus): boolean {
  // Groups and weights are in the settings; the voters may have changed since.
  const configured = source.settings.ensemble?.quorum;
  const isSame = configured?.voters.length === ensemble.voters.length &&
    ensemble.voters.every((sid) => configured.isVoter(sid));
  const quorum = isSame ? configured : new MajorityQuorum(ensemble.voters);
  const inStep = votersInStep(ensemble);
  return inStep.every((lost) => quorum.isQuorum((sid) => sid !== lost && inStep.includes(sid)));
}

/** Members of the configuration, then learners without a line in it. */
function membersSeen(source: WordSource, ensemble: EnsembleStatus) {
  const links = new Map(ensemble.learners.map((learner) => [learner.sid, learner]));
  const members = membersOf(source, ensemble);
  const known = new Set(members.map(({ sid }) => sid));
  const strangers = ensemble.learners.filter(({ sid }) => !known.has(sid)).map(
    ({ sid, voting }): MemberShown => ({ sid, voter: voting, addresses: [], client: null }),
  );
  return [...members, ...strangers].map((member) => {
    const link = links.get(member.sid);
    return {
      sid: member.sid,
      voter: member.voter,
      self: member.sid === ensemble.sid,
      leader: member.sid === ensemble.leader,
      places: member.addresses.map(({ host, quorumPort }) => placeText(host, quorumPort)),
      link: link === undefined ? null : linkJson(link),
    };
  });
}

function linkJson(learner: LearnerStatus) {
  return {
    role: learner.role,
    remote: learner.remote,
    phase: learner.phase,
    zxidAcked: zxidHex(learner.zxidAcked as Zxid),
    lagTxns: learner.lagTxns,
    unsentBytes: learner.unsentBytes,
    syncKind: learner.syncKind,
    syncMs: learner.syncMs,
    connectedMs: learner.connectedMs,
    silentMs: learner.silentMs,
    ack: timesJson(learner.ackTimes),
  };
}

function timesJson(times: LatencySummary) {
  return {
    avgMs: times.count === 0 ? null : times.sumMs / times.count,
    p99Ms: times.count === 0 ? null : times.quantileMs(0.99),
    maxMs: times.count === 0 ? null : times.maxMs,
  };
}
