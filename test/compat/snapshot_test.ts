/**
 * The SNAP stream of a real leader, read while the leader goes on changing. quorum-protocol 3.3, 4.6.
 *
 * Two participants of the original and, in the place of an observer, a socket of this test. Reading
 * stands still while the leader is in the middle of its snapshot, so that it is a fuzzy one; the digest
 * that the last txn carries then says whether the tree came out right.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { SnapshotReader } from "../../src/core/zab/snapshot_reader.ts";
import { I } from "../../src/core/tree/tree.ts";
import { CreateMode, OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import { Side } from "../core/zab/history.ts";
import { apacheClassPath, apacheMissing, findOnPath, javaFlags } from "../support/apache.ts";
import {
  createBody,
  type LooseAcl,
  multiBody,
  openAcl,
  pathNumberBody,
  setAclBody,
  setDataBody,
} from "../support/bodies.ts";
import { Child } from "../support/child.ts";
import { freePort, makeTempDirectory, sleep, within } from "../support/places.ts";
import { settingsText } from "../support/servers.ts";
import { askText } from "../support/wire_connection.ts";
import { WireSession } from "../support/wire_session.ts";

const Packet = {
  Proposal: 2,
  Ack: 3,
  Commit: 4,
  Ping: 5,
  Inform: 8,
  NewLeader: 10,
  UpToDate: 12,
  Snap: 15,
} as const;
const packetObserverInfo = 16;
const packetLeaderInfo = 17;
const packetAckEpoch = 18;
const sid = 3;

interface Pair {
  /** Of the leader. */
  readonly clientPort: number;
  readonly quorumPort: number;
}

async function withPair(story: (leader: Pair) => Promise<void>): Promise<void> {
  const place = makeTempDirectory("snap");
  const children: Child[] = [];
  try {
    const ports = await Promise.all(Array.from({ length: 8 }, freePort));
    const portOf = (server: number, kind: number) => ports[(server - 1) * 3 + kind] as number;
    const members = {
      "server.1": `127.0.0.1:${portOf(1, 0)}:${portOf(1, 1)}:participant`,
      "server.2": `127.0.0.1:${portOf(2, 0)}:${portOf(2, 1)}:participant`,
      [`server.${sid}`]: `127.0.0.1:${ports[6]}:${ports[7]}:observer`,
    };
    for (const id of [1, 2]) {
      const directory = join(place.path, `${id}`);
      const data = join(directory, "data");
      mkdirSync(data, { recursive: true });
      writeFileSync(join(data, "myid"), `${id}\n`);
      const file = join(directory, "zoo.cfg");
      const settings = {
        ...{ tickTime: 1000, initLimit: 20, syncLimit: 10, dataDir: data, clientPort: portOf(id, 2) },
        ...{ clientPortAddress: "127.0.0.1", "admin.enableServer": false, "4lw.commands.whitelist": "*" },
        ...{ extendedTypesEnabled: true, forceSnapshotSync: true, ...members },
      };
      writeFileSync(file, settingsText(settings));
      const main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
      const properties = ["-Dzookeeper.preAllocSize=4096"];
      children.push(
        new Child(findOnPath("java") ?? "java", [
          ...javaFlags,
          ...properties,
          "-cp",
          apacheClassPath,
          main,
          file,
        ]),
      );
    }
    await story(
      await leaderOf([1, 2].map((id) => ({ clientPort: portOf(id, 2), quorumPort: portOf(id, 0) }))),
    );
  } catch (error) {
    throw new Error(`${error}\n${children.map((child) => child.describe()).join("\n")}`, { cause: error });
  } finally {
    for (const child of children) child.kill();
    await Promise.all(children.map((child) => child.exited(5000)));
    place.remove();
  }
}

async function leaderOf(pairs: readonly Pair[]): Promise<Pair> {
  const until = performance.now() + 40_000;
  while (performance.now() < until) {
    const modes = await Promise.all(
      pairs.map(({ clientPort }) => askText(clientPort, "srvr", 1000).catch(() => "")),
    );
    const leads = modes.findIndex((text) => /^Mode: leader/m.test(text));
    const follows = modes.some((text) => /^Mode: follower/m.test(text));
    if (leads >= 0 && follows) return pairs[leads] as Pair;
    await sleep(100);
  }
  throw new Error("The two never agreed on a leader");
}

/** The learner's end, as little of it as will do. */
class Learner {
  readonly #socket: Socket;
  readonly #side: Side;
  readonly #proposals = new Map<number, Uint8Array>();
  #bytes = new Uint8Array(0);
  #snapshot: SnapshotReader | null = null;
  snapshot: SnapshotReader | null = null;
  zxidSnapshot = 0;
  txnsAfter = 0;
  mismatchesLast = -1;
  upToDate = false;
  fault: Error | null = null;

  constructor(port: number, side: Side) {
    this.#side = side;
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("error", (error) => this.fault ??= error);
    this.#socket.on("close", () => this.fault ??= new Error("The leader closed the connection"));
    this.#socket.on("data", (chunk: Uint8Array) => {
      try {
        this.#received(chunk);
      } catch (error) {
        this.fault ??= error instanceof Error ? error : new Error(String(error));
        this.#socket.destroy();
      }
    });
    const info = new Writer();
    info.i64FromNumber(sid);
    info.i32(0x10000);
    info.i64FromNumber(0);
    this.#send(packetObserverInfo, 0, info.copy());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.fault ??= new Error("closed by the test");
    this.#socket.destroy();
  }

  async until(isSo: () => boolean, what: string): Promise<void> {
    await within(
      30_000,
      what,
      (async () => {
        while (!isSo()) {
          if (this.fault !== null) throw this.fault;
          await sleep(5);
        }
      })(),
    );
  }

  #send(type: number, zxid: number, data: Uint8Array | null): void {
    const w = new Writer();
    w.i32(type);
    w.i64FromNumber(zxid);
    w.buffer(data);
    w.i32(-1);
    this.#socket.write(w.copy());
  }

  #received(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#snapshot !== null) {
        at += this.#snapshot.push(chunk, at, chunk.length);
        this.#snapshot.takeRows(1 << 20);
        if (this.#snapshot.state === "damaged") throw new Error(this.#snapshot.reason);
        if (this.#snapshot.state === "done") this.#snapshot = null;
        continue;
      }
      this.#bytes = Buffer.concat([this.#bytes, chunk.subarray(at)]);
      at = chunk.length;
      const r = new Reader(this.#bytes);
      while (this.#snapshot === null) {
        const start = r.at;
        const type = r.i32();
        const zxid = r.i64AsNumber();
        const data = r.buffer()?.slice() ?? new Uint8Array(0);
        r.i32();
        if (r.failed) {
          this.#bytes = this.#bytes.slice(start);
          break;
        }
        this.#packet(type, zxid, data);
        if (this.#snapshot !== null) {
          // The stream begins in the middle of what came.
          const rest = this.#bytes.slice(r.at);
          this.#bytes = new Uint8Array(0);
          return this.#received(rest);
        }
      }
    }
  }

  #packet(type: number, zxid: number, data: Uint8Array): void {
    switch (type) {
      case packetLeaderInfo:
        return this.#send(packetAckEpoch, 0, new Uint8Array(4));
      case Packet.Snap:
        this.zxidSnapshot = zxid;
        this.#side.tree.clear();
        this.snapshot = this.#snapshot = new SnapshotReader(this.#side.tree, this.#side.sessions, {
          zxid,
          fieldBytesMax: 1 << 21,
        });
        this.pause();
        return;
      case Packet.Proposal:
        this.#proposals.set(zxid, data);
        return;
      case Packet.Commit:
        return this.#apply(this.#proposals.get(zxid) ?? assert.fail(`${zxid} was not proposed`));
      case Packet.Inform:
        return this.#apply(data);
      case Packet.NewLeader:
        return this.#send(Packet.Ack, zxid, null);
      case Packet.UpToDate:
        this.upToDate = true;
        return this.#send(Packet.Ack, zxid, null);
      case Packet.Ping:
        if (this.upToDate) this.#send(Packet.Ping, zxid, new Uint8Array(0));
        return;
      default:
        assert.fail(`packet ${type}`);
    }
  }

  #apply(txn: Uint8Array): void {
    const { applier } = this.#side;
    this.#side.apply(txn);
    applier.digestMismatches = 0;
    applier.checkDigest(txn, txn.length);
    this.mismatchesLast = applier.digestMismatches;
    this.txnsAfter++;
  }
}

const missing = apacheMissing();

test("a leader's snapshot, taken while it goes on changing, becomes the leader's tree", {
  skip: missing ?? false,
  timeout: 120_000,
}, async () => {
  await withPair(async ({ clientPort, quorumPort }) => {
    const session = await WireSession.connect(clientPort, { timeoutMs: 30_000 });
    const ok = async (op: number, body: Uint8Array<ArrayBuffer>) => {
      const reply = await session.ask(op, body);
      assert.equal(reply.err, 0, `op ${op}`);
      return Number(reply.zxid);
    };
    const readOnly: readonly LooseAcl[] = [{ perms: 1, scheme: "world", id: "anyone" }];
    const data = new Uint8Array(900).fill(0x61);
    const create = (
      path: string,
      bytes: Uint8Array | null = data,
      acls = openAcl,
      mode: number = CreateMode.Persistent,
    ) => createBody(path, bytes, mode, acls, mode === CreateMode.PersistentTtl ? 65_536n : undefined);
    await ok(OpCode.Create, create("/a", null));
    await ok(OpCode.Create, create("/a/read", new Uint8Array(0), readOnly));
    await ok(OpCode.Create, create("/a/e", data, openAcl, CreateMode.Ephemeral));
    await ok(OpCode.CreateContainer, create("/a/c", data, openAcl, CreateMode.Container));
    await ok(OpCode.CreateTtl, create("/a/t", data, openAcl, CreateMode.PersistentTtl));
    const perMulti = 100;
    for (let i = 0; i < 100; i++) {
      const path = `/m${i}`;
      const subs = [{ op: OpCode.Create, body: create(path) }];
      for (let k = 0; k < perMulti; k++) subs.push({ op: OpCode.Create, body: create(`${path}/k${k}`) });
      await ok(OpCode.Multi, multiBody(subs));
    }

    const side = new Side();
    const learner = new Learner(quorumPort, side);
    try {
      await learner.until(() => learner.snapshot !== null, "SNAP");
      // The leader's walk now stands where the buffers of the connection are full.
      await sleep(300);
      const asked: Promise<unknown>[] = [];
      for (let i = 0; i < 100; i++) {
        asked.push(
          ok(OpCode.SetData, setDataBody(`/m${i}/k5`, new Uint8Array([i]), -1)),
          ok(
            OpCode.SetAcl,
            setAclBody(`/m${i}/k6`, [{ perms: 9 + (i % 3), scheme: "ip", id: "127.0.0.1" }], -1),
          ),
          ok(OpCode.Delete, pathNumberBody(`/m${i}/k7`, -1)),
          ok(OpCode.Delete, pathNumberBody(`/m${i}/k8`, -1)),
          ok(OpCode.Create, create(`/m${i}/k8`, null, readOnly)),
          ok(OpCode.Create, create(`/m${i}/new`)),
          ok(
            OpCode.Create,
            create(`/m${i}/new/below`, data, [{ perms: 31, scheme: "ip", id: `10.0.0.${i}` }]),
          ),
        );
      }
      await Promise.all(asked);
      learner.resume();
      await learner.until(() => learner.upToDate, "UPTODATE");
      const last = await ok(OpCode.SetData, setDataBody("/a", new Uint8Array([1]), -1));
      await learner.until(() => side.applier.zxid >= last, "the last txn");
      const { tree } = side;
      assert.equal(learner.mismatchesLast, 0, "the digest of the last txn is the tree's");
      assert.ok(learner.txnsAfter > 700);
      assert.ok((learner.snapshot?.nodesLater ?? 0) > 0, "the snapshot was a fuzzy one");
      assert.equal(tree.liveCount, 4 + 5 + 100 * (perMulti + 1) + 100 * (-1 + 2));
      assert.deepEqual([tree.ephemeralCount, tree.containers.size, tree.ttls.size], [1, 1, 1]);
      assert.equal(
        side.sessions.get(session.id as Parameters<typeof side.sessions.get>[0])?.timeoutMs,
        session.connectReply.timeoutMs,
      );
      for (let i = 0; i < 100; i++) {
        const listOf = (path: string) => tree.acls.list(tree.int(tree.findText(path), I.acl));
        assert.deepEqual(listOf(`/m${i}/k6`), [{
          perms: 9 + (i % 3),
          id: { scheme: "ip", id: "127.0.0.1" },
        }]);
        assert.deepEqual(listOf(`/m${i}/k8`), [{ perms: 1, id: { scheme: "world", id: "anyone" } }]);
        assert.deepEqual(listOf(`/m${i}/new/below`), [{
          perms: 31,
          id: { scheme: "ip", id: `10.0.0.${i}` },
        }]);
      }
      assert.equal(tree.dataOf(tree.findText("/m0/k8")), null);
    } finally {
      learner.close();
      session.drop();
    }
  });
});
