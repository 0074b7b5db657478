/**
 * Stock clients: the clients that people have, unchanged, against our server.
 *
 * Debian's packages of the Java shell, the C shell, the C load generator and kazoo; each test skips,
 * with the package to install, where its client is not there. `ZOOLET_COMPAT_SERVER=apache` runs the
 * same stories against the original, which shows that they tell what it does.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { apacheClassPath, apacheMissing, findOnPath, javaFlags, startApache } from "../support/apache.ts";
import { runToEnd } from "../support/child.ts";
import { makeTempDirectory } from "../support/places.ts";
import type { RunningServer } from "../support/servers.ts";
import { projectDirectory, startZoolet, zooletMissing } from "../support/zoolet.ts";

const againstApache = process.env["ZOOLET_COMPAT_SERVER"] === "apache";
const noServer = againstApache ? apacheMissing() : zooletMissing();
const limit = { timeout: 120_000 };

const place = makeTempDirectory("stock");
let server: RunningServer | null = null;

before(async () => {
  if (noServer !== null) return;
  const start = { directory: place.path, settings: { extendedTypesEnabled: true } };
  server = againstApache ? await startApache(start) : await startZoolet(start);
}, { timeout: 60_000 });

after(async () => {
  await server?.stop();
  place.remove();
});

function address(): string {
  if (server === null) throw new Error("The server is not running");
  return `127.0.0.1:${server.port}`;
}

/** Each line of `story` has to appear in `output`, in this order; a RegExp matches a line. */
function assertTells(output: string, story: readonly (string | RegExp)[]): void {
  const lines = output.split("\n").map((line) => line.trimEnd());
  let at = 0;
  for (const part of story) {
    const found = lines.findIndex((line, index) =>
      index >= at && (typeof part === "string" ? line === part : part.test(line))
    );
    assert.ok(found >= 0, `the output does not tell ${String(part)} after line ${at}:\n${output}`);
    at = found + 1;
  }
}

/** Standard output and standard error in the order of their writing: the Java shell uses both. */
async function tellOf(command: string, args: readonly string[], input: string): Promise<string> {
  const joined = ["-c", 'exec "$@" 2>&1', "sh", command, ...args];
  const ended = await runToEnd("sh", joined, { input, timeoutMs: 60_000, cwd: place.path });
  assert.equal(ended.timedOut, false, ended.stdout);
  return ended.stdout;
}

// ------------------------------------------------------------------------------------ Java shell

const shellScript = "/usr/share/zookeeper/bin/zkCli.sh";

async function javaShell(commands: readonly string[]): Promise<string> {
  const input = [...commands, "quit", ""].join("\n");
  const args = [
    ...javaFlags,
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
    "-cp",
    apacheClassPath,
    "org.apache.zookeeper.ZooKeeperMain",
    "-server",
    address(),
  ];
  return await tellOf(findOnPath("java") ?? "java", args, input);
}

test("the Java shell creates, reads, changes and lists znodes", {
  ...limit,
  skip: noServer ?? apacheMissing() ?? false,
}, async () => {
  const output = await javaShell([
    "create /shell hello",
    "get -s /shell",
    "set -s /shell world",
    "set -v 7 /shell never",
    "create -s /shell/s- x",
    "create -s /shell/s- x",
    "create -e /shell/e x",
    "create -e -s /shell/es- x",
    "create -c /shell/container",
    "create -t 100000 /shell/ttl x",
    "create /shell/e/child x",
    "create /shell again",
    "stat /shell/e",
    "ls /shell",
    "getAllChildrenNumber /shell",
    "getEphemerals /shell",
    "sync /shell",
    "get /shell/missing",
    "delete /shell",
    "deleteall /shell",
    "stat /shell",
  ]);
  assertTells(output, [
    "Created /shell",
    "hello",
    /^cZxid = 0x/,
    "dataVersion = 0",
    "dataLength = 5",
    "dataVersion = 1",
    /^version No is not valid : \/shell/,
    "Created /shell/s-0000000000",
    "Created /shell/s-0000000001",
    "Created /shell/e",
    "Created /shell/es-0000000003",
    "Created /shell/container",
    "Created /shell/ttl",
    /^Ephemerals cannot have children: \/shell\/e\/child/,
    /^Node already exists: \/shell/,
    /^ephemeralOwner = 0x1/,
    "[container, e, es-0000000003, s-0000000000, s-0000000001, ttl]",
    "6",
    /\/shell\/e/,
    "Sync is OK",
    /^Node does not exist: \/shell\/missing/,
    /^Node not empty: \/shell/,
    /^Node does not exist: \/shell$/,
  ]);
});

test(
  "the Java shell sets ACLs, quotas and watches",
  { ...limit, skip: noServer ?? apacheMissing() ?? false },
  async () => {
    const output = await javaShell([
      "create /guarded x",
      "getAcl /guarded",
      "addauth digest ann:secret",
      "setAcl /guarded auth:ann:secret:crwda",
      "getAcl -s /guarded",
      "whoami",
      "setquota -n 10 /guarded",
      "listquota /guarded",
      "delquota /guarded",
      "addWatch -m PERSISTENT_RECURSIVE /guarded",
      "create /guarded/child x",
      "set /guarded/child y",
      "delete /guarded/child",
      "removewatches /guarded",
    ]);
    assertTells(output, [
      "Created /guarded",
      "'world,'anyone",
      ": cdrwa",
      /^'digest,'ann:/,
      "aclVersion = 1",
      /^Auth scheme: User/,
      "digest: ann",
      "ip: 127.0.0.1",
      /^Output quota for \/guarded count=10,bytes=-1/,
      /^Output stat for \/guarded count=1,bytes=1/,
      /type:NodeCreated path:\/guarded\/child/,
      /type:NodeDataChanged path:\/guarded\/child/,
      /type:NodeDeleted path:\/guarded\/child/,
    ]);
  },
);

test("zkCli.sh as it is packaged connects and works", {
  ...limit,
  skip: noServer ??
    (existsSync(shellScript) ? false : `${shellScript} is not there (apt-get install zookeeper)`),
}, async () => {
  const input = "create /script hello\nget /script\ndelete /script\nquit\n";
  assertTells(await tellOf(shellScript, ["-server", address()], input), ["Created /script", "hello"]);
});

// --------------------------------------------------------------------------------------- C clients

const cShell = "/usr/lib/zookeeper/bin/cli_mt";
const loadGenerator = "/usr/lib/zookeeper/bin/load_gen";
const noC = (file: string) =>
  noServer ?? (existsSync(file) ? null : `${file} is not there (apt-get install zookeeper-bin)`);

async function cCommand(command: string): Promise<string> {
  const ended = await runToEnd(cShell, ["-h", address(), "-c", command], {
    timeoutMs: 20_000,
    cwd: place.path,
  });
  assert.equal(ended.timedOut, false, ended.stdout + ended.stderr);
  return ended.stdout + ended.stderr;
}

test("the C shell creates, lists and reads", { ...limit, skip: noC(cShell) ?? false }, async () => {
  assertTells(await cCommand("create /cshell"), [/rc = 0$/, /name = \/cshell/]);
  assertTells(await cCommand("create /cshell"), [/rc = -110$/]);
  assertTells(await cCommand("ls /"), [/^\/: rc = 0$/, "\tcshell"]);
  assertTells(await cCommand("ls2 /cshell"), [/^\/cshell: rc = 0$/, /ephemeralOwner = 0/]);
  assertTells(await cCommand("get /cshell"), [/^\/cshell: rc = 0$/]);
  assertTells(await cCommand("get /missing"), [/^\/missing: rc = -101$/]);
  assertTells(await cCommand("delete /cshell"), [/rc = 0$/]);
});

test(
  "the C load generator goes round after round",
  { ...limit, skip: noC(loadGenerator) ?? false },
  async () => {
    // It never ends by itself: create, write, read and delete 100 znodes, again and again.
    const loaded = await runToEnd(loadGenerator, [address(), "/load", "100"], { timeoutMs: 2500 });
    const output = loaded.stdout + loaded.stderr;
    assert.ok(output.split("Starting the delete cycle for path /load").length > 3, output);
    assert.doesNotMatch(output, /ZOO_ERROR/);
    const cleaned = await runToEnd(loadGenerator, [address(), "/load", "clean"], { timeoutMs: 30_000 });
    assert.match(cleaned.stdout + cleaned.stderr, /Successfully deleted a subtree starting at \/load/);
  },
);

// ------------------------------------------------------------------------------------------ kazoo

const kazooScript = join(projectDirectory, "test", "compat", "kazoo_story.py");

async function findPythonWithKazoo(): Promise<string | null> {
  for (const python of ["/usr/bin/python3", findOnPath("python3")]) {
    if (python === null || !existsSync(python)) continue;
    const tried = await runToEnd(python, ["-c", "import kazoo"], { timeoutMs: 20_000 });
    if (tried.code === 0) return python;
  }
  return null;
}

const python = noServer === null ? await findPythonWithKazoo() : null;
const noKazoo = noServer ??
  (python === null ? "no python3 with kazoo (apt-get install python3-kazoo)" : null);

test("kazoo's client and recipes work: transactions, locks, elections, queues, watches", {
  ...limit,
  skip: noKazoo ?? false,
}, async () => {
  const ended = await runToEnd(python ?? "python3", [kazooScript, address()], {
    timeoutMs: 90_000,
    cwd: place.path,
  });
  assert.equal(ended.timedOut, false, ended.stdout + ended.stderr);
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  assert.match(ended.stdout, /^all told$/m);
});
