/** What settings come out of a configuration, and what an operator is told about it. */
import { test } from "node:test";
import assert from "node:assert/strict";
import {
  defaultSettings,
  describeSettings,
  devPreset,
  explainKey,
  formatSettings,
  type LoadOptions,
  loadSettings,
  settingsFrom,
} from "../../src/server/config.ts";
import type { ServerSettings } from "../../src/server/config_types.ts";
import { type FakeFiles, fakeFiles, settingsOf } from "./config_fake_files.ts";

const good = "dataDir=/data\nclientPort=2181\n";

function load(
  text: string,
  more: FakeFiles = {},
  options: LoadOptions = {},
  file = "zoo.cfg",
): ServerSettings {
  return settingsOf(loadSettings(fakeFiles({ [file]: text, ...more }), file, options));
}

test("a small zoo.cfg has Apache's defaults, but for TTL nodes and the admin address", () => {
  const s = load(good);
  assert.deepEqual(
    [s.tickMs, s.sessionTimeoutMsMin, s.sessionTimeoutMsMax, s.connectionsPerAddressMax, s.connectionsMax],
    [3000, 6000, 60000, 60, 0],
  );
  assert.deepEqual([s.clientPort, s.clientPortAddress, s.secureClientPort, s.tls], [2181, null, -1, null]);
  assert.deepEqual([s.dataDir, s.dataLogDir, s.serverId, s.serverIdShown], ["/data", "/data", 1, 0]);
  assert.deepEqual(s.fourLetterWords, new Set(["srvr"]));
  assert.equal(s.extendedTypes, true);
  assert.deepEqual(s.admin, { enabled: true, address: "127.0.0.1", port: 8080, commandUrl: "/commands" });
  assert.deepEqual([s.warnings, s.notes, s.sourceText], [[], [], good]);
});

test("every acting key of a zoo.cfg reaches its setting", () => {
  const s = load(`
    dataDir=/d
    dataLogDir=/l
    clientPort=1
    clientPortAddress=10.0.0.1
    clientPortListenBacklog=7
    clientTcpKeepAlive=TRUE
    tickTime=+100
    minSessionTimeout=5
    maxSessionTimeout=6
    maxClientCnxns=-1
    maxCnxns=0x10
    globalOutstandingLimit=010
    nio.sessionlessCnxnTimeout=123
    extendedTypesEnabled=false
    enforceQuota=true
    skipACL=yes
    digest.enabled=false
    closeSessionTxn.enabled=false
    DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=
    enforce.auth.enabled=true
    enforce.auth.schemes=digest, ip
    4lw.commands.whitelist=stat, ruok , *, mntr
    forceSync=no
    datadir.autocreate=false
    fsync.warningthresholdms=5
    admin.enableServer=false
    admin.serverAddress=0.0.0.0
    admin.serverPort=0
    admin.commandURL=/c
    metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
    metricsProvider.httpPort=7001
    zoolet.log.format=json
    zoolet.log.level=debug
    zoolet.logRetainTxns=9
    zoolet.logRetainMs=8
    zoolet.serverId=4
  `);
  assert.deepEqual([s.dataDir, s.dataLogDir, s.clientPort, s.clientPortAddress], ["/d", "/l", 1, "10.0.0.1"]);
  assert.deepEqual([s.clientPortListenBacklog, s.clientTcpKeepAlive, s.tickMs], [7, true, 100]);
  assert.deepEqual([s.sessionTimeoutMsMin, s.sessionTimeoutMsMax, s.sessionlessMsMax], [5, 6, 123]);
  assert.deepEqual([s.connectionsPerAddressMax, s.connectionsMax, s.outstandingRequestsMax], [0, 16, 8]);
  assert.deepEqual([s.extendedTypes, s.enforceQuota, s.skipAcl, s.digestEnabled, s.closeSessionTxn], [
    false,
    true,
    true,
    false,
    false,
  ]);
  assert.equal(s.superDigest, "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
  assert.deepEqual([s.enforceAuthSchemes, s.fourLetterWords, s.sync], [["digest", "ip"], "all", "off"]);
  assert.deepEqual([s.dataDirAutocreate, s.fsyncWarningMs], [false, 5]);
  assert.deepEqual(s.admin, { enabled: false, address: "0.0.0.0", port: 0, commandUrl: "/c" });
  assert.deepEqual(s.metrics, { address: "0.0.0.0", port: 7001 });
  assert.deepEqual([s.logFormat, s.logLevel, s.logRetainTxns, s.logRetainMs], ["json", "debug", 9, 8]);
  assert.deepEqual([s.serverId, s.serverIdShown], [4, 4]);
  assert.deepEqual(s.warnings, []);
});

test("keys without Java's prefix are honoured in the file, with a word that Apache would ignore them", () => {
  const s = load(
    `${good}jute.maxbuffer=4194304\nreadonlymode.enabled=true\nznode.container.checkIntervalMs=100\n` +
      "znode.container.maxPerMinute=5\nznode.container.maxNeverUsedIntervalMs=7\n",
  );
  assert.deepEqual([s.frameBytesMax, s.readOnlyMode, s.containerCheckMs], [4194304, true, 100]);
  assert.deepEqual([s.containerPerMinuteMax, s.containerNeverUsedMs], [5, 7]);
  assert.deepEqual(s.fourLetterWords, new Set(["srvr", "isro"]));
  assert.equal(s.warnings.length, 5);
  assert.match(s.warnings[0] ?? "", /^zoo\.cfg:3: jute\.maxbuffer is honoured here; Apache ignores it/);
});

test("a key with a doubled zookeeper. prefix is read without it, with a warning", () => {
  const s = load(`${good}zookeeper.admin.enableServer=false\n`);
  assert.equal(s.admin.enabled, false);
  assert.equal(s.warnings.length, 1);
  assert.match(
    s.warnings[0] ?? "",
    /^zoo\.cfg:3: zookeeper\.admin\.enableServer is read as admin\.enableServer/,
  );
});

test("a misspelt key is warned about once, with the nearest name", () => {
  const warnings = load(`${good}clientport=2182\nmaxClientCnxn=5\nfooBarBaz=1\n`).warnings;
  assert.deepEqual(warnings, [
    "zoo.cfg:3: clientport is not a known setting and is ignored; did you mean clientPort?",
    "zoo.cfg:4: maxClientCnxn is not a known setting and is ignored; did you mean maxClientCnxns?",
    "zoo.cfg:5: fooBarBaz is not a known setting and is ignored",
  ]);
});

test("a key for Java is warned about once, by its name; one for an ensemble passes without a word", () => {
  const s = load(
    `${good}snapCount=100000\nwatchManagerName=x\npathStats.enabled=true\ninitLimit=10\nsyncLimit=5\ncnxTimeout=5000\n` +
      "autopurge.snapRetainCount=3\nautopurge.purgeInterval=1\nquorum.auth.enableSasl=false\nssl.quorum.protocol=x\n",
  );
  assert.deepEqual(s.warnings.map((text) => /^zoo\.cfg:\d+: (\S+) has no meaning here/.exec(text)?.[1]), [
    "snapCount",
    "watchManagerName",
    "pathStats.enabled",
  ]);
});

test("a key that is not supported yet is warned about only when it asks for something", () => {
  assert.deepEqual(load(`${good}audit.enable=false\nclient.portUnification=false\n`).warnings, []);
  assert.match(load(`${good}audit.enable=true\n`).warnings[0] ?? "", /audit\.enable is not supported yet/);
});

test("skipACL and forceSync act on their one word alone, and say so for any other", () => {
  const s = load(`${good}skipACL=true\nforceSync=false\n`);
  assert.deepEqual([s.skipAcl, s.sync], [false, "full"]);
  assert.match(s.warnings.join("\n"), /skipACL="true" does nothing, as in Apache: only the word yes acts/);
  assert.match(s.warnings.join("\n"), /forceSync="false" does nothing, as in Apache: only the word no acts/);
  assert.deepEqual(load(`${good}skipACL=no\nforceSync=yes\n`).warnings, []);
});

test("the last of two lines with one key counts, and that there are two is told", () => {
  const s = load("clientPort=1\ndataDir=/data\nclientPort=2\n");
  assert.equal(s.clientPort, 2);
  assert.deepEqual(s.warnings, ["zoo.cfg:3: clientPort is given twice, first on line 1; this one counts"]);
});

test("a relative directory is taken from the current one, with Apache's warning unless it begins with ./", () => {
  const bare = load("dataDir=data\nclientPort=1\n");
  assert.equal(bare.dataDir, "/cwd/data");
  assert.deepEqual(bare.warnings, ["zoo.cfg:1: data is relative. Prepend ./ to indicate that you're sure!"]);
  const sure = load("dataDir=./data\nclientPort=1\n");
  assert.deepEqual([sure.dataDir, sure.warnings], ["/cwd/data", []]);
});

test("myid gives the id; blanks around it are dropped with a warning", () => {
  assert.deepEqual(
    [load(good, { "/data/myid": "7\nrest" })].map((s) => [s.serverId, s.serverIdShown, s.warnings]),
    [
      [7, 7, []],
    ],
  );
  const s = load(good, { "/data/myid": " 7 \r\n" });
  assert.equal(s.serverId, 7);
  assert.equal(s.warnings.length, 1);
});

test("an id above 254 turns TTL nodes off when nobody asked for them", () => {
  const s = load(good, { "/data/myid": "300" });
  assert.equal(s.extendedTypes, false);
  assert.equal(s.warnings.length, 1);
});

test("JVM properties are honoured, JVMFLAGS over SERVER_JVMFLAGS and the file over both", () => {
  const env = {
    SERVER_JVMFLAGS: "-Dzookeeper.skipACL=no -Dzookeeper.maxCnxns=5 -Dzookeeper.globalOutstandingLimit=6",
    JVMFLAGS:
      '-Xmx512m -Dzookeeper.skipACL=yes "-Dzookeeper.4lw.commands.whitelist=stat, ruok" -Djute.maxbuffer=0x200000 ' +
      "-javaagent:/a.jar -Dcom.sun.management.jmxremote",
  };
  const s = load(`${good}maxCnxns=9\n`, {}, { env });
  assert.deepEqual([s.skipAcl, s.connectionsMax, s.outstandingRequestsMax, s.frameBytesMax], [
    true,
    9,
    6,
    0x200000,
  ]);
  assert.deepEqual(s.fourLetterWords, new Set(["srvr", "stat", "ruok"]));
  assert.deepEqual(s.warnings, []);
  assert.equal(s.notes.length, 1);
  assert.match(s.notes[0] ?? "", /-Xmx512m -javaagent:\/a\.jar -Dcom\.sun\.management\.jmxremote/);
  assert.equal(s.origins.get("skipACL"), "JVMFLAGS");
});

test("a JVM property that Apache would not see is not honoured, and that is told", () => {
  const s = load(good, {}, {
    env: { JVMFLAGS: "-DskipACL=yes -Dzookeeper.tickTime=1 -Dzookeeper.skipAcl=yes" },
  });
  assert.deepEqual([s.skipAcl, s.tickMs], [false, 3000]);
  assert.equal(s.warnings.length, 3);
  assert.match(s.warnings.join("\n"), /did you mean skipACL\?/);
});

test("flags win over the file, over the port of its server line too", () => {
  const text = "dataDir=/data\nserver.1=localhost:2888:3888;2181\n";
  const s = load(text, { "/data/myid": "1" }, { flags: { clientPort: "0", "zoolet.sync": "off" } });
  assert.deepEqual([s.clientPort, s.sync, s.origins.get("clientPort")], [0, "off", "flag"]);
});

test("TOML and zoo.cfg give the same settings", () => {
  const toml = load(
    `
[server]
id = 3
tick_ms = 2_000
[client]
port = 2181
address = "127.0.0.1"
[storage]
data_dir = "/data"
sync = "off"
[session]
timeout_min_ms = 1000
[limits]
frame_bytes = 0x100000
[acl]
skip = true
enforce_schemes = ["digest"]
[words]
allow = ["ruok", "mntr"]
[admin]
enabled = false
[metrics]
port = 7000
[log]
level = "warn"
`,
    {},
    {},
    "a.toml",
  );
  const classic = load(`
zoolet.serverId=3
tickTime=2000
clientPort=2181
clientPortAddress=127.0.0.1
dataDir=/data
zoolet.sync=off
minSessionTimeout=1000
jute.maxbuffer=1048576
skipACL=yes
enforce.auth.enabled=true
enforce.auth.schemes=digest
4lw.commands.whitelist=ruok,mntr
admin.enableServer=false
metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
zoolet.log.level=warn
`);
  const same = (s: ServerSettings) => ({
    ...s,
    source: "",
    sourceText: "",
    origins: null,
    warnings: [],
    notes: [],
  });
  assert.deepEqual(same(toml), same(classic));
  assert.deepEqual(toml.warnings, []);
  assert.equal(toml.origins.get("clientPort"), "a.toml:6");
});

test("an unknown TOML key is warned about with its line and the nearest path", () => {
  const s = load('[client]\nprot = 1\nport = 2\n[storage]\ndata_dir = "/d"\n', {}, {}, "a.toml");
  assert.deepEqual(s.warnings, [
    "a.toml:2: client.prot is not a known setting and is ignored; did you mean client.port?",
  ]);
});

test("lines of TOML keys are found in dotted, quoted and inline form, and not in multi-line text", () => {
  const text =
    '"log" . level = "warn"\nnote = """\nlog.format = "json"\n"""\nclient = { port = 5 }\nstorage.data_dir = "/d"\n';
  const s = load(text, {}, {}, "a.toml");
  assert.deepEqual(["zoolet.log.level", "clientPort", "dataDir"].map((key) => s.origins.get(key)), [
    "a.toml:1",
    "a.toml:5",
    "a.toml:6",
  ]);
  assert.equal(s.logFormat, "text");
});

test("settings without a file are the same from code and from the preset of zoolet dev", () => {
  const preset = settingsOf(settingsFrom(fakeFiles({}), devPreset));
  const code = defaultSettings({ dataDir: "/cwd/.zoolet" });
  assert.deepEqual({ ...preset, origins: null }, { ...code, origins: null });
  assert.deepEqual([code.clientPort, code.clientPortAddress, code.fourLetterWords], [
    2181,
    "127.0.0.1",
    "all",
  ]);
});

test("what follows from a replaced setting follows it", () => {
  const s = defaultSettings({ tickMs: 100, dataDir: "/d", admin: { enabled: false } });
  assert.deepEqual([s.sessionTimeoutMsMin, s.sessionTimeoutMsMax, s.dataLogDir], [200, 2000, "/d"]);
  assert.deepEqual(s.admin, { enabled: false, address: "127.0.0.1", port: 8080, commandUrl: "/commands" });
});

test("effective values come with their origin, and a secret does not come at all", () => {
  const digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
  const s = load(`${good}DigestAuthenticationProvider.superDigest=${digest}\n`, {}, {
    flags: { tickTime: "500" },
  });
  const lines = new Map(describeSettings(s).map((line) => [line.key, line]));
  assert.deepEqual(lines.get("clientPort"), {
    key: "clientPort",
    toml: "client.port",
    value: "2181",
    origin: "zoo.cfg:2",
  });
  assert.deepEqual([lines.get("tickTime")?.value, lines.get("tickTime")?.origin], ["500", "flag"]);
  assert.deepEqual([lines.get("maxCnxns")?.value, lines.get("maxCnxns")?.origin], ["0", "default"]);
  assert.equal(lines.get("DigestAuthenticationProvider.superDigest")?.value, "(set)");
  assert.equal(formatSettings(s).includes(digest), false);
});

test("the effective values, written as a zoo.cfg, give the same settings again", () => {
  const s = load(
    `${good}tickTime=77\nmaxCnxns=3\nskipACL=yes\n4lw.commands.whitelist=ruok\nzoolet.sync=off\nzoolet.serverId=3\n`,
  );
  const again = load(formatSettings(s));
  const same = (one: ServerSettings) => ({ ...one, sourceText: "", origins: null, warnings: [] });
  assert.deepEqual(same(again), same(s));
});

test("a key is explained by either of its names, and an unknown one is not", () => {
  assert.match(explainKey("tickTime") ?? "", /In TOML: server\.tick_ms/);
  assert.equal(explainKey("server.tick_ms"), explainKey("tickTime"));
  assert.match(explainKey("pathStats.slotDuration") ?? "", /No meaning here/);
  assert.equal(explainKey("nothingLikeIt"), null);
});

test("what is misspelt is told beside what is therefore missing", () => {
  const loaded = loadSettings(fakeFiles({ "zoo.cfg": "DataDir=/x\nclientPort=99999\nfoo=1\n" }), "zoo.cfg");
  assert.ok("problems" in loaded);
  assert.deepEqual(loaded.problems.map(({ key }) => key), ["clientPort", "dataDir"]);
  assert.deepEqual(loaded.warnings, [
    "zoo.cfg:1: DataDir is not a known setting and is ignored; did you mean dataDir?",
    "zoo.cfg:3: foo is not a known setting and is ignored",
  ]);
});

test("jute.maxbuffer may be small, as with Apache, and not nothing", () => {
  const load = (bytes: string) =>
    loadSettings(fakeFiles({ "zoo.cfg": `dataDir=/x\nclientPort=1\njute.maxbuffer=${bytes}\n` }), "zoo.cfg");
  for (const bytes of ["1", "512", "1023"]) {
    assert.equal(settingsOf(load(bytes)).frameBytesMax, Number(bytes));
  }
  for (const bytes of ["0", "-1"]) assert.ok("problems" in load(bytes), bytes);
});
