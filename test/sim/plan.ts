/**
 * Plan: what a seed means. Sizes, settings, and which faults happen when.
 *
 * Settings are small on purpose: a history of a few txns, ticks of a fraction of a second, so that
 * every way of getting level (from memory, from the log, by truncation, by snapshot) is met in a run
 * of a few virtual seconds. Some runs begin a few txns before the counter of an epoch is used up.
 */
import type { QuorumGroup } from "../../src/core/base/quorum.ts";
import type { Plant } from "./plants.ts";
import { frameBytesMax } from "../../src/core/base/limits.ts";
import { Chance } from "./prng.ts";

export type FaultKind =
  | "crash"
  | "power"
  | "crashAll"
  | "crashLeader"
  | "cut"
  | "stall"
  | "stallOneWay"
  | "isolateLeader"
  | "reset"
  | "freeze"
  | "slowDisk"
  | "fullDisk"
  | "wallJump"
  | "clientCut"
  | "clientAway";

export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly forMs: number;
  /** Chance of its own, for whom it meets. */
  readonly luck: number;
}

export interface Plan {
  readonly seed: number;
  readonly plant: Plant;
  readonly voters: readonly number[];
  readonly observers: readonly number[];
  /** Weights by group and voter; null counts heads. */
  readonly groups: readonly QuorumGroup[] | null;
  /** Followers serve the observers. */
  readonly observerMasters: boolean;
  /** Observers that keep nothing over a restart. */
  readonly forgetful: ReadonlySet<number>;
  readonly tickMs: number;
  readonly initLimit: number;
  readonly syncLimit: number;
  readonly settleMs: number;
  readonly notificationMsMin: number;
  readonly notificationMsMax: number;
  readonly observerElectionDelayMs: number;
  readonly historyTxnsMin: number;
  readonly historyBytesMax: number;
  readonly snapshotSizeFactor: number;
  /** A step of a snapshot: small ones let the tree change while it is sent. */
  readonly snapshotStepBytes: number;
  readonly snapSyncsMax: number;
  readonly diffSyncsMax: number;
  readonly leaderServes: boolean;
  readonly digestEnabled: boolean;
  /** Txns that a disk keeps behind its table, and bytes of one chunk of the log. */
  readonly logRetainTxns: number;
  readonly logChunkBytes: number;
  readonly diskMsMin: number;
  readonly diskMsMax: number;
  readonly netMsMin: number;
  readonly netMsMax: number;
  /** Pieces that one write of a quorum link is cut into, at most. */
  readonly cutsMax: number;
  readonly kernelBytes: number;
  /** What every disk holds at the start: the epoch, and the last zxid of it. */
  readonly epochStart: number;
  readonly counterStart: number;
  /** Where an epoch ends. */
  readonly counterMax: number;
  readonly clockSkew: number;
  readonly wallSkewMs: number;
  readonly clients: number;
  readonly opsPerSecond: number;
  readonly pipelineMax: number;
  readonly dataBytesMax: number;
  /** Longest frame of a client; a txn may be a little longer, and one that would be longer still is refused. */
  readonly frameBytesMax: number;
  /** How likely a peer dies at a disk command, of whatever kind. */
  readonly crashAtDisk: number;
  /** And at any step. */
  readonly crashAtStep: number;
  readonly enforceQuota: boolean;
  /** This one keeps a real table; 0 for nobody. */
  readonly sidWithTable: number;
  readonly faults: readonly Fault[];
  readonly faultsEndMs: number;
}

/** So short that closing a session of some dozen ephemerals takes several txns, at the cost of nothing. */
export const frameBytesShort = 1024;

const kinds: readonly (readonly [number, FaultKind])[] = [
  [14, "crash"],
  [7, "power"],
  [5, "crashAll"],
  [9, "crashLeader"],
  [9, "cut"],
  [9, "stall"],
  [6, "stallOneWay"],
  [10, "isolateLeader"],
  [8, "reset"],
  [6, "freeze"],
  [7, "slowDisk"],
  [3, "fullDisk"],
  [3, "wallJump"],
  [6, "clientCut"],
  [6, "clientAway"],
];

/** Every group has weight, and whoever has some can be missed. */
function groupsOf(voters: readonly number[], c: Chance): QuorumGroup[] {
  const weighted = (sids: readonly number[], weights: readonly number[]) => ({
    members: sids.map((sid, i) => ({ sid, weight: weights[i] ?? 1 })),
  });
  if (voters.length === 3) return [weighted(voters, c.pick([[1, 1, 1], [2, 1, 1], [1, 1, 0], [2, 2, 3]]))];
  return c.happens(0.5)
    ? [weighted(voters.slice(0, 3), [1, 1, 1]), weighted(voters.slice(3), [1, 0])]
    : [weighted(voters, [3, 2, 2, 1, 1])];
}

export function planOf(seed: number, peers: "3" | "5" | "mix", plant: Plant): Plan {
  const c = new Chance(seed).fork("plan");
  const count = peers === "mix" ? (c.happens(0.7) ? 3 : 5) : Number(peers);
  const voters = Array.from({ length: count }, (_, i) => i + 1);
  const observerCount = c.happens(0.35) ? (c.happens(0.7) ? 1 : 2) : 0;
  const observers = Array.from({ length: observerCount }, (_, i) => count + 1 + i);
  const faultsEndMs = c.between(2000, 5000);
  const faults: Fault[] = [];
  const faultCount = c.happens(0.05) ? 0 : c.between(2, 9);
  for (let i = 0; i < faultCount; i++) {
    faults.push({
      kind: c.weighted(kinds),
      atMs: c.ms(100, faultsEndMs),
      forMs: c.longTail(20, 2500),
      luck: c.u32(),
    });
  }
  faults.sort((a, b) => a.atMs - b.atMs);
  const tickMs = c.pick([100, 200, 200, 400]);
  const atTheEnd = c.happens(0.12);
  const fresh = c.happens(0.7);
  const dataBytesMax = c.pick([20, 20, 200, 1500]);
  const diskMsMin = c.pick([0.05, 0.5, 2]);
  return {
    seed,
    plant,
    voters,
    observers,
    groups: plant === "none" && c.happens(0.1) ? groupsOf(voters, c) : null,
    observerMasters: c.happens(0.5),
    forgetful: new Set(observers.filter(() => c.happens(0.4))),
    tickMs,
    initLimit: c.pick([5, 10]),
    syncLimit: c.pick([2, 3, 5]),
    settleMs: c.pick([5, 20, 50]),
    notificationMsMin: c.pick([20, 50, 100]),
    notificationMsMax: c.pick([200, 500, 1000]),
    observerElectionDelayMs: c.pick([0, 20, 100]),
    historyTxnsMin: c.pick([0, 1, 3, 10, 500]),
    historyBytesMax: c.pick([100, 500, 2000, 1 << 20]),
    snapshotSizeFactor: c.pick([0.01, 0.33, 0.33, 3, 50]),
    snapshotStepBytes: c.pick([10, 40, 200, 1 << 18]),
    snapSyncsMax: c.pick([1, 2, 10]),
    diffSyncsMax: c.pick([1, 2, 100]),
    leaderServes: !c.happens(0.1),
    digestEnabled: !c.happens(0.05),
    logRetainTxns: c.pick([2, 10, 50, 10_000]),
    logChunkBytes: c.pick([100, 500, 5000, 1 << 20]),
    diskMsMin,
    diskMsMax: diskMsMin * c.pick([2, 10, 40]),
    netMsMin: c.pick([0.05, 0.2, 1]),
    netMsMax: c.pick([1, 5, 25]),
    cutsMax: c.pick([1, 1, 2, 4]),
    kernelBytes: c.pick([200, 4000, 1 << 20]),
    epochStart: atTheEnd || !fresh ? c.between(1, 4) : 0,
    counterStart: atTheEnd ? 0xffff_ffff - c.between(1, 60) : fresh ? 0 : c.between(0, 100),
    counterMax: c.happens(0.15) ? c.between(8, 80) : 0xffff_ffff,
    clockSkew: c.pick([0, 0.01, 0.05, 0.2]),
    wallSkewMs: c.pick([0, 100, 5000, 600_000]),
    clients: c.between(2, 4),
    opsPerSecond: c.pick([5, 10, 20]),
    pipelineMax: c.pick([1, 4, 12]),
    dataBytesMax,
    frameBytesMax: dataBytesMax <= 200 && c.happens(0.3) ? frameBytesShort : frameBytesMax,
    crashAtDisk: c.happens(0.3) ? c.pick([0.005, 0.02, 0.06]) : 0,
    crashAtStep: c.happens(0.2) ? c.pick([0.0005, 0.002]) : 0,
    enforceQuota: c.happens(0.3),
    sidWithTable: c.happens(0.15) ? c.pick(voters) : 0,
    faults,
    faultsEndMs,
  };
}
