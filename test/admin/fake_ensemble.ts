/**
 * An ensemble made up: three voters and an observer as Apache ZooKeeper 3.8.0 ran them once, seen by
 * each of them, so that the answers can be compared with what it wrote then.
 */
import { MajorityQuorum } from "../../src/core/base/quorum.ts";
import type { EnsembleStatus, LearnerStatus, PeerStatus } from "../../src/core/peer/status.ts";
import type { EnsembleSettings, MemberSettings, ServerSettings } from "../../src/server/config_types.ts";
import { type FakeChanges, latencyOf } from "./fake_source.ts";

export const configText = `server.1=127.0.0.1:25381:25481:participant
server.2=127.0.0.1:25382:25482:participant
server.3=127.0.0.1:25383:25483:participant
server.4=127.0.0.1:25384:25484:observer
version=0`;

const none = latencyOf().summary();

export const learnerFake: LearnerStatus = {
  sid: 1,
  role: "follower",
  voting: true,
  remote: "127.0.0.1:60670",
  phase: "broadcast",
  zxidAcked: 0x200000018,
  lagTxns: 0,
  unsentBytes: 0,
  syncKind: "diff",
  syncMs: 31,
  connectedMs: 38_000,
  silentMs: 250,
  packetsReceived: 43,
  packetsSent: 44,
  requests: 2,
  ackTimes: latencyOf(1, 3).summary(),
};

export const learnersFake: readonly LearnerStatus[] = [
  learnerFake,
  { ...learnerFake, sid: 2, remote: "127.0.0.1:60672", lagTxns: 2, unsentBytes: 4096 },
  {
    ...learnerFake,
    sid: 4,
    role: "observer",
    voting: false,
    remote: "127.0.0.1:60676",
    syncKind: "snap",
    syncMs: 120,
    packetsReceived: 39,
    packetsSent: 40,
    requests: 0,
    connectedMs: 39_560,
    ackTimes: none,
  },
];

const memberFake: EnsembleStatus = {
  sid: 1,
  role: "follower",
  phase: "broadcast",
  phaseMs: 38_000,
  leader: 3,
  master: 3,
  voters: [1, 2, 3],
  observers: [4],
  configText,
  configVersion: 0,
  epochAccepted: 2,
  epochCurrent: 2,
  round: 7,
  zxidProposed: 0x200000018,
  zxidDurable: 0x200000018,
  zxidCommitted: 0x200000018,
  proposalsInFlight: 0,
  leaderUptimeMs: 0,
  proposals: 0,
  proposalBytesLast: -1,
  proposalBytesMin: -1,
  proposalBytesMax: -1,
  pendingSyncs: 0,
  proposalsReceived: 24,
  commitsReceived: 24,
  electionMsLast: 483,
  elections: 1,
  electionTimes: latencyOf(483).summary(),
  syncMsLast: 31,
  syncKindLast: "diff",
  syncTimes: latencyOf(31).summary(),
  unavailableTimes: latencyOf(630).summary(),
  quorumTimes: none,
  quorumPacketsReceived: 44,
  quorumPacketsSent: 43,
  forwarded: 2,
  learners: [],
  learnersRefused: 0,
  snapSyncs: 0,
  diffSyncs: 0,
};

export const ensembleFakes = {
  leader: {
    ...memberFake,
    sid: 3,
    role: "leader",
    master: null,
    leaderUptimeMs: 38_856.4,
    proposals: 25,
    proposalBytesLast: 128,
    proposalBytesMin: 48,
    proposalBytesMax: 128,
    proposalsReceived: 0,
    commitsReceived: 0,
    electionMsLast: 327,
    elections: 2,
    electionTimes: latencyOf(327, 200).summary(),
    syncKindLast: null,
    unavailableTimes: latencyOf(404).summary(),
    quorumTimes: latencyOf(1, 2, 4).summary(),
    learners: learnersFake,
    snapSyncs: 2,
    diffSyncs: 3,
    proposalsInFlight: 2,
    zxidProposed: 0x20000001a,
  },
  follower: memberFake,
  observer: {
    ...memberFake,
    sid: 4,
    role: "observer",
    syncKindLast: "snap",
  },
  looking: {
    ...memberFake,
    sid: 2,
    role: "looking",
    phase: "election",
    phaseMs: 12_340,
    leader: null,
    master: null,
  },
} as const satisfies Record<EnsembleStatus["role"], EnsembleStatus>;

const members: readonly MemberSettings[] = [1, 2, 3, 4].map((sid) => ({
  sid,
  role: sid === 4 ? "observer" : "participant",
  addresses: [{ host: "127.0.0.1", quorumPort: 25380 + sid, electionPort: 25480 + sid }],
}));

export function ensembleSettings(sid: number): EnsembleSettings {
  return {
    sid,
    observer: sid === 4,
    members,
    quorum: new MajorityQuorum([1, 2, 3]),
    configText,
    configVersion: 0,
    initLimit: 10,
    syncLimit: 5,
    connectToLeaderLimit: 0,
    electionConnectMsMax: 5000,
    listenOnAllAddresses: false,
    multiAddress: false,
    leaderServes: true,
    observerMasterPort: -1,
    observerElectionDelayMs: 200,
    snapSyncsMax: 10,
    diffSyncsMax: 100,
    snapshotSizeFactor: 0.33,
    historyTxnsMin: 500,
    tcpKeepAlive: false,
    bindRetries: 3,
  };
}

/** What a fake source needs to be that member. */
export function memberChanges(
  role: EnsembleStatus["role"],
  more: {
    readonly ensemble?: Partial<EnsembleStatus>;
    readonly status?: Partial<PeerStatus>;
    readonly settings?: Partial<ServerSettings>;
  } = {},
): FakeChanges {
  const ensemble = { ...ensembleFakes[role], ...more.ensemble };
  const serving = role !== "looking";
  return {
    status: {
      ensemble,
      serving,
      mode: role === "looking" ? "not-serving" : role,
      serverId: ensemble.sid,
      zxidLast: 0x200000018,
      ...more.status,
    },
    settings: {
      ensemble: ensembleSettings(ensemble.sid),
      serverId: ensemble.sid,
      serverIdShown: ensemble.sid,
      clientPort: 25180 + ensemble.sid,
      clientPortAddress: "127.0.0.1",
      ...more.settings,
    },
    storage: { zxidTree: 0x100000003 as never },
  };
}
