/** Members in a configuration: how a line is read, and one of them alone. Several: config_ensemble_test. */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { formatProblems, loadSettings } from "../../src/server/config.ts";
import { parseMember } from "../../src/server/config_membership.ts";
import type { ServerSettings } from "../../src/server/config_types.ts";
import { type FakeFiles, fakeFiles, problemsOf, settingsOf } from "./config_fake_files.ts";

function load(text: string, more: FakeFiles = {}): ServerSettings {
  return settingsOf(loadSettings(fakeFiles({ "zoo.cfg": text, ...more }), "zoo.cfg"));
}

function problemText(text: string, more: FakeFiles = {}): string {
  return formatProblems(problemsOf(loadSettings(fakeFiles({ "zoo.cfg": text, ...more }), "zoo.cfg")));
}

/** As the official container image writes it. */
const container = `dataDir=/data
dataLogDir=/datalog
tickTime=2000
initLimit=5
syncLimit=2
autopurge.snapRetainCount=3
autopurge.purgeInterval=0
maxClientCnxns=60
standaloneEnabled=true
admin.enableServer=true
server.1=localhost:2888:3888;2181
`;

test("the container image's file with myid 1 listens on 2181 standalone, without a warning", () => {
  const s = load(container, { "/data/myid": "1\n" });
  assert.deepEqual([s.clientPort, s.clientPortAddress, s.serverId, s.serverIdShown], [2181, null, 1, 1]);
  assert.deepEqual([s.dataDir, s.dataLogDir, s.warnings, s.notes], ["/data", "/datalog", [], []]);
  assert.equal(s.origins.get("clientPort"), "zoo.cfg:11");
});

test("without a myid file the one server of the file is this one, and that is noted", () => {
  const s = load(
    "dataDir=/data\nserver.7=h:1:2;127.0.0.1:99;[::1]:100\nssl.clientAuth=none\n" +
      "ssl.keyStore.location=/k.pem\n",
    { "/k.pem": "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n" },
  );
  assert.deepEqual([s.clientPort, s.clientPortAddress, s.serverId], [99, "127.0.0.1", 7]);
  assert.deepEqual([s.secureClientPort, s.secureClientPortAddress], [100, "::1"]);
  assert.equal(s.notes.length, 1);
});

test("a myid of another server leaves no client port, and the problem says why", () => {
  const told = problemText(container, { "/data/myid": "2" });
  assert.match(told, /clientPort is not set/);
  assert.match(told, /myid is 2, so the client port of server\.1 is not this server's/);
});

test("clientPort beside the line may agree with it and may not differ", () => {
  assert.equal(load(`${container}clientPort=2181\n`, { "/data/myid": "1" }).clientPort, 2181);
  assert.match(
    problemText(`${container}clientPort=2182\n`, { "/data/myid": "1" }),
    /client address for this server \(id = 1\) in static config file is 0\.0\.0\.0:2182 is different from client address found in dynamic file: 0\.0\.0\.0:2181/,
  );
});

test("a line without a client part and no clientPort is told what it lacks", () => {
  assert.match(
    problemText("dataDir=/data\nserver.1=h:1:2\n"),
    /server\.1 has no ;clientPort.*clientPort is not set/,
  );
});

test("an ensemble without limits and without a number is told all that it lacks", () => {
  const told = problemText("dataDir=/data\nclientPort=1\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n");
  for (const sentence of ["initLimit is not set", "syncLimit is not set", "myid file is missing"]) {
    assert.ok(told.includes(sentence), told);
  }
  assert.equal(told.split("\n").length, 3, told);
  const two = "dataDir=/data\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\n";
  assert.match(problemText(two, { "/data/myid": "9" }), /My id 9 not in the peer list/);
});

test("members in a file of their own are read from there, and from nowhere else", () => {
  const dynamic = "dataDir=/data\ndynamicConfigFile=/dyn\n";
  assert.equal(load(dynamic, { "/dyn": "server.1=h:1:2;55\n", "/data/myid": "1" }).clientPort, 55);
  assert.match(problemText(`${dynamic}clientPort=1\n`), /Error processing \/dyn/);
  assert.match(
    problemText(`${dynamic}server.1=h:1:2;5\n`, { "/dyn": "" }),
    /parameter: server\.1 must be in a separate dynamic config file/,
  );
  assert.match(
    problemText(dynamic, { "/dyn": "version=5\nserver.1=h:1:2;5" }),
    /dynamic file shouldn't have version inside/,
  );
  assert.match(
    problemText(dynamic, { "/dyn": "tickTime=5\nserver.1=h:1:2;5" }),
    /\/dyn:1: tickTime: .*Unrecognised parameter: tickTime/,
  );
});

test("an observer alone and standaloneEnabled=false without a server are refused", () => {
  assert.match(
    problemText("dataDir=/d\nserver.1=h:1:2:observer;5\n"),
    /Observers w\/o participants is an invalid configuration/,
  );
  assert.match(
    problemText("dataDir=/d\nclientPort=1\nstandaloneEnabled=false\n"),
    /standaloneEnabled = false then number of participants should be >0/,
  );
});

const lines: readonly (readonly [value: string, sentence: RegExp])[] = [
  ["127.0.0.1", /127\.0\.0\.1 does not have the form server_config or server_config;client_config/],
  ["127.0.0.1:2888", /does not have the form/],
  ["", /does not have the form/],
  ["h:1:2:participant:x", /does not have the form/],
  ["[::1:1:2", /does not have the form/],
  ["h:1:2;3;4;5", /does not have the form/],
  ["h:abc:2", /Address unresolved: h:abc/],
  ["h:1: 2", /Address unresolved: h: 2/],
  ["h:1:2;99999", /Address unresolved: 0\.0\.0\.0:99999/],
  ["h:1:2:voter", /Unrecognised peertype: voter/],
  ["h:5:5", /Client and election port must be different! Please update the configuration file on server\.1/],
  ["h:1:2|i:1:2", /Multiple address feature is disabled, but multiple addresses were specified for sid 1/],
];

for (const [value, sentence] of lines) {
  test(`the server line ${JSON.stringify(value)} is refused in Apache's words`, () => {
    const parsed = parseMember("server.1", value, false);
    assert.equal(parsed.kind, "refused");
    if (parsed.kind === "refused") assert.match(parsed.sentence, sentence);
  });
}

test("a server line in all its parts is read", () => {
  const parsed = parseMember("server.3", "[::1]:2888:3888:OBSERVER|h:1:2;h2:2181;2281", true);
  assert.deepEqual(parsed, {
    kind: "member",
    member: {
      id: 3,
      role: "observer",
      addresses: [
        { host: "::1", quorumPort: 2888, electionPort: 3888 },
        { host: "h", quorumPort: 1, electionPort: 2 },
      ],
      client: { host: "h2", port: 2181 },
      secureClient: { host: "0.0.0.0", port: 2281 },
    },
  });
});

test("no server line makes the parser throw", () => {
  const piece = fc.constantFrom(
    "h",
    ":",
    ";",
    "|",
    "[",
    "]",
    "1",
    "65536",
    "participant",
    " ",
    "::1",
    "\u0000",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20, size: "max" }), fc.string(), (parts, id) => {
      const parsed = parseMember(`server.${id}`, parts.join(""), false);
      assert.ok(parsed.kind === "member" || parsed.allowed !== "");
    }),
    { numRuns: 2000 },
  );
});
