/**
 * Metrics of an ensemble: what the original does not export, under names of our own.
 *
 * A learner is labelled by its sid, and only those that are connected are told, so a series ends when
 * its learner is gone: alert on `learners_synced{role="follower"} < ensemble_voters - 1`, not on a lag
 * that is no longer told. A zxid does not fit the number that Prometheus keeps; epoch and counter do.
 */
import type { Family } from "prom-client/lib/registry.js";
import { counterOf, epochOf, type Zxid } from "../core/base/zxid.ts";
import type { EnsembleStatus, LearnerStatus, PeerStatus } from "../core/peer/status.ts";
import { syncedCounts, txnsBetween } from "../server/words_ensemble.ts";
import { family, histogramSamples } from "./metrics_family.ts";

const roles: readonly EnsembleStatus["role"][] = ["looking", "leader", "follower", "observer"];
const phases: readonly EnsembleStatus["phase"][] = [
  "election",
  "discovery",
  "synchronization",
  "broadcast",
];

/** None for a server that stands alone. */
export function ensembleFamilies({ ensemble, zxidLast }: PeerStatus): Family[] {
  if (ensemble === null) return [];
  const chosen = (label: string, all: readonly string[], is: string) =>
    all.map((name) => [{ [label]: name }, name === is ? 1 : 0] as const);
  return [
    family("gauge", "ensemble_role", "1 for the role", chosen("role", roles, ensemble.role)),
    family("gauge", "ensemble_phase", "1 for the phase of Zab", chosen("phase", phases, ensemble.phase)),
    family("gauge", "ensemble_phase_seconds", "Since role and phase changed", ensemble.phaseMs / 1000),
    family("gauge", "ensemble_leader", "Sid of the leader; not there without one", leaderOf(ensemble)),
    family("gauge", "ensemble_voters", "Voters of the configuration", ensemble.voters.length),
    family("gauge", "ensemble_observers", "Observers of the configuration", ensemble.observers.length),
    family("gauge", "ensemble_epoch", "Epochs accepted and current", [
      [{ kind: "accepted" }, ensemble.epochAccepted],
      [{ kind: "current" }, ensemble.epochCurrent],
    ]),
    family("gauge", "ensemble_round", "Round of the last election", ensemble.round),
    family("gauge", "zxid_epoch", "Epoch of the last zxid", epochOf(zxidLast as Zxid)),
    family(
      "gauge",
      "zxid_counter",
      "Counter of the last zxid; a new epoch begins before 4294967295",
      counterOf(zxidLast as Zxid),
    ),
    family(
      "gauge",
      "proposals_in_flight",
      "Proposals without a quorum yet",
      ensemble.proposalsInFlight,
    ),
    family(
      "gauge",
      "proposals_not_durable",
      "Proposals that our own log does not hold yet",
      txnsBetween(ensemble.zxidDurable, ensemble.zxidProposed),
    ),
    family("counter", "elections_total", "Elections begun", ensemble.elections),
    family("gauge", "election_seconds_last", "How long the last took", ensemble.electionMsLast / 1000),
    {
      name: "election_seconds",
      help: "How long elections took",
      type: "histogram",
      values: histogramSamples("election_seconds", {}, ensemble.electionTimes),
    },
    family("gauge", "sync_seconds_last", "From the last decision to serving", [[
      { kind: ensemble.syncKindLast ?? "none" },
      ensemble.syncMsLast / 1000,
    ]]),
    {
      name: "quorum_latency_seconds",
      help: "On a leader, from a proposal to its quorum",
      type: "histogram",
      values: histogramSamples("quorum_latency_seconds", {}, ensemble.quorumTimes),
    },
    family("counter", "quorum_packets_total", "Packets on quorum links", [
      [{ direction: "received" }, ensemble.quorumPacketsReceived],
      [{ direction: "sent" }, ensemble.quorumPacketsSent],
    ]),
    family("counter", "requests_forwarded_total", "Requests handed to the leader", ensemble.forwarded),
    family("counter", "learners_refused_total", "Quorum links turned away", ensemble.learnersRefused),
    ...(ensemble.role === "leader" || ensemble.learners.length > 0 ? learnerFamilies(ensemble) : []),
  ];
}

function learnerFamilies(ensemble: EnsembleStatus): Family[] {
  const { learners } = ensemble;
  const synced = syncedCounts(ensemble);
  const each = (name: string, help: string, value: (learner: LearnerStatus) => number) =>
    family("gauge", name, help, learners.map((learner) => [labelsOf(learner), value(learner)]));
  return [
    family("gauge", "learners_synced", "Learners that follow each commit", [
      [{ role: "follower" }, synced.followers],
      [{ role: "follower_not_voting" }, synced.nonVotingFollowers],
      [{ role: "observer" }, synced.observers],
    ]),
    each("learner_lag_txns", "Txns proposed and not acknowledged by it", ({ lagTxns }) => lagTxns),
    each("learner_unsent_bytes", "Bytes for it that wait here", ({ unsentBytes }) => unsentBytes),
    each("learner_silent_seconds", "Since it was heard", ({ silentMs }) => silentMs / 1000),
    each("learner_connected_seconds", "Since it connected", ({ connectedMs }) => connectedMs / 1000),
    family(
      "gauge",
      "learner_phase",
      "1 for the phase that it is in",
      learners.map((learner) => [{ ...labelsOf(learner), phase: learner.phase }, 1]),
    ),
    family(
      "gauge",
      "learner_sync_seconds",
      "How long it took to bring it level, and by what",
      learners.flatMap((learner) =>
        learner.syncKind === null
          ? []
          : [[{ ...labelsOf(learner), kind: learner.syncKind }, learner.syncMs / 1000] as const]
      ),
    ),
    family(
      "counter",
      "learner_packets_total",
      "Packets between it and us",
      learners.flatMap((learner) => [
        [{ ...labelsOf(learner), direction: "received" }, learner.packetsReceived] as const,
        [{ ...labelsOf(learner), direction: "sent" }, learner.packetsSent] as const,
      ]),
    ),
    {
      name: "learner_ack_seconds",
      help: "From a proposal to its acknowledgement",
      type: "histogram",
      values: learners.filter(({ role }) => role === "follower").flatMap((learner) =>
        histogramSamples("learner_ack_seconds", labelsOf(learner), learner.ackTimes)
      ),
    },
  ];
}

function labelsOf({ sid, role }: LearnerStatus): Record<string, string> {
  return { sid: String(sid), role };
}

function leaderOf({ leader }: EnsembleStatus): readonly (readonly [Record<string, string>, number])[] {
  return leader === null ? [] : [[{}, leader]];
}
