/**
 * What is wrong with a configuration: each row of operations 1.9 that a server alone can meet, with
 * its line, its key, what is allowed, and the sentence that operators search for.
 */
import { test } from "node:test";
import assert from "node:assert/strict";
import { formatProblems, loadSettings } from "../../src/server/config.ts";
import { type FakeFiles, fakeFiles, problemsOf } from "./config_fake_files.ts";

const good = "dataDir=/data\nclientPort=2181\n";

function problemText(text: string, more: FakeFiles = {}, file = "zoo.cfg"): string {
  return formatProblems(problemsOf(loadSettings(fakeFiles({ [file]: text, ...more }), file)));
}

/** A file and the one line it gets, with … for what does not matter. */
const rows: readonly (readonly [name: string, text: string, line: string, more?: FakeFiles])[] = [
  [
    "no dataDir",
    "clientPort=2181\n",
    "zoo.cfg: dataDir: found nothing, expected the directory…(dataDir is not set)",
  ],
  [
    "an empty dataDir",
    "clientPort=1\ndataDir=\n",
    'zoo.cfg:2: dataDir: found "", expected a path…(dataDir is not set)',
  ],
  [
    "a port that is no number",
    "dataDir=/data\n\nclientPort=abc\n",
    'zoo.cfg:3: clientPort: found "abc", expected a port from 0 to 65535…(For input string: "abc")',
  ],
  ["an empty port", "dataDir=/data\nclientPort=\n", 'zoo.cfg:2: clientPort: found ""…(For input string: "")'],
  [
    "a port out of range",
    "dataDir=/data\nclientPort=70000\n",
    'clientPort: found "70000"…(port out of range:70000)',
  ],
  [
    "a comment behind a number",
    `tickTime=2000 # ms\n${good}`,
    'zoo.cfg:1: tickTime:…(For input string: "2000 # ms")',
  ],
  ["a hexadecimal core number", `${good}tickTime=0x10\n`, 'zoo.cfg:3: tickTime:…(For input string: "0x10")'],
  ["a number beyond 32 bits", `${good}tickTime=99999999999\n`, '(For input string: "99999999999")'],
  ["no tick", `${good}tickTime=0\n`, "zoo.cfg:3: tickTime:…(tickTime is not set)"],
  [
    "a negative tick",
    `${good}tickTime=-1\n`,
    'zoo.cfg:3: tickTime: found "-1", expected milliseconds from 1',
  ],
  [
    "a core boolean that is a word",
    `${good}reconfigEnabled=yes\n`,
    "zoo.cfg:3: reconfigEnabled:…(Invalid option yes for reconfigEnabled. Choose 'true' or 'false.')",
  ],
  ["a peer type that is none", `${good}peerType=foo\n`, "zoo.cfg:3: peerType:…(Unrecognised peertype: foo)"],
  ["another election", `${good}electionAlg=1\n`, "(Invalid electionAlg value. Only 3 is supported.)"],
  [
    "session limits the wrong way round",
    `${good}minSessionTimeout=9000\nmaxSessionTimeout=4000\n`,
    "zoo.cfg:3: minSessionTimeout:…(minSessionTimeout must not be larger than maxSessionTimeout)",
  ],
  [
    "a longest session below the standard shortest",
    `${good}tickTime=2000\nmaxSessionTimeout=3000\n`,
    "zoo.cfg:4: maxSessionTimeout:…(minSessionTimeout must not be larger than maxSessionTimeout)",
  ],
  [
    "no port at all",
    "dataDir=/data\n",
    "zoo.cfg: clientPort: found nothing, expected a port…(clientPort is not set)",
  ],
  [
    "an address without its port",
    "dataDir=/data\nclientPortAddress=127.0.0.1\n",
    "zoo.cfg:2: clientPortAddress:…(clientPortAddress is set but clientPort is not set)",
  ],
  [
    "a TLS address without its port",
    `${good}secureClientPortAddress=127.0.0.1\n`,
    "zoo.cfg:3: secureClientPortAddress:…(secureClientPortAddress is set but secureClientPort is not set)",
  ],
  [
    "a metrics class that is not there",
    `${good}metricsProvider.className=org.example.Metrics\n`,
    "zoo.cfg:3: metricsProvider.className:…(metrics provider class was not found)",
  ],
  [
    "an interval with a strange suffix",
    `${good}autopurge.purgeInterval=1w\n`,
    "(Illegal time interval suffix: 1w)",
  ],
  ["a myid that is no number", good, "/data/myid:1: myid:…(serverid abc is not a number)", {
    "/data/myid": "abc\n",
  }],
  ["an empty myid", good, "/data/myid:1: myid:…(serverid null is not a number)", { "/data/myid": "" }],
  [
    "an id too large for TTL nodes that were asked for",
    `${good}extendedTypesEnabled=true\n`,
    "(extendedTypesEnabled is true but Server ID is too large. Cannot be larger than 254)",
    { "/data/myid": "255" },
  ],
  [
    "SASL for learners alone",
    `${good}quorum.auth.learnerRequireSasl=true\n`,
    "(quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.learnerRequireSasl)",
  ],
  [
    "a scheme that is not offered",
    `${good}enforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl\n`,
    'zoo.cfg:4: enforce.auth.schemes: found "sasl", expected one or more of digest, ip ' +
    "(Authentication scheme sasl is not available.)",
  ],
  ["enforcement without a scheme", `${good}enforce.auth.enabled=true\n`, "zoo.cfg:3: enforce.auth.schemes:"],
  [
    "a guard that is not there",
    `${good}sessionRequireClientSASLAuth=true\n`,
    "zoo.cfg:3: sessionRequireClientSASLAuth:",
  ],
  [
    "the admin endpoint on the clients' port",
    `${good}admin.serverPort=2181\n`,
    "zoo.cfg:3: admin.serverPort:",
  ],
  ["a data directory that is a file", good, "zoo.cfg:1: dataDir:…expected a directory", { "/data": "x" }],
  ["a bad escape", `${good}x=\\u12\n`, "zoo.cfg:3:…(Malformed \\uxxxx encoding.)"],
  ["a number of a passed-through key", `${good}maxCnxns=many\n`, 'zoo.cfg:3: maxCnxns: found "many"'],
  [
    "a boolean of a passed-through key",
    `${good}enforceQuota=yes\n`,
    'zoo.cfg:3: enforceQuota: found "yes", expected true or false',
  ],
];

for (const [name, text, line, more] of rows) {
  test(`${name} is one problem that says where, what and what instead`, () => {
    const told = problemText(text, more);
    assert.equal(told.split("\n").length, 1, told);
    let from = 0;
    for (const part of line.split("…")) {
      const at = told.indexOf(part, from);
      assert.ok(at >= 0, `${JSON.stringify(part)} is not in ${told}`);
      from = at + part.length;
    }
  });
}

test("a missing file, a directory and an unreadable file are problems and exceptions to nobody", () => {
  assert.match(
    formatProblems(problemsOf(loadSettings(fakeFiles({}), "/x/zoo.cfg"))),
    /\/x\/zoo\.cfg file is missing/,
  );
  assert.match(
    formatProblems(problemsOf(loadSettings(fakeFiles({ "/x": null }), "/x"))),
    /found "a directory"/,
  );
  const locked = {
    ...fakeFiles({ "/x": "a=1" }),
    read(): Uint8Array {
      throw Object.assign(new Error("no"), { code: "EACCES" });
    },
  };
  assert.match(formatProblems(problemsOf(loadSettings(locked, "/x"))), /EACCES/);
});

test("all problems of a file are told at once, in the order of its lines", () => {
  const text = "tickTime=x\nclientPort=y\nreconfigEnabled=z\nminSessionTimeout=-5\n";
  const problems = problemsOf(loadSettings(fakeFiles({ "zoo.cfg": text }), "zoo.cfg"));
  assert.deepEqual(problems.map(({ line, key }) => [line, key]), [
    [1, "tickTime"],
    [2, "clientPort"],
    [3, "reconfigEnabled"],
    [4, "minSessionTimeout"],
    [0, "dataDir"],
  ]);
});

test("a problem in TOML names the key as it stands there, with its line", () => {
  const text =
    '[storage]\ndata_dir = "/data"\n\n[client]\nport = "abc"\n\n[acl]\nenforce_schemes = ["sasl"]\n';
  assert.equal(
    problemText(text, {}, "a.toml"),
    'a.toml:5: client.port: found "abc", expected a port from 0 to 65535 (For input string: "abc")\n' +
      'a.toml:8: acl.enforce_schemes: found "sasl", expected one or more of digest, ip ' +
      "(Authentication scheme sasl is not available.)",
  );
});

test("a line that is no TOML is told with its number", () => {
  assert.match(
    problemText("[client]\nport = = 1\n", {}, "a.toml"),
    /^a\.toml:2: config: found ".+", expected TOML$/,
  );
});

test("a secret is in no problem", () => {
  assert.doesNotMatch(problemText(`${good}DigestAuthenticationProvider.superDigest=hunter2\n`), /hunter2/);
});

test("control characters of a file do not reach the terminal", () => {
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(problemText(`${good}tickTime=\\u001b[2Jx\n`), /[\u0000-\u0009\u000b-\u001f]/);
});
