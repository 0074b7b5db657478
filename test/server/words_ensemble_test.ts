/** The words of a leader, a follower, an observer and one that looks, against what Apache ZooKeeper 3.8.0 wrote. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionId } from "../../src/core/base/zxid.ts";
import type { EnsembleStatus, LearnerStatus } from "../../src/core/peer/status.ts";
import { answerWord, type Word } from "../../src/server/four_letter_words.ts";
import { txnsBetween } from "../../src/server/words_ensemble.ts";
import { membersOf } from "../../src/server/words_members.ts";
import { configText, ensembleFakes, learnersFake, memberChanges } from "../admin/fake_ensemble.ts";
import { fakeSource, latencyOf } from "../admin/fake_source.ts";

type Role = EnsembleStatus["role"];

const told = (word: Word, role: Role, more: Parameters<typeof memberChanges>[1] = {}) =>
  answerWord(word, fakeSource(memberChanges(role, more)));

function monitored(role: Role, more: Parameters<typeof memberChanges>[1] = {}): Map<string, string> {
  return new Map(
    told("mntr", role, more).trimEnd().split("\n").map((line) => line.split("\t") as [string, string]),
  );
}

test("srvr and stat end in a leader's proposal sizes, and only in a leader's", () => {
  for (const word of ["srvr", "stat"] as const) {
    const lines = told(word, "leader").split("\n");
    assert.deepEqual(lines.slice(-5), [
      "Zxid: 0x200000018",
      "Mode: leader",
      "Node count: 9",
      "Proposal sizes last/min/max: 128/48/128",
      "",
    ]);
    assert.match(told(word, "follower"), /\nMode: follower\nNode count: 9\n$/);
    assert.match(told(word, "observer"), /\nMode: observer\nNode count: 9\n$/);
  }
  const before = { proposalBytesLast: -1, proposalBytesMin: -1, proposalBytesMax: -1 };
  assert.match(
    told("srvr", "leader", { ensemble: before }),
    /\nProposal sizes last\/min\/max: -1\/-1\/-1\n$/,
  );
});

test("conf of a member tells the membership and ends without a line break", () => {
  const expected = `serverId=3
initLimit=10
syncLimit=5
electionAlg=3
electionPort=25483
quorumPort=25383
peerType=0
membership: 
server.1=127.0.0.1:25381:25481:participant
server.2=127.0.0.1:25382:25482:participant
server.3=127.0.0.1:25383:25483:participant
server.4=127.0.0.1:25384:25484:observer
version=0`;
  assert.ok(told("conf", "leader").endsWith(`\nclientPortListenBacklog=-1\n${expected}`));
  assert.match(
    told("conf", "observer"),
    /\nelectionPort=25484\nquorumPort=25384\npeerType=1\nmembership: \n/,
  );
  assert.match(
    told("conf", "leader", { settings: { sync: "off" } }),
    /\nserverId=3\nsync=off\ninitLimit=10\n/,
  );
});

test("several addresses of a member are told with their ports joined", () => {
  const text = configText.replace(
    "127.0.0.1:25383:25483:participant",
    "127.0.0.1:25383:25483|[::1]:2:3:participant;0.0.0.0:2181",
  );
  assert.match(
    told("conf", "leader", { ensemble: { configText: text } }),
    /\nelectionPort=25483\|3\nquorumPort=25383\|2\n/,
  );
});

test("a learner lists global sessions where a leader knows when they expire", () => {
  const second = 0x30000baead30000n as SessionId;
  const sessions = () => [
    { id: 0x10000baeac00000n as SessionId, timeoutMs: 30000, expiresAtMs: 1795176603500 },
    { id: second, timeoutMs: 4000, expiresAtMs: 0 },
  ];
  const changes = memberChanges("follower");
  const source = fakeSource({ ...changes, status: { ...changes.status, sessions: 2 }, peer: { sessions } });
  assert.ok(
    answerWord("dump", source).startsWith(`SessionTracker dump:
Global Sessions(2):
0x10000baeac00000	30000ms
0x30000baead30000	4000ms
ephemeral nodes dump:
Sessions with Ephemerals (1):
`),
    answerWord("dump", source),
  );
  // What a learner believes of expiry times is worth nothing.
  assert.doesNotMatch(answerWord("dump", source), /1970/);
  assert.match(told("dump", "leader"), /^SessionTracker dump:\nSession Sets \(1\)\/\(1\):\n1 expire at /);
});

test("mntr of a leader begins with the lines of the original, in its order", () => {
  assert.deepEqual(
    [...monitored("leader").keys()].slice(0, 37).join(" "),
    "zk_version zk_server_state zk_peer_state zk_ephemerals_count zk_num_alive_connections zk_avg_latency " +
      "zk_min_proposal_size zk_outstanding_requests zk_znode_count zk_global_sessions zk_non_mtls_remote_conn_count " +
      "zk_last_client_response_size zk_packets_sent zk_packets_received zk_max_proposal_size " +
      "zk_max_client_response_size zk_synced_followers zk_connection_drop_probability zk_watch_count " +
      "zk_synced_non_voting_followers zk_synced_observers zk_auth_failed_count zk_min_latency " +
      "zk_max_file_descriptor_count zk_approximate_data_size zk_open_file_descriptor_count zk_last_proposal_size " +
      "zk_pending_syncs zk_leader_uptime zk_local_sessions zk_uptime zk_max_latency zk_outstanding_tls_handshake " +
      "zk_learners zk_min_client_response_size zk_non_mtls_local_conn_count zk_quorum_size",
  );
  assert.deepEqual(
    [...monitored("observer").keys()].slice(0, 5),
    ["zk_version", "zk_server_state", "zk_peer_state", "zk_observer_master_id", "zk_ephemerals_count"],
  );
});

test("mntr tells a leader from its learners by the names that are there", () => {
  const leader = monitored("leader", { ensemble: { pendingSyncs: 3 } });
  const expected: Record<string, string> = {
    zk_server_state: "leader",
    zk_peer_state: "leading - broadcast",
    zk_quorum_size: "3",
    zk_learners: "3",
    zk_synced_followers: "2",
    zk_synced_non_voting_followers: "0",
    zk_synced_observers: "1",
    zk_pending_syncs: "3",
    zk_leader_uptime: "38856",
    zk_last_proposal_size: "128",
    zk_proposal_count: "25",
    zk_looking_count: "2",
    zk_diff_count: "3",
    zk_snap_count: "2",
    zk_cnt_election_time: "2",
    zk_sum_election_time: "527",
    zk_max_leader_unavailable_time: "404",
    zk_cnt_quorum_ack_latency: "3",
    zk_cnt_propagation_latency: "3",
    zk_cnt_proposal_ack_creation_latency: "1",
    zk_cnt_1_learner_handler_qp_size: "0",
    zk_p99_4_learner_handler_qp_time_ms: "0",
    zk_max_2_ack_latency: "3",
    zk_p999_1_ack_latency: "3",
  };
  for (const [key, value] of Object.entries(expected)) assert.equal(leader.get(key), value, key);

  for (const role of ["follower", "observer"] as const) {
    const learner = monitored(role);
    for (const key of leader.keys()) {
      if (/proposal_size|synced|pending_syncs|leader_uptime|zk_learners|\d_(learner|ack)/.test(key)) {
        assert.equal(learner.has(key), false, `${key} of a ${role}`);
      } else assert.ok(learner.has(key), `${key} of a ${role}`);
    }
    assert.equal(learner.get("zk_learner_proposal_received_count"), "24");
    assert.equal(learner.get("zk_learner_commit_received_count"), "24");
    assert.equal(learner.get("zk_cnt_leader_unavailable_time"), "0");
  }
  assert.equal(monitored("follower").get("zk_max_follower_sync_time"), "31");
  assert.equal(monitored("observer").get("zk_max_observer_sync_time"), "31");
  assert.equal(monitored("observer").get("zk_observer_master_id"), "3");
  assert.equal(monitored("observer").get("zk_peer_state"), "observing - broadcast");
});

test("learners that are not yet level, or have no vote, are counted apart", () => {
  const learners: LearnerStatus[] = [
    { ...learnersFake[0]!, phase: "synchronization" },
    { ...learnersFake[1]!, voting: false },
    { ...learnersFake[2]!, phase: "discovery" },
  ];
  const leader = monitored("leader", { ensemble: { learners } });
  assert.equal(leader.get("zk_learners"), "3");
  assert.equal(leader.get("zk_synced_followers"), "0");
  assert.equal(leader.get("zk_synced_non_voting_followers"), "1");
  assert.equal(leader.get("zk_synced_observers"), "0");
});

test("a follower that serves observers tells how many", () => {
  const ensemble = memberChanges("follower").settings?.ensemble;
  assert.ok(ensemble);
  const serves = { settings: { ensemble: { ...ensemble, observerMasterPort: 2191 } } };
  const learners = [learnersFake[2]!];
  assert.equal(monitored("follower", { ...serves, ensemble: { learners } }).get("zk_synced_observers"), "1");
});

test("the state of a peer names its phase, and how it gets level while it does", () => {
  const state = (role: Role, ensemble: Partial<EnsembleStatus>) =>
    monitored(role, { ensemble }).get("zk_peer_state");
  assert.equal(
    state("follower", { phase: "synchronization", syncKindLast: "diff" }),
    "following - synchronization - diff",
  );
  assert.equal(state("leader", { phase: "discovery" }), "leading - discovery");
  assert.equal(state("leader", { phase: "synchronization" }), "leading - synchronization");
});

test("while it looks for a leader, each word says what the original says", () => {
  const sentence = "This ZooKeeper instance is not currently serving requests\n";
  for (const word of "srvr stat mntr conf cons dump wchs wchc wchp dirs crst srst".split(" ") as Word[]) {
    assert.equal(told(word, "looking"), sentence, word);
  }
  assert.equal(told("isro", "looking"), "null");
  assert.equal(told("ruok", "looking"), "imok");
});

test("every line of a member's mntr passes Telegraf's pattern", () => {
  for (const role of ["leader", "follower", "observer"] as const) {
    const ensemble = { leaderUptimeMs: NaN, electionTimes: latencyOf(Infinity, NaN).summary() };
    for (const line of told("mntr", role, { ensemble }).trimEnd().split("\n")) {
      assert.match(line, /^zk_(\w+)\s+([\w.\-]+)/);
      assert.doesNotMatch(line, /NaN|Infinity|undefined/);
    }
  }
});

test("members are those of the peer's configuration, with our own address where it has none", () => {
  const text = "server.2=zk-2.example:2888:3888:participant;10.0.0.2:2181\n" +
    "server.1=[::1]:2888:3888:participant\nnonsense\nserver.x=1\nserver.9=a:1:2:boss\nversion=100000003";
  const ensemble = { ...ensembleFakes.follower, configText: text, voters: [1, 2], observers: [] };
  const source = fakeSource(memberChanges("follower", { ensemble }));
  assert.deepEqual(
    membersOf(source, ensemble).map(({ sid, voter, client }) => [sid, voter, client]),
    [[1, true, "127.0.0.1:25181"], [2, true, "10.0.0.2:2181"]],
  );
});

test("an observer without a line of its own is told from its settings", () => {
  const ensemble = { ...ensembleFakes.observer, configText: configText.replace(/server\.4.*\n/, "") };
  const source = fakeSource(memberChanges("observer", { ensemble }));
  assert.deepEqual(membersOf(source, ensemble).map(({ sid, voter }) => [sid, voter]), [
    [1, true],
    [2, true],
    [3, true],
    [4, false],
  ]);
  assert.match(answerWord("conf", source), /\nquorumPort=25384\n/);
});

test("txns are counted within an epoch, and from its begin where the other zxid is of an older one", () => {
  assert.equal(txnsBetween(0x200000003, 0x200000008), 5);
  assert.equal(txnsBetween(0x100000903, 0x200000008), 8);
  assert.equal(txnsBetween(0x200000008, 0x200000003), 0);
  assert.equal(txnsBetween(7, 7), 0);
});
