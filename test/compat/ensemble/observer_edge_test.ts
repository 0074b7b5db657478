/**
 * Edge replicas: observers of ours that know the voters' addresses alone, before ensembles that know
 * nothing of them.
 */
import assert from "node:assert/strict";
import type { Client } from "../../../src/client/client.ts";
import { bytesOf, textOf } from "../../../src/core/base/bytes.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { CreateMode, OpCode } from "../../../src/core/wire/opcodes.ts";
import { createBody, setDataBody } from "../../support/bodies.ts";
import { type EdgeChoice, EdgeReplica } from "../../support/edge_replica.ts";
import { type Ensemble, pickPort, withEnsemble } from "../../support/ensemble.ts";
import { clientOf, differences, dumpTree } from "../../support/ensemble_compare.ts";
import type { Make } from "../../support/member.ts";
import { makeTempDirectory, sleep } from "../../support/places.ts";
import { runtimeUnderTest } from "../../support/zoolet.ts";
import { WireSession } from "../../support/wire_session.ts";
import { isLong, scenario } from "./cast.ts";

const ephemeral = { mode: CreateMode.Ephemeral };

/** Starts `count` edges and ends them. */
async function withEdges(
  ensemble: Ensemble,
  count: number,
  story: (edges: readonly EdgeReplica[]) => Promise<void>,
  choice: EdgeChoice = {},
): Promise<void> {
  const place = makeTempDirectory("edge");
  const edges: EdgeReplica[] = [];
  try {
    for (let i = 0; i < count; i++) {
      edges.push(await EdgeReplica.beside(ensemble, runtimeUnderTest(), place.path, choice));
    }
    await story(edges);
  } catch (error) {
    const told = edges.map((edge) => `----- ${edge.name} at ${edge.server}\n${edge.output.slice(-3000)}`);
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${told.join("\n")}`, {
      cause: error,
    });
  } finally {
    for (const edge of edges) await edge.kill();
    place.remove();
  }
}

async function fill(client: Client, parent: string, count: number): Promise<void> {
  await client.create(parent, bytesOf("parent"));
  for (let at = 0; at < count; at += 500) {
    const portion = Array.from({ length: Math.min(500, count - at) }, (_, i) => `${parent}/n${at + i}`);
    await Promise.all(portion.map((path) => client.create(path, bytesOf(path))));
  }
}

/** Both hold the same; the configuration's znode is written at home, by each. */
async function assertSame(ensemble: Ensemble, edge: EdgeReplica, leader: number): Promise<number> {
  const [here, there] = [await dumpTree(edge), await dumpTree(ensemble.of(leader))];
  here.delete("/zookeeper/config");
  there.delete("/zookeeper/config");
  assert.deepEqual(differences("edge", here, "leader", there), []);
  return here.size;
}

async function untilWritten(client: Client, path: string): Promise<void> {
  while (true) {
    try {
      await client.setData(path, bytesOf("again"));
      return;
    } catch {
      // The connection was lost on the way; the client is on the way back, and the test has its limit.
      await sleep(5);
    }
  }
}

async function edgeStory(makes: Make): Promise<void> {
  const specs = [{ make: makes }, { make: makes }, { make: makes }];
  await withEnsemble(specs, { settings: { tickTime: 500 } }, async (ensemble) => {
    await ensemble.startLedBy(3);
    const writer = await clientOf(ensemble.of(1));
    await fill(writer, "/many", isLong ? 10_000 : 1000);
    await withEdges(ensemble, 1, async ([edge]) => {
      assert.ok(edge !== undefined);
      const startedMs = performance.now();
      edge.start();
      const client = await clientOf(edge, { timeoutMs: 8000 });
      await client.create("/first", bytesOf("x"));
      const firstMs = performance.now() - startedMs;
      assert.equal(await edge.role(), "observer");
      assert.ok(await assertSame(ensemble, edge, 3) > 1000);
      await client.create("/mine", bytesOf("e"), ephemeral);
      const { sessionId } = client;

      // Its leader dies: the session goes on with the next one.
      const lostMs = performance.now();
      await ensemble.of(3).kill();
      await untilWritten(client, "/first");
      const failedOverMs = performance.now() - lostMs;
      assert.equal(client.sessionId, sessionId);
      assert.notEqual(await client.exists("/mine"), null);

      // It dies itself, and begins with nothing.
      const diedMs = performance.now();
      await edge.kill();
      edge.start();
      await untilWritten(client, "/first");
      const restartedMs = performance.now() - diedMs;
      assert.equal(client.sessionId, sessionId);
      assert.notEqual(await client.exists("/mine"), null);
      ensemble.start(3);
      const leader = await ensemble.settled();
      await writer.create("/behind", bytesOf("b"));
      await client.sync("/");
      assert.ok(
        await client.exists("/behind") !== null,
        "what another wrote before a sync is seen behind it",
      );
      await assertSame(ensemble, edge, leader.sid);
      await client.close();
      await writer.sync("/");
      assert.equal(await writer.exists("/mine"), null);
      if (!isLong) return;
      console.log(
        `first write after ${firstMs.toFixed(0)} ms, leader lost for ${failedOverMs.toFixed(0)} ms, ` +
          `killed and back after ${restartedMs.toFixed(0)} ms`,
      );
    });
    await writer.close();
  });
}

scenario(
  "an edge replica that knows addresses alone serves, outlives its leader and begins anew",
  { timeoutMs: 60_000 },
  ({ ours }) => edgeStory(ours),
);
scenario(
  "an edge replica before an ensemble of the original serves, outlives its leader and begins anew",
  { timeoutMs: 60_000 },
  ({ java }) => edgeStory(java),
);

/** A session moves to another edge, and who held it before writes for it no more. */
async function moves(edges: readonly EdgeReplica[]): Promise<void> {
  const [here, there] = edges.map(({ ports }) => ports.client) as [number, number];
  const first = await WireSession.connect(here, { timeoutMs: 20_000 });
  const as = { sessionId: first.id, password: first.connectReply.password, timeoutMs: 20_000 };
  const second = await WireSession.connect(there, as);
  assert.equal(second.id, first.id);
  assert.equal((await second.ask(OpCode.Create, createBody("/moved", bytesOf("2")))).err, 0);
  const late = await first.ask(OpCode.SetData, setDataBody("/moved", bytesOf("1"), -1)).catch(() => null);
  assert.ok(late === null || late.err === ErrorCode.SessionMoved, `err ${late?.err}`);
  first.drop();
  await second.close();
  await assert.rejects(WireSession.connect(here, as), /refused/, "what is over is over on every edge");
}

async function edgesTogether(makes: Make, count: number): Promise<void> {
  const specs = [{ make: makes }, { make: makes }, { make: makes }];
  await withEnsemble(specs, { settings: { tickTime: 500 } }, async (ensemble) => {
    await ensemble.startLedBy(3);
    await withEdges(ensemble, count, async (edges) => {
      for (const edge of edges) edge.start();
      const clients = await Promise.all(edges.map((edge) => clientOf(edge)));
      await clients[0]?.create("/from");
      await Promise.all(
        clients.map((client, i) => client.create(`/from/${i}`, null, ephemeral)),
      );
      assert.equal(new Set(clients.map((client) => client.sessionId)).size, count);
      for (const client of clients) {
        await client.sync("/");
        assert.equal((await client.getChildren("/from")).children.length, count);
      }
      await moves(edges);
      await Promise.all(clients.map((client) => client.close()));
    });
  });
}

scenario(
  "edge replicas stand beside each other",
  { long: true, timeoutMs: 60_000 },
  ({ ours }) => edgesTogether(ours, 3),
);
scenario(
  "edge replicas stand beside each other before the original",
  { long: true, timeoutMs: 60_000 },
  ({ java }) => edgesTogether(java, 5),
);

/** What one wrote another sees behind a sync, however they hang together. */
async function seenBehindSync(clients: readonly Client[], rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const writer = clients[round % clients.length] as Client;
    await writer.setData("/from", bytesOf(`${round}`));
    await Promise.all(clients.map(async (client) => {
      const [, { data }] = await Promise.all([client.sync("/"), client.getData("/from")]);
      assert.equal(textOf(data ?? bytesOf("")), `${round}`);
    }));
  }
}

/** Observers at each member, as it counts them. */
async function observersOf(ensemble: Ensemble): Promise<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>();
  for (const member of ensemble.running) {
    counts.set(member.sid, Number((await member.metrics()).get("synced_observers")));
  }
  return counts;
}

async function behindFollowers(makes: Make): Promise<void> {
  const observerMasterPort = await pickPort();
  const specs = [{ make: makes }, { make: makes }, { make: makes }];
  const options = { ownAddresses: true, settings: { observerMasterPort, tickTime: 500 } };
  await withEnsemble(specs, options, async (ensemble) => {
    await ensemble.startLedBy(3);
    await withEdges(ensemble, 3, async (edges) => {
      for (const edge of edges) edge.start();
      const clients = await Promise.all(edges.map((edge) => clientOf(edge, { timeoutMs: 10_000 })));
      const ids = clients.map((client) => client.sessionId);
      const counts = await observersOf(ensemble);
      assert.equal(counts.get(3), 0, "observers of the leader");
      assert.equal((counts.get(1) ?? 0) + (counts.get(2) ?? 0), 3, "observers of its followers");

      await clients[0]?.create("/from");
      await Promise.all(clients.map((client, i) => client.create(`/from/${i}`, null, ephemeral)));
      for (const client of clients) {
        await client.sync("/");
        assert.equal((await client.getChildren("/from")).children.length, 3);
      }

      await seenBehindSync(clients, 40);

      // One follower goes, with all that hung on it, and then the leader.
      for (const sid of [1, 3]) {
        await ensemble.of(sid).kill();
        await Promise.all(clients.map((client) => untilWritten(client, "/from")));
        ensemble.start(sid);
        await ensemble.settled();
      }
      assert.deepEqual(clients.map((client) => client.sessionId), ids);
      const leader = await ensemble.settled();
      assert.equal((await observersOf(ensemble)).get(leader.sid), 0);
      for (const client of clients) {
        await client.sync("/");
        assert.equal((await client.getChildren("/from")).children.length, 3);
      }
      for (const edge of edges) await assertSame(ensemble, edge, leader.sid);
      await Promise.all(clients.map((client) => client.close()));
    }, { ownAddresses: true, observerMasterPort });
  });
}

scenario(
  "edge replicas hang on followers, and find another one",
  { timeoutMs: 60_000 },
  ({ ours }) => behindFollowers(ours),
);
scenario(
  "edge replicas hang on followers of the original, and find another one",
  { long: true, timeoutMs: 90_000 },
  ({ java }) => behindFollowers(java),
);
