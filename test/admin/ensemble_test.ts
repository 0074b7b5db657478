/** The admin endpoint of a leader, a follower, an observer and one that looks for a leader. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeAdminApp } from "../../src/admin/app.ts";
import { HierarchicalQuorum } from "../../src/core/base/quorum.ts";
import type { EnsembleStatus } from "../../src/core/peer/status.ts";
import { ensembleSettings, learnersFake, memberChanges } from "./fake_ensemble.ts";
import { type FakeChanges, fakeSource, latencyOf } from "./fake_source.ts";

type Role = EnsembleStatus["role"];
type More = Parameters<typeof memberChanges>[1];

async function ask(path: string, changes: FakeChanges) {
  const app = makeAdminApp({ ...fakeSource(changes), logger: { error: () => undefined } });
  const response = await app.fetch(new Request(`http://127.0.0.1:8080${path}`));
  return { status: response.status, text: await response.text() };
}

const command = async (name: string, role: Role, more: More = {}) =>
  (await ask(`/commands/${name}`, memberChanges(role, more))).text;

const metrics = async (role: Role, more: More = {}) =>
  (await ask("/metrics", memberChanges(role, more))).text;

// ------------------------------------------------------------------------------------- commands

test("leader tells who leads, on every member", async () => {
  assert.equal(
    await command("leader", "leader"),
    `{
  "is_leader" : true,
  "leader_id" : 3,
  "leader_ip" : "127.0.0.1",
  "command" : "leader",
  "error" : null
}`,
  );
  for (const role of ["follower", "observer"] as const) {
    const told = JSON.parse(await command("lead", role));
    assert.deepEqual([told.is_leader, told.leader_id, told.leader_ip], [false, 3, "127.0.0.1"]);
  }
});

test("voting_view lists voters, with a client address where one is known", async () => {
  assert.equal(
    await command("voting_view", "follower"),
    `{
  "current_config" : {
    "1" : {
      "server_addresses" : [ "127.0.0.1:25381" ],
      "election_addresses" : [ "127.0.0.1:25481" ],
      "client_address" : "127.0.0.1:25181",
      "learner_type" : "participant"
    },
    "2" : {
      "server_addresses" : [ "127.0.0.1:25382" ],
      "election_addresses" : [ "127.0.0.1:25482" ],
      "client_address" : "",
      "learner_type" : "participant"
    },
    "3" : {
      "server_addresses" : [ "127.0.0.1:25383" ],
      "election_addresses" : [ "127.0.0.1:25483" ],
      "client_address" : "",
      "learner_type" : "participant"
    }
  },
  "command" : "voting_view",
  "error" : null
}`,
  );
});

test("observers lists those that are level, on the leader", async () => {
  assert.equal(
    await command("observers", "leader"),
    `{
  "synced_observers" : 1,
  "observers" : [ {
    "remote_socket_address" : "/127.0.0.1:60676",
    "sid" : 4,
    "established" : 1795176535440,
    "queued_packets" : 0,
    "queued_packets_size" : 0,
    "packets_received" : 39,
    "packets_sent" : 40,
    "requests" : 0,
    "last_zxid" : 8589934616
  } ],
  "command" : "observers",
  "error" : null
}`,
  );
  assert.match(await command("obsr", "follower"), /"synced_observers" : 0,\n {2}"observers" : \[ \],/);
  const learners = [{ ...learnersFake[2]!, phase: "synchronization" as const }];
  assert.match(await command("obsr", "leader", { ensemble: { learners } }), /"observers" : \[ \],/);
});

test("zabstate of a member has every field of the original", async () => {
  const addresses = (port: number) =>
    `{
    "empty" : false,
    "all_addresses" : [ "127.0.0.1:${port}" ],
    "all_reachable_addresses" : [ "127.0.0.1:${port}" ],
    "one" : "127.0.0.1:${port}",
    "reachable_address" : "127.0.0.1:${port}",
    "wildcard_addresses" : [ "0.0.0.0:${port}" ],
    "all_ports" : [ ${port} ],
    "all_host_strings" : [ "127.0.0.1" ],
    "all_reachable_addresses_or_all" : [ "127.0.0.1:${port}" ],
    "reachable_or_one" : "127.0.0.1:${port}"
  }`;
  assert.equal(
    await command("zabstate", "leader"),
    `{
  "myid" : 3,
  "is_leader" : true,
  "quorum_address" : ${addresses(25383)},
  "election_address" : ${addresses(25483)},
  "client_address" : "127.0.0.1:25183",
  "voting" : true,
  "last_zxid" : "0x200000018",
  "zab_epoch" : 2,
  "zab_counter" : 24,
  "zabstate" : "broadcast",
  "command" : "zabstate",
  "error" : null
}`,
  );
  const observer = JSON.parse(await command("zabstate", "observer"));
  assert.deepEqual([observer.myid, observer.is_leader, observer.voting, observer.zabstate], [
    4,
    false,
    false,
    "broadcast",
  ]);
});

test("a readiness check that asks zabstate finds nobody ready who looks for a leader", async () => {
  assert.equal(
    await command("zabstate", "looking"),
    `{\n  "voting" : false,\n  "zabstate" : "",\n  "command" : "zabstate",\n  "error" : null\n}`,
  );
});

test("server_stats and stats tell a leader's proposal sizes before the node count", async () => {
  for (const name of ["server_stats", "stats"]) {
    assert.match(
      await command(name, "leader"),
      /"max_buffer_size" : 98\n {2}\},\n {2}"proposal_stats" : \{\n {4}"last_buffer_size" : 128,\n {4}"min_buffer_size" : 48,\n {4}"max_buffer_size" : 128\n {2}\},\n {2}"node_count" : 9,/,
    );
    assert.doesNotMatch(await command(name, "follower"), /proposal_stats/);
  }
});

test("dump of a learner knows of no expiry times", async () => {
  assert.match(await command("dump", "follower"), /"expiry_time_to_session_ids" : \{ \},\n/);
  assert.match(await command("dump", "leader"), /"1795176604000" : \[ 72057687824728064 \]/);
});

test("while it looks for a leader, commands that need a server say so under the name asked for", async () => {
  const error = "This ZooKeeper instance is not currently serving requests";
  for (
    const name of "lead voting_view observers last_snapshot stats monitor configuration icfg isro srvr ruok"
      .split(" ")
  ) assert.deepEqual(JSON.parse(await command(name, "looking")), { command: name, error }, name);
});

test("monitor tells a learner's figures under its sid", async () => {
  const told = JSON.parse(await command("monitor", "leader"));
  assert.equal(told.peer_state, "leading - broadcast");
  assert.equal(told.synced_followers, 2);
  assert.equal(told.max_1_ack_latency, 3);
  assert.equal(told.cnt_4_learner_handler_qp_size, 0);
});

// ------------------------------------------------------------------------------------------ health

test("health says by its status whether to send clients here, and why not", async () => {
  const all = async (changes: FakeChanges) =>
    await Promise.all(
      ["", "/live", "/ready", "/leader"].map(async (path) => (await ask(`/health${path}`, changes)).status),
    );
  assert.deepEqual(await all(memberChanges("leader")), [200, 200, 200, 200]);
  assert.deepEqual(await all(memberChanges("follower")), [200, 200, 200, 503]);
  assert.deepEqual(await all(memberChanges("observer")), [200, 200, 200, 503]);
  assert.deepEqual(await all(memberChanges("looking")), [503, 200, 503, 503]);
  assert.deepEqual(await all({}), [200, 200, 200, 200]);
  const readOnly = memberChanges("looking", { status: { serving: true, mode: "read-only" } });
  assert.deepEqual(await all(readOnly), [200, 200, 503, 503]);
});

test("health tells the reason in a sentence that says where to look", async () => {
  const told = async (role: Role, more: More = {}) =>
    JSON.parse((await ask("/health", memberChanges(role, more))).text);
  const fine = await told("follower");
  assert.deepEqual(fine.ensemble, { sid: 1, role: "follower", phase: "broadcast", leader: 3 });
  assert.equal(fine.reason, null);
  assert.match((await told("looking")).reason, /looking for a leader for 12\.3 s.*election ports.*1, 3/);
  const late = { status: { serving: false }, ensemble: { phase: "synchronization" as const, phaseMs: 1500 } };
  assert.match((await told("follower", late)).reason, /getting level with 3 for 1\.5 s/);
  assert.match((await told("leader", late)).reason, /elected.*1\.5 s.*quorum port/);
  assert.match((await told("leader", { status: { serving: false } })).reason, /leaves clients to the other/);
});

// ----------------------------------------------------------------------------------------- metrics

const sampleLine =
  /^[a-zA-Z_:][\w:]*(\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(,[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*")*\})? (-?[\d.]+(e[+-]?\d+)?|\+Inf)$/;

test("metrics of every role are valid Prometheus text, each family once", async () => {
  const odd = { leaderUptimeMs: NaN, phaseMs: Infinity, electionTimes: latencyOf(NaN).summary() };
  for (const role of ["leader", "follower", "observer", "looking"] as const) {
    const names = new Set<string>();
    for (const line of (await metrics(role, { ensemble: odd })).split("\n")) {
      if (line === "" || line.startsWith("# HELP ")) continue;
      const type = /^# TYPE (\w+) (gauge|counter|summary|histogram)$/.exec(line);
      if (type !== null) {
        assert.ok(!names.has(type[1]!), `${type[1]} twice`);
        names.add(type[1]!);
      } else assert.match(line, sampleLine);
    }
    assert.equal(names.has("learner_lag_txns"), role === "leader", role);
    assert.ok(names.has("ensemble_role"));
  }
});

test("metrics tell each learner's lag, bytes and way of getting level by its sid", async () => {
  const text = await metrics("leader");
  for (
    const line of [
      'learner_lag_txns{sid="2",role="follower"} 2',
      'learner_unsent_bytes{sid="2",role="follower"} 4096',
      'learner_silent_seconds{sid="1",role="follower"} 0.25',
      'learner_sync_seconds{sid="4",role="observer",kind="snap"} 0.12',
      'learner_sync_seconds{sid="1",role="follower",kind="diff"} 0.031',
      'learner_phase{sid="1",role="follower",phase="broadcast"} 1',
      'learner_packets_total{sid="4",role="observer",direction="sent"} 40',
      'learner_ack_seconds_count{sid="1",role="follower"} 2',
      'learners_synced{role="follower"} 2',
      'ack_latency{key="1",quantile="0.99"} 3',
      'ack_latency_count{key="4"} 0',
      "synced_followers 2",
      "leader_uptime 38856",
      'server_state{state="leader"} 1',
      'ensemble_role{role="leader"} 1',
      'ensemble_role{role="looking"} 0',
      "ensemble_leader 3",
      'ensemble_epoch{kind="current"} 2',
      "zxid_counter 24",
      "proposals_in_flight 2",
      "proposals_not_durable 2",
      "elections_total 2",
      "election_seconds_last 0.327",
      "election_seconds_count 2",
      "election_time_count 2",
      "quorum_latency_seconds_count 3",
      "digest_mismatches_count 0",
      "serving 1",
      // Not the 2^32 that lie between two epochs' zxids.
      "storage_log_lag_txns 24",
    ]
  ) assert.ok(text.includes(`\n${line}\n`), line);
  assert.doesNotMatch(text, /learner_ack_seconds_count\{sid="4"/);
});

test("metrics go on while there is no leader", async () => {
  const text = await metrics("looking");
  assert.match(text, /\nserving 0\n/);
  assert.match(text, /\nensemble_role\{role="looking"\} 1\n/);
  assert.match(text, /\nensemble_phase_seconds 12\.34\n/);
  assert.doesNotMatch(text, /\nensemble_leader \d/);
});

test("a server that stands alone tells nothing of an ensemble", async () => {
  const { text } = await ask("/metrics", {});
  assert.doesNotMatch(text, /ensemble_role|ensemble_phase|learner_lag|learners_|quorum_size|elections_total/);
  assert.equal(JSON.parse((await ask("/status.json", {})).text).members, null);
});

// -------------------------------------------------------------------------------------------- page

test("the page's data tells members, and a leader's how each of them is", async () => {
  const told = JSON.parse((await ask("/status.json", memberChanges("leader"))).text).members;
  assert.deepEqual([told.state, told.votersInStep, told.survivesLoss], ["leading - broadcast", 3, true]);
  assert.deepEqual(
    told.list.map((
      m: { sid: number; voter: boolean; self: boolean; link: { phase: string } | null },
    ) => [m.sid, m.voter, m.self, m.link?.phase ?? null]),
    [[1, true, false, "broadcast"], [2, true, false, "broadcast"], [3, true, true, null], [
      4,
      false,
      false,
      "broadcast",
    ]],
  );
  const follower = JSON.parse((await ask("/status.json", memberChanges("follower"))).text).members;
  assert.deepEqual([follower.leader, follower.votersInStep, follower.list[1].link], [3, null, null]);
});

test("a leader knows when one more loss would end its quorum, by groups and weights too", async () => {
  const survives = async (more: More) =>
    JSON.parse((await ask("/status.json", memberChanges("leader", more))).text).members.survivesLoss;
  assert.equal(await survives({ ensemble: { learners: learnersFake.slice(0, 1) } }), false);
  const weighted = new HierarchicalQuorum([{
    members: [{ sid: 1, weight: 1 }, { sid: 2, weight: 1 }, { sid: 3, weight: 5 }],
  }]);
  const ensemble = { ...ensembleSettings(3), quorum: weighted };
  assert.equal(await survives({ settings: { ensemble } }), false);
});

test("learners that no line of the configuration names are listed, and a great many are cut", async () => {
  const learners = Array.from({ length: 300 }, (_, i) => ({ ...learnersFake[2]!, sid: 1000 + i }));
  const told =
    JSON.parse((await ask("/status.json", memberChanges("leader", { ensemble: { learners } }))).text).members;
  assert.deepEqual([told.list.length, told.leftOut, told.list[4].sid], [200, 104, 1000]);
});

test("nothing that a peer says becomes markup", async () => {
  const evil = "</script><img src=x onerror=alert(1)>";
  const learners = [{ ...learnersFake[0]!, remote: evil }];
  const changes = memberChanges("leader", { ensemble: { learners, configText: `server.1=${evil}:1:2` } });
  assert.doesNotMatch((await ask("/", changes)).text, /<img/);
  assert.equal((await ask("/metrics", changes)).status, 200);
});
