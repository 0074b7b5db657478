/**
 * The command line of zoolet.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as commander from "commander";
import {
  parseCommandLine,
  type ParsedCommand,
  parseWithCommander,
  plainCommand,
} from "../../src/cli/args.ts";

const log = { format: null, level: null };
const cli = {
  servers: "localhost:2181",
  timeoutMs: 30_000,
  readOnly: false,
  waitForConnection: false,
  clientConfiguration: null,
  command: [] as string[],
};
const server = {
  kind: "server",
  configPath: null,
  check: false,
  printEffective: false,
  endWithInput: false,
  log,
} as const;
const dev = {
  kind: "dev",
  port: null,
  dataDir: null,
  peers: 3,
  restart: true,
  adminPort: null,
  sync: null,
  log,
} as const;

const cases: [string, ParsedCommand][] = [
  ["server", server],
  ["server zoo.cfg", { ...server, configPath: "zoo.cfg" }],
  ["server --check zoo.cfg", { ...server, configPath: "zoo.cfg", check: true }],
  ["server zoo.cfg --print-effective", { ...server, configPath: "zoo.cfg", printEffective: true }],
  ["server zoo.cfg --end-with-input", { ...server, configPath: "zoo.cfg", endWithInput: true }],
  ["server zoo.cfg --log-format json", {
    ...server,
    configPath: "zoo.cfg",
    log: { format: "json", level: null },
  }],
  ["--log-level debug server", { ...server, log: { format: null, level: "debug" } }],
  ["dev", dev],
  ["dev --no-restart", { ...dev, restart: false }],
  ["dev --port 0 --admin-port 8081 --data d --sync off --peers 1", {
    ...dev,
    port: 0,
    peers: 1,
    adminPort: 8081,
    dataDir: "d",
    sync: "off",
  }],
  ["cli", { kind: "cli", options: cli }],
  ["cli -server h:1,i:2/c -timeout 50 -r -waitforconnection ls -s /", {
    kind: "cli",
    options: {
      ...cli,
      servers: "h:1,i:2/c",
      timeoutMs: 50,
      readOnly: true,
      waitForConnection: true,
      command: ["ls", "-s", "/"],
    },
  }],
  ["cli --server h:1 get -server /x", {
    kind: "cli",
    options: { ...cli, servers: "h:1", command: ["get", "-server", "/x"] },
  }],
  ["cli -server=h:1 set /a -5", {
    kind: "cli",
    options: { ...cli, servers: "h:1", command: ["set", "/a", "-5"] },
  }],
  ["cli -client-configuration f help", {
    kind: "cli",
    options: { ...cli, clientConfiguration: "f", command: ["help"] },
  }],
];

describe("the command line", () => {
  for (const [line, expected] of cases) {
    it(`"${line}" is what it says`, async () => {
      assert.deepEqual(await parseCommandLine(line.split(" ")), expected);
    });
  }

  it("is read alike by the short way and by commander, wherever the short way is taken", () => {
    let plain = 0;
    for (const [line] of cases) {
      const words = line.split(" ");
      const short = plainCommand(words);
      if (short === null) continue;
      plain++;
      assert.deepEqual(short, parseWithCommander(words, commander));
    }
    assert.equal(plain, 4);
    for (
      const line of [
        "server -x",
        "server --help",
        "server a b",
        "server --end-with-input a",
        "dev x",
        "cli",
        "",
        "--version",
      ]
    ) {
      assert.equal(plainCommand(line.split(" ")), null, line);
    }
  });

  it("comes back as help where there is nothing to do or help is asked for", async () => {
    for (
      const words of [[], ["--help"], ["-h"], ["help"], ["cli", "--help"], ["cli", "-help"], ["help", "dev"]]
    ) {
      const parsed = await parseCommandLine(words);
      assert.equal(parsed.kind, "help", words.join(" "));
      assert.match(parsed.kind === "help" ? parsed.text : "", /^Usage: zoolet /);
    }
    assert.equal((await parseCommandLine(["--version"])).kind, "version");
  });

  const mistakes: [string, RegExp, number][] = [
    ["frob", /unknown command 'frob'/, 2],
    ["server a b", /too many arguments/, 2],
    ["server --chek a", /unknown option '--chek'[^]*zoolet server --help/, 2],
    ["dev --peers 10", /expected a whole number from 1 to 9/, 2],
    ["dev --port x", /expected a whole number from 0 to 65535/, 2],
    ["dev --sync never", /Allowed choices are full, off/, 2],
    ["cli -server", /argument missing/, 1],
    ["cli -timeout soon ls /", /expected a whole number/, 1],
    ["cli -z ls /", /unknown option '-z'[^]*zoolet cli --help/, 1],
    ["--log-level loud server", /Allowed choices are debug/, 2],
  ];
  for (const [line, message, exitCode] of mistakes) {
    it(`"${line}" is a mistake, with what to do about it`, async () => {
      const parsed = await parseCommandLine(line.split(" "));
      assert.ok(parsed.kind === "error", JSON.stringify(parsed));
      assert.match(parsed.message, message);
      assert.match(parsed.message, /--help/);
      assert.equal(parsed.exitCode, exitCode);
    });
  }
});
