/**
 * `zoolet dev` with several peers, as a process of its own: one message when all serve, a peer that is
 * killed comes back, and nothing is left behind whatever ends it.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Child } from "../support/child.ts";
import { freePort, makeTempDirectory, sleep } from "../support/places.ts";
import { askText } from "../support/wire_connection.ts";
import { projectDirectory, runtimeCommand, runtimeUnderTest } from "../support/zoolet.ts";

const readyMs = 30_000;
const endMs = 20_000;

interface Dev {
  readonly child: Child;
  readonly ports: readonly number[];
  readonly pids: readonly number[];
}

function spawnDev(directory: string, ...more: string[]): Child {
  const { command, args } = runtimeCommand(
    runtimeUnderTest(),
    join(projectDirectory, "src", "main.ts"),
  );
  const flags = ["--data", directory, "--admin-port", "0", "--sync", "off", "--log-level", "warn"];
  return new Child(command, [...args, "dev", ...flags, ...more]);
}

async function ready(child: Child): Promise<Dev> {
  const [line] = await child.untilOutput(
    /^zoolet ready mode=ensemble .*\n([^]*)^Connect with: .*$/m,
    readyMs,
  );
  const ports = [...(line.match(/ client=(\S+)/)?.[1] ?? "").matchAll(/:(\d+)/g)].map((match) =>
    Number(match[1])
  );
  const pids = [...line.matchAll(/^ {2}peer \d .* pid (\d+)$/gm)].map((match) => Number(match[1]));
  return { child, ports, pids };
}

async function untilTold(child: Child, pattern: RegExp, ms: number): Promise<void> {
  const until = performance.now() + ms;
  while (!pattern.test(child.stderr)) {
    if (performance.now() > until) assert.fail(`${pattern} was never told: ${child.describe()}`);
    await sleep(20);
  }
}

/** Nobody listens on any of them any more. */
async function untilClosed(ports: readonly number[], ms: number): Promise<void> {
  const until = performance.now() + ms;
  for (const port of ports) {
    while (await isListening(port)) {
      if (performance.now() > until) assert.fail(`port ${port} is still open`);
      await sleep(50);
    }
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

describe("zoolet dev", () => {
  const place = makeTempDirectory("dev");
  let dev: Dev;
  before(async () => {
    dev = await ready(spawnDev(join(place.path, "a"), "--port", "0"));
  });
  after(async () => {
    dev?.child.kill();
    if (dev !== undefined) await untilClosed(dev.ports, endMs);
    place.remove();
  });

  it("says once that three peers serve, and they do", async () => {
    assert.equal(new Set(dev.ports).size, 3);
    assert.equal(new Set(dev.pids).size, 3);
    for (const port of dev.ports) assert.match(await askText(port, "srvr"), /^Zookeeper version/);
    assert.equal(dev.child.stdout.match(/zoolet ready/g)?.length, 1);
    for (const n of [1, 2, 3]) {
      assert.equal(readFileSync(join(place.path, "a", `peer-${n}`, "myid"), "utf8"), `${n}\n`);
    }
  });

  it("has three voters, of which one leads, and an observer that knows nothing but their addresses", async () => {
    const modes = await Promise.all(dev.ports.map((port) => askText(port, "srvr")));
    const roles = modes.map((text) => /^Mode: (.*)$/m.exec(text)?.[1]).sort();
    assert.deepEqual(roles, ["follower", "follower", "leader"]);

    const members = [
      ...readFileSync(join(place.path, "a", "peer-1", "zoolet.toml"), "utf8")
        .matchAll(/^\d = (".*")$/gm),
    ].map((match) => match[1]);
    const file = join(place.path, "observer.toml");
    writeFileSync(
      file,
      `[ensemble]\nobserve = [${
        members.join(", ")
      }]\n[client]\nport = 0\n[admin]\nenabled = false\n[words]\nallow = ["*"]\n`,
    );
    const { command, args } = runtimeCommand(runtimeUnderTest(), join(projectDirectory, "src", "main.ts"));
    const child = new Child(command, [...args, "server", file]);
    try {
      const ready = await child.untilOutput(
        /^zoolet ready mode=observer client=\S*:(\d+) .* data=memory .*$/m,
        readyMs,
      );
      assert.match(await askText(Number(ready[1]), "srvr"), /^Mode: observer$/m);
    } finally {
      await child.stop();
    }
  });

  it("starts a peer that was killed again, and says so", async () => {
    process.kill(dev.pids[1] as number, "SIGKILL");
    await untilTold(
      dev.child,
      /peer 2 ended \(signal SIGKILL\): the others serve on; starting it again in 1 s/,
      endMs,
    );
    const until = performance.now() + readyMs;
    while (!await isListening(dev.ports[1] as number)) {
      assert.ok(performance.now() < until, dev.child.describe());
      await sleep(50);
    }
  });

  it("takes its peers along when it is killed itself", async () => {
    dev.child.kill("SIGKILL");
    await untilClosed(dev.ports, endMs);
  });

  it("stops its peers in order, and has the same ports for members at its next start", async () => {
    // All ports of the run in a row, below those that the system gives to clients, and apart from those
    // of another run of this test.
    const port = 14_000 + 12 * (process.pid % 1500);
    const config = join(place.path, "b", "peer-1", "zoolet.toml");
    const seen: string[] = [];
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const { child, ports } = await ready(
        spawnDev(join(place.path, "b"), "--port", String(port), "--no-restart"),
      );
      try {
        assert.deepEqual(ports, [port, port + 1, port + 2]);
        seen.push(readFileSync(config, "utf8"));
        const used = [...seen.join("").matchAll(/127\.0\.0\.1:(\d+):(\d+)/g)]
          .flatMap(([, quorum, election]) => [Number(quorum), Number(election)]);
        for (const one of used) assert.ok(one >= port + 3 && one < port + 20, `${one} is far from ${port}`);
        assert.match(child.stdout, new RegExp(`^Ports: ${port}-`, "m"));
        // By id: after Deno's own `kill` the exit code is not told.
        process.kill(child.pid, signal);
        assert.ok(await child.exited(endMs), child.describe());
        assert.equal(child.exit?.code, 0, child.describe());
        await untilClosed(ports, endMs);
      } finally {
        child.kill();
      }
    }
    assert.equal(seen[0]?.replace(/^port.*$/gm, ""), seen[1]?.replace(/^port.*$/gm, ""));
    assert.match(seen[0] ?? "", new RegExp(`1 = "127.0.0.1:\\d+:\\d+"`));
    assert.equal(existsSync(join(place.path, "b", "tree.db")), false);
  });

  it("leaves a peer down when it is told to", async () => {
    const { child, pids, ports } = await ready(
      spawnDev(join(place.path, "c"), "--port", "0", "--no-restart"),
    );
    try {
      process.kill(pids[2] as number, "SIGKILL");
      await untilTold(
        child,
        /peer 3 ended \(signal SIGKILL\): the others serve on; start it again with: \.\/scripts\/zoolet server \S+zoolet\.toml/,
        endMs,
      );
      await sleep(1500);
      assert.equal(await isListening(ports[2] as number), false);
    } finally {
      await child.stop();
    }
  });

  it("says what is in its way and ends when a port is taken", async () => {
    const port = await freePort();
    const taken = createServer().listen(port, "127.0.0.1");
    const child = spawnDev(join(place.path, "d"), "--port", String(port));
    try {
      assert.ok(await child.exited(endMs), child.describe());
      assert.equal(child.exit?.code, 1);
      assert.match(
        child.stderr,
        new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken; choose others with --port`),
      );
    } finally {
      child.kill();
      taken.close();
    }
  });
});
