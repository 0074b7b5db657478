/** Ensembles in a configuration: who is a member, what decides, what an observer needs, and what is refused. */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { describeSettings, formatProblems, formatSettings, loadSettings } from "../../src/server/config.ts";
import type { EnsembleSettings, ServerSettings } from "../../src/server/config_types.ts";
import { type FakeFiles, fakeFiles, problemsOf, settingsOf } from "./config_fake_files.ts";

const one: FakeFiles = { "/data/myid": "1\n" };
const base = "dataDir=/data\nclientPort=2181\ninitLimit=10\nsyncLimit=5\n";
const three = `${base}server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n`;

function load(text: string, more: FakeFiles = one, file = "zoo.cfg", chance?: number): ServerSettings {
  const options = chance === undefined ? {} : { chance };
  return settingsOf(loadSettings(fakeFiles({ [file]: text, ...more }), file, options));
}

function ensemble(text: string, more: FakeFiles = one, file = "zoo.cfg"): EnsembleSettings {
  const found = load(text, more, file).ensemble;
  assert.ok(found !== null, "this is no ensemble");
  return found;
}

function told(text: string, more: FakeFiles = one, file = "zoo.cfg"): string {
  return formatProblems(problemsOf(loadSettings(fakeFiles({ [file]: text, ...more }), file)));
}

test("three servers are an ensemble, with Apache's values for what nobody set", () => {
  const s = load(three);
  const { quorum, members, ...rest } = s.ensemble ?? assert.fail();
  assert.deepEqual(quorum.voters, [1, 2, 3]);
  assert.deepEqual(members[1], {
    sid: 2,
    role: "participant",
    addresses: [{ host: "b", quorumPort: 2888, electionPort: 3888 }],
  });
  assert.deepEqual(rest, {
    sid: 1,
    observer: false,
    configText: "server.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant\n" +
      "server.3=c:2888:3888:participant\nversion=0",
    configVersion: 0,
    initLimit: 10,
    syncLimit: 5,
    connectToLeaderLimit: 0,
    electionConnectMsMax: 5000,
    bindRetries: 3,
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
  });
  assert.deepEqual([s.storageKind, s.serverId, s.serverIdShown, s.warnings], ["disk", 1, 1, []]);
});

test("every key of an ensemble reaches its setting", () => {
  const found = ensemble(
    `${three}connectToLearnerMasterLimit=3\ncnxTimeout=0x10\nelectionPortBindRetry=0\n` +
      "quorumListenOnAllIPs=true\nmultiAddress.enabled=true\nleaderServes=no\nobserverMasterPort=2191\n" +
      "observer.election.DelayMs=7\nleader.maxConcurrentSnapSyncs=2\nleader.maxConcurrentDiffSyncs=3\n" +
      "snapshotSizeFactor=-1.5\ncommitLogCount=9\ntcpKeepAlive=true\nelectionAlg=3\n",
  );
  const { quorum: _, members: __, configText: ___, ...rest } = found;
  assert.deepEqual(rest, {
    sid: 1,
    observer: false,
    configVersion: 0,
    initLimit: 10,
    syncLimit: 5,
    connectToLeaderLimit: 3,
    electionConnectMsMax: 16,
    bindRetries: 0,
    listenOnAllAddresses: true,
    multiAddress: true,
    leaderServes: false,
    observerMasterPort: 2191,
    observerElectionDelayMs: 7,
    snapSyncsMax: 2,
    diffSyncsMax: 3,
    snapshotSizeFactor: -1.5,
    historyTxnsMin: 9,
    tcpKeepAlive: true,
  });
});

test("leaderServes acts on the word no alone, and says so for any other", () => {
  const s = load(`${three}leaderServes=false\n`);
  assert.equal(s.ensemble?.leaderServes, true);
  assert.match(
    s.warnings.join("\n"),
    /leaderServes="false" does nothing, as in Apache: only the word no acts/,
  );
});

test("the text of the configuration is as Apache writes it", () => {
  const found = ensemble(
    `${base}multiAddress.enabled=true\nserver.10=b:1:2:Observer;[::1]:99\nserver.2=[::1]:3:4;2181\n` +
      "server.1=z:1:2|127.0.0.1:3:4;0.0.0.0:2181\nserver.3=c:1:2:participant;c:5\ngroup.2=3\ngroup.1=2:1\nweight.2=5\n",
  );
  assert.equal(
    found.configText,
    "server.1=127.0.0.1:3:4|z:1:2:participant;0.0.0.0:2181\n" +
      "server.2=[0:0:0:0:0:0:0:1]:3:4:participant;0.0.0.0:2181\n" +
      "server.3=c:1:2:participant;c:5\n" +
      "server.10=b:1:2:observer;[0:0:0:0:0:0:0:1]:99\n" +
      "group.1=1:2\ngroup.2=3\nweight.1=1\nweight.2=5\nweight.3=1\nversion=0",
  );
});

test("the client port may come from the own line alone, and another's line does not give it", () => {
  const text = three.replace("clientPort=2181\n", "").replace("b:2888:3888", "b:2888:3888;127.0.0.1:99");
  const s = load(text, { "/data/myid": "2" });
  assert.deepEqual([s.clientPort, s.clientPortAddress, s.ensemble?.sid], [99, "127.0.0.1", 2]);
  const none = load(text);
  assert.equal(none.clientPort, -1);
  assert.match(none.warnings.join("\n"), /clientPort is not set: this member serves no clients/);
  assert.match(
    told(three.replace("a:2888:3888", "a:2888:3888;99")),
    /client address for this server \(id = 1\) in static config file is 0\.0\.0\.0:2181 is different/,
  );
});

test("groups and weights make a quorum of groups", () => {
  const { quorum } = ensemble(`${three}server.4=d:1:2\ngroup.1=1:2\ngroup.2=3:4\nweight.1=3\nweight.4=0\n`);
  assert.deepEqual([1, 2, 3, 4, 5].map((sid) => quorum.weight(sid)), [3, 1, 1, 0, 0]);
  assert.equal(quorum.isQuorum((sid) => sid === 1), false);
  assert.equal(quorum.isQuorum((sid) => sid === 1 || sid === 3), true);
  assert.equal(quorum.isQuorum((sid) => sid !== 1), false);
});

const groups: readonly (readonly [lines: string, told: RegExp])[] = [
  ["group.1=1:2\ngroup.2=2:3\n", /group\.2: found "2".*Server 2 is in multiple groups/],
  ["group.1=1:2\n", /group\.1: .*Server 3 is not in a group/],
  ["group.1=1:2:3:9\n", /group\.1: found "9", expected numbers of server\.N lines/],
  ["group.1=1,2,3\n", /group\.1: found "1,2,3"/],
  ["group.x=1:2:3\n", /group\.x: .*a whole number/],
  ["group.1=1:2:3\nweight.1=-1\n", /weight\.1: found "-1", expected a number from 0/],
  ["group.1=1:2:3\nweight.7=1\n", /weight\.7: .*participant/],
  ["group.1=1:2:3\nweight.1=0\nweight.2=0\nweight.3=0\n", /never a quorum/],
];
for (const [lines, expected] of groups) {
  test(`the groups ${JSON.stringify(lines)} are refused`, () => {
    const text = told(`${three}${lines}`);
    assert.match(text, expected);
    assert.equal(text.split("\n").length, 1, text);
  });
}

test("TOML gives the same ensemble", () => {
  const toml = `
[server]
id = 1
tick_ms = 3000
[client]
port = 2181
[storage]
data_dir = "/data"
[ensemble]
leader_serves = false
observer_master_port = 7
[ensemble.servers]
1 = "a:2888:3888"
2 = "b:2888:3888"
3 = "c:2888:3888"
4 = "d:2888:3888:observer"
[ensemble.groups]
1 = [1, 2]
2 = [3]
[ensemble.weights]
1 = 2
`;
  const classic = `${three}server.4=d:2888:3888:observer\ngroup.1=1:2\ngroup.2=3\nweight.1=2\n` +
    "leaderServes=no\nobserverMasterPort=7\n";
  assert.deepEqual(ensemble(toml, {}, "a.toml"), ensemble(classic));
  assert.match(
    told(toml.replace("[1, 2]", '[1, "x"]').replace("b:2888", "b:"), {}, "a.toml"),
    /^a\.toml:14: ensemble\.servers\.2: found "b::3888"/,
  );
  assert.match(
    told(toml.replace("[3]", "[2]"), {}, "a.toml"),
    /^a\.toml:19: ensemble\.groups\.2: .*multiple groups/,
  );
});

test("even numbers of voters are warned about in Apache's words", () => {
  const two = load(`${base}server.1=a:1:2\nserver.2=b:1:2\n`);
  assert.match(
    two.warnings.join("\n"),
    /No server failure will be tolerated\. You need at least 3 servers\./,
  );
  const four = load(`${three}server.4=d:1:2\n`);
  assert.match(four.warnings.join("\n"), /Non-optimal configuration, consider an odd number of servers\./);
});

test("one server is an ensemble of one only with standaloneEnabled=false", () => {
  const text = `${base}server.1=a:1:2\n`;
  assert.equal(load(text).ensemble, null);
  const alone = ensemble(`${text}standaloneEnabled=false\n`);
  assert.deepEqual([alone.quorum.voters, alone.quorum.isQuorum((sid) => sid === 1)], [[1], true]);
});

test("observers need participants: two, or one with standaloneEnabled=false", () => {
  const observer = "server.2=b:1:2:observer\n";
  const text = `${base}server.1=a:1:2\n${observer}`;
  assert.match(told(text), /Observers w\/o quorum is an invalid configuration/);
  assert.deepEqual(ensemble(`${text}standaloneEnabled=false\n`).quorum.voters, [1]);
  assert.match(
    told(`${base}server.1=a:1:2:observer\n${observer}`),
    /Observers w\/o participants is an invalid configuration/,
  );
});

test("at most 255 servers", () => {
  const lines = (count: number) =>
    Array.from({ length: count }, (_, i) => `server.${i + 1}=h${i}:1:2\n`).join("");
  assert.equal(ensemble(base + lines(255)).members.length, 255);
  assert.match(told(base + lines(256)), /found "256 servers", expected 255 servers at most/);
});

test("the own line wins over peerType, with Apache's word of warning", () => {
  const s = load(`${three}server.4=d:1:2:observer\npeerType=observer\n`);
  assert.equal(s.ensemble?.observer, false);
  assert.match(
    s.warnings.join("\n"),
    /Peer type from servers list \(PARTICIPANT\) doesn't match peerType \(OBSERVER\)\. Defaulting to servers list\./,
  );
  assert.equal(load(`${three}server.4=d:1:2:observer\n`, { "/data/myid": "4" }).ensemble?.observer, true);
});

test("zoolet.serverId stands for the file myid and wins over it", () => {
  assert.equal(ensemble(`${three}zoolet.serverId=3\n`, {}).sid, 3);
  const both = load(`${three}zoolet.serverId=3\n`);
  assert.equal(both.ensemble?.sid, 3);
  assert.equal(both.warnings.length, 1);
});

test("members in a file of their own have the version of its name", () => {
  const text = `${base}dynamicConfigFile=/zoo.cfg.dynamic.100000000\nreconfigEnabled=true\n`;
  const members =
    "server.1=a:1:2:participant\nserver.2=b:1:2:participant;0.0.0.0:5\nserver.3=c:1:2\ngroup.1=1:2:3\n";
  const s = load(text, { ...one, "/zoo.cfg.dynamic.100000000": members });
  assert.equal(s.ensemble?.configVersion, 0x100000000);
  assert.match(s.ensemble?.configText ?? "", /\ngroup\.1=1:2:3\n(weight\.\d=1\n){3}version=100000000$/);
  assert.match(s.warnings.join("\n"), /reconfigEnabled is not supported yet .* stay as they are written/);
  const plain = load(`${base}dynamicConfigFile=/zoo.cfg.dynamic\n`, { ...one, "/zoo.cfg.dynamic": members });
  assert.equal(plain.ensemble?.configVersion, 0);
});

for (const key of ["sslQuorum", "portUnification", "quorum.auth.enableSasl"]) {
  test(`${key}=true stops an ensemble, and nobody else`, () => {
    assert.match(
      told(`${three}${key}=true\n`),
      new RegExp(`${key.replaceAll(".", "\\.")}: found "true", expected false`),
    );
    assert.equal(load(`dataDir=/data\nclientPort=1\n${key}=true\n`).ensemble, null);
  });
}

test("a port for members that is taken by another setting is told", () => {
  assert.match(told(three.replace("a:2888", "a:2181")), /server\.1: found "2181, which clientPort has too"/);
  assert.match(
    told(three.replace("a:2888:3888", "127.0.0.1:2888:8080")),
    /8080, which admin\.serverPort has too/,
  );
});

// ------------------------------------------------------------------------------------- observers

test("an observer needs one line, and has a number above all others", () => {
  const text = '[ensemble]\nobserve = ["zk1", "zk2:1:2", "9=[::1]:3:4"]\n';
  const s = load(text, {}, "a.toml", 0xffff_ffff);
  const { ensemble: found } = s;
  assert.deepEqual([s.storageKind, s.dataDir, s.clientPort, s.clientPortAddress], ["memory", "", 2181, null]);
  assert.deepEqual([found?.observer, found?.initLimit, found?.syncLimit], [true, 10, 5]);
  assert.deepEqual(found?.members.map(({ sid, addresses }) => [sid, addresses[0]]), [
    [1, { host: "zk1", quorumPort: 2888, electionPort: 3888 }],
    [2, { host: "zk2", quorumPort: 1, electionPort: 2 }],
    [9, { host: "::1", quorumPort: 3, electionPort: 4 }],
  ]);
  assert.equal(found?.sid, 2 ** 32 + 0xffff_fffe);
  assert.deepEqual([s.serverId, s.extendedTypes, s.warnings], [found?.sid, true, []]);
  const classic = load("zoolet.observe=zk1,zk2:1:2, 9=[::1]:3:4\n", {}, "zoo.cfg", 0xffff_ffff);
  assert.deepEqual(classic.ensemble, found);
});

test("an observer may have a directory, and keeps its data there then", () => {
  const s = load('[ensemble]\nobserve = "a,b"\n[storage]\ndata_dir = "/data"\n', {}, "a.toml");
  assert.deepEqual([s.storageKind, s.dataDir], ["disk", "/data"]);
});

test("an observer without a line in a full list says so by peerType and a number above the others", () => {
  const text = `${three}peerType=observer\n`;
  const s = load(text, { "/data/myid": "4" });
  assert.deepEqual([s.ensemble?.observer, s.ensemble?.sid, s.ensemble?.members.length], [true, 4, 3]);
  assert.match(s.notes.join("\n"), /4 has no server\.N line; it observes without one/);
  assert.match(told(three, { "/data/myid": "4" }), /My id 4 not in the peer list/);
  assert.match(
    told(text.replace("server.2=", "server.7="), { "/data/myid": "4" }),
    /found "4", expected a number above 7: of two servers the one with the larger number connects/,
  );
});

test("memory is for observers alone", () => {
  const memory = "zoolet.storage=memory\n";
  assert.equal(
    load(`${three}server.4=d:1:2:observer\n${memory}`, { "/data/myid": "4" }).storageKind,
    "memory",
  );
  assert.match(
    told(`${three}${memory}`),
    /zoolet\.storage: found "memory", expected disk, or the role of an observer/,
  );
  assert.match(
    told(`dataDir=/data\nclientPort=1\n${memory}`),
    /zoolet\.storage: found "memory", expected disk/,
  );
  const synced = load(`${three}server.4=d:1:2:observer\nsyncEnabled=false\n`, { "/data/myid": "4" });
  assert.equal(synced.storageKind, "memory");
  assert.equal(load(`${three}syncEnabled=false\n`).storageKind, "disk");
});

test("what is observed is told once, and in words that help", () => {
  assert.match(told("zoolet.observe=a,b\nserver.1=a:1:2\n"), /either zoolet\.observe or server\.1, not both/);
  assert.match(
    told("zoolet.observe=a,2=b,c,2=d\n"),
    /zoolet\.observe: found "2=d", expected a number of its own/,
  );
  assert.match(told("zoolet.observe=a:1\n"), /zoolet\.observe: found "a:1", expected host:quorumPort/);
  assert.match(told("zoolet.observe=\n"), /zoolet\.observe: found "", expected a list of servers/);
});

// ------------------------------------------------------------------------------------------ words

test("the effective values of a member, written as a zoo.cfg, give the same member again", () => {
  for (
    const s of [
      load(`${three}server.4=d:1:2:observer\ngroup.1=1:2\ngroup.2=3\nweight.3=7\nleaderServes=no\n`),
      load('[ensemble]\nobserve = ["a", "b", "c"]\n', {}, "a.toml", 77),
      load(`${base}server.1=a:1:2;2181\nstandaloneEnabled=false\n`),
    ]
  ) {
    const again = load(formatSettings(s));
    assert.deepEqual(again.ensemble, s.ensemble);
    assert.deepEqual([again.storageKind, again.clientPort], [s.storageKind, s.clientPort]);
  }
});

test("members are among the effective values, with their places", () => {
  const line = describeSettings(load(three)).find(({ key }) => key === "server.2");
  assert.deepEqual(line, {
    key: "server.2",
    toml: "ensemble.servers.2",
    value: "b:2888:3888:participant",
    origin: "zoo.cfg:6",
  });
});

test("no list of members makes the settings throw, and what comes out agrees with itself", () => {
  const sid = fc.constantFrom("1", "2", "3", "4", "01", "x", "-1", "");
  const value = fc.constantFrom(
    "a:1:2",
    "b:1:2:observer",
    "c:3:4;5",
    "",
    "1:2",
    "1:2:3",
    "1",
    "0",
    "x",
    "[::1]:5:6",
  );
  const pair = fc.oneof(
    fc.tuple(fc.constantFrom("server.", "group.", "weight."), sid, value).map(([name, id, is]) =>
      `${name}${id}=${is}`
    ),
    fc.constantFrom(
      "standaloneEnabled=false",
      "peerType=observer",
      "zoolet.storage=memory",
      "zoolet.observe=a,b",
      "zoolet.serverId=9",
    ),
  );
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 9, size: "max" }), (pairs) => {
      const loaded = loadSettings(fakeFiles({ "zoo.cfg": `${base}${pairs.join("\n")}`, ...one }), "zoo.cfg");
      if ("problems" in loaded) {
        assert.ok(loaded.problems.length > 0);
        return;
      }
      const { ensemble: found, storageKind } = loaded.settings;
      if (storageKind === "memory") assert.equal(found?.observer, true);
      if (found === null) return;
      assert.ok(found.quorum.voters.length > 0);
      assert.equal(found.observer, !found.quorum.isVoter(found.sid));
      assert.equal(found.quorum.isQuorum(() => true), true);
    }),
    { numRuns: 2000 },
  );
});
