/**
 * Sessions: they belong to the ensemble and not to the member that made them.
 */
import assert from "node:assert/strict";
import type { Client } from "../../../src/client/client.ts";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { CreateMode, OpCode } from "../../../src/core/wire/opcodes.ts";
import { createBody, pathBody, setDataBody } from "../../support/bodies.ts";
import { withEnsemble } from "../../support/ensemble.ts";
import { clientOf, compareAll, sessionsOf, untilSessionsAgree } from "../../support/ensemble_compare.ts";
import type { Make, Member } from "../../support/member.ts";
import { sleep } from "../../support/places.ts";
import { WireSession } from "../../support/wire_session.ts";
import { scenario } from "./cast.ts";

function sessionText(id: bigint): string {
  return id.toString(16).padStart(16, "0");
}

async function untilGone(client: Client, path: string, ms: number): Promise<void> {
  const until = performance.now() + ms;
  while (await client.exists(path) !== null) {
    if (performance.now() > until) assert.fail(`${path} is still there after ${ms} ms`);
    await sleep(50);
    await client.sync("/");
  }
}

scenario(
  "a session moves between members and back, and its old connection writes no more",
  {},
  async ({ java, ours }) => {
    await withEnsemble([{ make: java }, { make: ours }, { make: java }], {}, async (ensemble) => {
      ensemble.start(1, 2, 3);
      await ensemble.settled();
      const [one, two] = [ensemble.of(1), ensemble.of(2)];
      const first = await WireSession.connect(one.ports.client, { timeoutMs: 20_000 });
      const as = { sessionId: first.id, password: first.connectReply.password, timeoutMs: 20_000 };
      const made = await first.ask(OpCode.Create, createBody("/moved", null));
      assert.equal(made.err, 0);

      const second = await WireSession.connect(two.ports.client, as);
      assert.equal(second.id, first.id);
      assert.equal((await second.ask(OpCode.SetData, setDataBody("/moved", bytesOf("2"), -1))).err, 0);
      // The old connection is still open on the other member, which cannot know; its writes are refused.
      const late = await first.ask(OpCode.SetData, setDataBody("/moved", bytesOf("1"), -1)).catch(() => null);
      assert.ok(late === null || late.err === ErrorCode.SessionMoved, `err ${late?.err}`);
      first.drop();

      const third = await WireSession.connect(one.ports.client, as);
      assert.equal((await third.ask(OpCode.SetData, setDataBody("/moved", bytesOf("3"), -1))).err, 0);
      const stale = await second.ask(OpCode.SetData, setDataBody("/moved", bytesOf("4"), -1)).catch(() =>
        null
      );
      assert.ok(stale === null || stale.err === ErrorCode.SessionMoved, `err ${stale?.err}`);
      second.drop();
      assert.match((await compareAll(ensemble)).get("/moved") ?? "", /^33 /);
      await third.close();
      await untilSessionsAgree(ensemble.members);
    });
  },
);

scenario("a wrong password and a session that is over are refused", {}, async ({ java, ours }) => {
  await withEnsemble([{ make: ours }, { make: java }], {}, async (ensemble) => {
    ensemble.start(1, 2);
    await ensemble.settled();
    for (const [here, there] of [[1, 2], [2, 1]]) {
      const near = ensemble.of(here as number).ports.client;
      const far = ensemble.of(there as number).ports.client;
      const live = await WireSession.connect(near, { timeoutMs: 20_000 });
      const closed = await WireSession.connect(near, { timeoutMs: 20_000 });
      await closed.close();
      const wrong = { sessionId: live.id, password: new Uint8Array(16).fill(3) };
      const gone = { sessionId: closed.id, password: closed.connectReply.password };
      await assert.rejects(
        WireSession.connect(far, wrong),
        /refused|closed/,
        `member ${there}, wrong password`,
      );
      for (const port of [near, far]) {
        await assert.rejects(WireSession.connect(port, gone), /refused|closed/, `port ${port}, over`);
      }
      assert.equal((await live.ask(OpCode.Sync, pathBody("/"))).err, 0);
      await live.close();
    }
  });
});

async function pingsAndSilence(leads: Make, learns: Make): Promise<void> {
  const specs = [{ make: learns }, { make: leads }, { make: learns, observer: true }];
  const settings = { tickTime: 500, minSessionTimeout: 1000 };
  await withEnsemble(specs, { settings }, async (ensemble) => {
    ensemble.start(1, 2, 3);
    await ensemble.settled();
    const watcher = await clientOf(ensemble.of(2));
    const clients: Client[] = [];
    for (const member of [ensemble.of(1), ensemble.of(3)]) {
      const client = await clientOf(member, { timeoutMs: 2000 });
      await client.create(`/e${member.sid}`, null, { mode: CreateMode.Ephemeral });
      clients.push(client);
    }
    // Nothing but pings, for a few timeouts.
    await sleep(5000);
    for (const client of clients) assert.equal(client.state, "connected");
    for (const sid of [1, 3]) assert.notEqual(await watcher.exists(`/e${sid}`), null);
    for (const client of clients) client.abandon();
    for (const sid of [1, 3]) await untilGone(watcher, `/e${sid}`, 6000);
    await watcher.close();
    const dump = await compareAll(ensemble);
    assert.ok(!dump.has("/e1") && !dump.has("/e3"));
    const left = await untilSessionsAgree(ensemble.members);
    for (const client of clients) assert.ok(!left.includes(sessionText(client.sessionId)));
  });
}

scenario(
  "a session is kept alive through our follower's pings and expires when it is silent",
  {},
  ({ java, ours }) => pingsAndSilence(java, ours),
);
scenario(
  "a session is kept alive through their follower's pings and expires when it is silent",
  { long: true },
  ({ java, ours }) => pingsAndSilence(ours, java),
);

scenario("sessions and watches survive the death of any member", { long: true }, async ({ java, ours }) => {
  await withEnsemble([{ make: java }, { make: ours }, { make: java }], {}, async (ensemble) => {
    ensemble.start(1, 2, 3);
    await ensemble.settled();
    const events: string[] = [];
    const client = await clientOf(ensemble.members, { timeoutMs: 15_000 });
    const { sessionId } = client;
    await client.create("/watched", null);
    await client.create("/mine", null, { mode: CreateMode.Ephemeral });
    const other = await clientOf(ensemble.members, { timeoutMs: 15_000 });
    for (let round = 0; round < 6; round++) {
      await retried(() => client.getData("/watched", { watch: (event) => events.push(event.path) }));
      const victim = memberOf(ensemble.members, client.server);
      await victim.kill();
      await retried(() => other.setData("/watched", bytesOf(String(round))));
      const until = performance.now() + 10_000;
      while (events.length <= round && performance.now() < until) await sleep(20);
      assert.equal(events.length, round + 1, `the watch of round ${round}`);
      victim.start();
      await ensemble.settled();
    }
    assert.equal(client.sessionId, sessionId);
    for (const member of ensemble.members) {
      assert.ok((await sessionsOf(member)).includes(sessionText(sessionId)), member.name);
    }
    assert.ok((await compareAll(ensemble)).has("/mine"));
    await Promise.all([client.close(), other.close()]);
    assert.ok(!(await compareAll(ensemble)).has("/mine"));
  });
});

function memberOf(members: readonly Member[], server: string | null): Member {
  const member = members.find((candidate) => candidate.server === server);
  assert.ok(member !== undefined, `nobody is ${server}`);
  return member;
}

async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 0;; tries++) {
    try {
      return await call();
    } catch (error) {
      if (tries >= 50) throw error;
      await sleep(100);
    }
  }
}
