/**
 * A flipped bit in the log of a server that was killed, with real processes: a single server refuses to
 * start, a member copies everything from the others, and three that all lost something serve nobody.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "../../src/client/client.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { withEnsemble } from "../support/ensemble.ts";
import { compareAll } from "../support/ensemble_compare.ts";
import { Load } from "../support/ensemble_load.ts";
import type { Member } from "../support/member.ts";
import { sleep } from "../support/places.ts";
import { withDirectory } from "../support/runtime_storage.ts";
import { runtimeUnderTest, spawnZoolet, startZoolet, zooletMissing } from "../support/zoolet.ts";
import { zooletMake } from "../support/zoolet_member.ts";

const skip = zooletMissing() ?? false;

/** In the first page that is in the WAL: SQLite then takes nothing of it. */
function spoilLog(dataDirectory: string): void {
  const path = join(dataDirectory, "log.db-wal");
  const bytes = readFileSync(path);
  bytes[32 + 24 + 100] = (bytes[32 + 24 + 100] as number) ^ 4;
  writeFileSync(path, bytes);
}

/** The same; and where a checkpoint has moved all of it to the file, that is spoiled. */
function spoilAll(dataDirectory: string): void {
  spoilLog(dataDirectory);
  const path = join(dataDirectory, "log.db");
  const bytes = readFileSync(path);
  for (let at = 4096 + 100; at < bytes.length; at += 64) bytes[at] = (bytes[at] as number) ^ 4;
  writeFileSync(path, bytes);
}

async function untilLogged(member: Member, pattern: RegExp): Promise<void> {
  for (let i = 0; i < 200 && !pattern.test(member.child?.stderr ?? ""); i++) await sleep(50);
  assert.match(member.child?.stderr ?? "", pattern);
}

test("members that lost what they acknowledged: one copies from the others, three serve nobody", {
  skip,
  timeout: 120_000,
}, async () => {
  const make = zooletMake(runtimeUnderTest());
  const specs = [make, make, make].map((one) => ({ make: one }));
  await withEnsemble(specs, { settings: { tickTime: 500 } }, async (ensemble) => {
    const { members } = ensemble;
    ensemble.start(1, 2, 3);
    const leader = await ensemble.settled(members);
    const load = await Load.start(members, { clients: 3 });
    await load.more(60);
    // The leader, and so also the member that would win the next election.
    await leader.kill();
    spoilLog(leader.dataDirectory);
    leader.start();
    await untilLogged(leader, /acknowledged txns? (is|are) missing.*history_lost/);
    await ensemble.settled(members);
    await load.more(20);
    await load.stop();
    load.verify(await compareAll(ensemble));

    for (const member of members) await member.kill();
    for (const member of members) spoilAll(member.dataDirectory);
    ensemble.start(1, 2, 3);
    for (const member of members) await untilLogged(member, /takes no part in elections.*history_lost/);
    await sleep(3000);
    const roles = await ensemble.roles();
    assert.ok(roles.every((role) => role !== "leader" && role !== "follower"), roles.join());
  });
});

test("a single server that lost what it acknowledged refuses to start, and says what to do", {
  skip,
  timeout: 60_000,
}, async () => {
  await withDirectory(async (directory) => {
    const server = await startZoolet({ directory });
    const client = connect(await currentRuntime(), {
      servers: `127.0.0.1:${server.port}`,
      timeoutMs: 20_000,
    });
    for (let i = 0; i < 20; i++) await client.create(`/n${i}`, new Uint8Array(10));
    server.child.kill("SIGKILL");
    await client.close();
    await server.child.exited(5000);
    spoilLog(join(directory, "data"));
    const again = spawnZoolet({ directory });
    assert.ok(await again.exited(20_000));
    assert.equal(again.exit?.code, 1);
    assert.match(
      again.stderr,
      /log\.db: it ends at zxid 0x\w+, and log\.mark says that zxid 0x\w+ was durable/,
    );
    assert.match(
      again.stderr,
      /\d+ acknowledged txns are missing\. Restore .* remove log\.mark and start again/,
    );
  });
});
