/**
 * `zoolet cli` as a process of its own: streams, exit codes, and an end that waits for nothing.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../support/child.ts";
import { makeTempDirectory } from "../support/places.ts";
import type { RunningServer } from "../support/servers.ts";
import { projectDirectory, runtimeCommand, runtimeUnderTest, startZoolet } from "../support/zoolet.ts";

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function zoolet(args: readonly string[], input = ""): Promise<Ended> {
  const { command, args: before } = runtimeCommand(
    runtimeUnderTest(),
    join(projectDirectory, "src", "main.ts"),
  );
  const child = new Child(command, [...before, ...args]);
  child.process.stdin?.end(input);
  const streams = [child.process.stdout, child.process.stderr].map((stream) =>
    new Promise<void>((resolve) => stream === null ? resolve() : stream.once("close", () => resolve()))
  );
  if (!await child.exited(15_000)) {
    child.kill();
    assert.fail(`zoolet ${args.join(" ")} did not end: ${child.describe()}`);
  }
  await Promise.all(streams);
  return { code: child.exit?.code ?? null, out: child.stdout, err: child.stderr };
}

describe("zoolet cli as a process", () => {
  const place = makeTempDirectory("cli");
  let server: RunningServer;
  let at: readonly string[];
  before(async () => {
    server = await startZoolet({ directory: place.path });
    at = ["cli", "-server", `127.0.0.1:${server.port}`];
  });
  after(async () => {
    await server?.stop();
    place.remove();
  });

  it("runs no part of a value as a command, and keeps its blanks", async () => {
    const value = "first\u2028deleteall /victim\u2029\u3000last\u00a0";
    const script = `create /victim\ncreate /kept\u00a0 "${value}"\nget /kept\u00a0\nget /victim\n`;
    const { code, out } = await zoolet(at, script);
    assert.deepEqual([code, out], [0, `${value}\nnull\n`]);
  });

  it("runs one command: data on one stream, what is said about it on the other", async () => {
    assert.deepEqual(await zoolet([...at, "create", "/a", "two words"]), {
      code: 0,
      out: "",
      err: "Created /a\n",
    });
    assert.deepEqual(await zoolet([...at, "get", "/a"]), { code: 0, out: "two words\n", err: "" });
    assert.deepEqual(await zoolet([...at, "get", "/b"]), {
      code: 1,
      out: "",
      err: "Node does not exist: /b\n",
    });
    assert.equal((await zoolet([...at, "frob"])).code, 127);
  });

  it("runs a script from standard input, however many lines come at once", async () => {
    const count = 300;
    const script = ["create /many"];
    for (let i = 0; i < count; i++) script.push(`create /many/n${i} value-${i}`);
    const { code, out } = await zoolet(
      at,
      [...script, "ls -R /many", "getAllChildrenNumber /many", "get /nope"].join("\n"),
    );
    assert.equal(code, 1);
    const lines = out.trimEnd().split("\n");
    assert.equal(lines.length, count + 2);
    assert.equal(lines.at(-1), String(count));
    assert.equal((await zoolet(at, "deleteall /many\nls /many\nquit\n")).code, 1);
  });

  it("tells hints with the errors of a configuration", async () => {
    const file = join(place.path, "zoo.cfg");
    writeFileSync(file, "DataDir = /x\n");
    const { code, err } = await zoolet(["server", file]);
    assert.equal(code, 2);
    assert.match(err, /did you mean dataDir\?\n[^]*dataDir: found nothing[^]*\nInvalid config/);
  });

  it("ends at a mistake on its own command line with a hint", async () => {
    const { code, err } = await zoolet(["cli", "-z", "ls", "/"]);
    assert.equal(code, 1);
    assert.match(err, /unknown option '-z'/);
    assert.equal((await zoolet(["frob"])).code, 2);
    assert.match((await zoolet(["--version"])).out, /^zoolet \d/);
  });
});
