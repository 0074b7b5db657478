/**
 * Options: a plan as the options of one peer.
 */
import { lengthsOf } from "../../src/core/base/limits.ts";
import type { PeerOptions } from "../../src/core/peer/options.ts";
import type { World } from "./world.ts";

export function optionsOf(
  world: World,
  sid: number,
  bornWallMs: number,
  bornMonoMs: number,
  hashSeed: number,
): PeerOptions {
  const { plan, quorum } = world;
  const members = [...plan.voters, ...plan.observers];
  const lines = members.map((one) => {
    const role = plan.observers.includes(one) ? "observer" : "participant";
    return `server.${one}=10.0.0.${one}:2888:3888:${role};0.0.0.0:2181`;
  });
  return {
    serverId: sid,
    tickMs: plan.tickMs,
    sessionTimeoutMsMin: plan.tickMs * 2,
    sessionTimeoutMsMax: plan.tickMs * 20,
    digestEnabled: plan.digestEnabled,
    lengths: lengthsOf(plan.frameBytesMax, 0),
    judge: {
      extendedTypes: true,
      skipAcl: plan.plant === "aclUnchecked",
      enforceQuota: plan.enforceQuota,
      closeSessionTxn: true,
      auth: { superDigest: null, digestEnabled: true },
    },
    reaper: { checkMs: plan.tickMs * 2, perMinuteMax: 10_000, neverUsedMs: 0 },
    enforceAuthSchemes: [],
    outstandingMax: 1000,
    watchesPerConnectionMax: 1_000_000,
    watchesMax: 2_000_000,
    bornWallMs,
    bornMonoMs,
    hashSeed,
    ensemble: {
      sid,
      observer: plan.observers.includes(sid),
      members,
      quorum,
      configText: [...lines, "version=0"].join("\n"),
      configVersion: 0,
      counterMax: plan.counterMax,
      initLimit: plan.initLimit,
      syncLimit: plan.syncLimit,
      leaderServes: plan.leaderServes,
      settleMs: plan.settleMs,
      notificationMsMin: plan.notificationMsMin,
      notificationMsMax: plan.notificationMsMax,
      observerElectionDelayMs: plan.observerElectionDelayMs,
      historyTxnsMin: plan.historyTxnsMin,
      historyBytesMax: plan.historyBytesMax,
      snapshotSizeFactor: plan.snapshotSizeFactor,
      snapshotStepBytes: plan.snapshotStepBytes,
      snapSyncsMax: plan.snapSyncsMax,
      diffSyncsMax: plan.diffSyncsMax,
      observerMasters: plan.observerMasters,
    },
  };
}
