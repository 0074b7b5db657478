/**
 * A peer in memory against what its disk holds: whatever clients do, and wherever the table was when the
 * server stopped, the one that starts from the disk is the one that stopped.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import type { Zxid } from "../../src/core/base/zxid.ts";
import { statBlank } from "../../src/core/tree/stat.ts";
import { I, type Tree } from "../../src/core/tree/tree.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import type { Acl } from "../../src/core/wire/records.ts";
import {
  type MultiOp,
  writeAuthRequest,
  writeCreateRequest,
  writeCreateTtlRequest,
  writeDeleteRequest,
  writeMultiRequest,
  writeSetAclRequest,
  writeSetDataRequest,
} from "../../src/core/wire/requests.ts";
import { txnEndAt, txnZxidAt } from "../../src/storage/batch_bytes.ts";
import { recoveryParts } from "../../src/storage/recovery.ts";
import type { Writer } from "../../src/core/wire/writer.ts";
import { Driver, type DriverLine } from "../core/peer/driver.ts";
import { Random } from "../support/random.ts";
import { type Desk, makeDesk } from "./desk.ts";

const openAcl: readonly Acl[] = [{ perms: 31, id: { scheme: "world", id: "anyone" } }];
const mineAcl: readonly Acl[] = [{ perms: 31, id: { scheme: "auth", id: "" } }];
const mixedAcl: readonly Acl[] = [...openAcl, { perms: 9, id: { scheme: "ip", id: "10.0.0.0/8" } }];
const paths = ["/a", "/b", "/a/x", "/a/y", "/a/x/1", "/a/x/2", "/b/é", "/a-b"];
const quotaPaths = ["/a", "/a/x", "/b"].flatMap((path) => [
  `/zookeeper/quota${path}`,
  `/zookeeper/quota${path}/zookeeper_limits`,
  `/zookeeper/quota${path}/zookeeper_stats`,
]);
const reaper = { checkMs: 2_000, perMinuteMax: 10_000, neverUsedMs: 0 };

/** Everything that a client or another member could see of a tree, one line a znode. */
function linesOf(tree: Tree): Map<string, string> {
  const lines = new Map<string, string>();
  const stack = [tree.findText("/")];
  const stat = statBlank();
  for (let row = stack.pop(); row !== undefined; row = stack.pop()) {
    tree.readStat(row, stat);
    const data = tree.dataOf(row);
    const acl = hex(tree.acls.bytes(tree.int(row, I.acl)));
    lines.set(
      tree.pathOf(row),
      JSON.stringify({
        ...stat,
        data: data === null ? null : hex(data),
        acl,
        children: tree.int(row, I.children),
      }),
    );
    for (let child = tree.int(row, I.childFirst); child !== 0; child = tree.int(child, I.siblingNext)) {
      stack.push(child);
    }
  }
  return new Map([...lines].sort());
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** All that a restart must not change, one line a fact. */
function stateOf({ peer }: Driver): string[] {
  const { sessions, tree } = peer;
  return [
    `zxid ${peer.zxid}, digest ${tree.digest.value}`,
    ...[...sessions.all()].map(({ id, timeoutMs }) => `session ${id} ${timeoutMs}`).sort(),
    ...[...tree.ephemerals].flatMap(([id, rows]) => [...rows].map((row) => `${id} owns ${tree.pathOf(row)}`))
      .sort(),
    ...[...linesOf(tree)].map(([path, line]) => `${path} ${line}`),
  ];
}

/** Each statistics znode against a count by hand. */
function checkQuotas(tree: Tree, where: string): void {
  if (tree.int(tree.findText("/zookeeper/quota"), I.children) === 0) return;
  const paths = [...linesOf(tree).keys()];
  for (const path of paths) {
    if (!path.endsWith("/zookeeper_stats")) continue;
    const subject = path.slice("/zookeeper/quota".length, -"/zookeeper_stats".length);
    const inside = paths.filter((one) => one === subject || one.startsWith(`${subject}/`));
    const bytes = inside.reduce((sum, one) => sum + (tree.dataOf(tree.findText(one))?.length ?? 0), 0);
    assert.equal(
      textOf(tree.dataOf(tree.findText(path)) ?? new Uint8Array(0)),
      `count=${inside.length},bytes=${bytes}`,
      `${where}: the statistics of ${subject}`,
    );
  }
}

class Story {
  readonly random: Random;
  readonly desk: Desk = makeDesk(1000);
  driver: Driver;
  lines: DriverLine[] = [];
  #logged = 0;
  #total = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.driver = new Driver({ reaper }, (_, peer) => {
      peer.tree.makeReserved();
      return 0 as Zxid;
    });
  }

  /** One request, or some time, or a client that comes or goes. */
  act(): void {
    const { random, driver } = this;
    this.lines = this.lines.filter(({ closed }) => !closed);
    if (this.lines.length === 0 || random.percent(4)) {
      const line = driver.connect(random.pick([4_000, 20_000]));
      this.lines.push(line);
      if (random.percent(60)) {
        line.ask(OpCode.Auth, (w) => writeAuthRequest(w, "digest", bytesOf("amy:secret")));
      }
      return;
    }
    const line = random.pick(this.lines);
    random.weighted<() => void>([
      [40, () => this.#send(line)],
      [14, () => this.#multi(line)],
      [5, () => line.send(OpCode.CloseSession)],
      [3, () => line.close()],
      [6, () => driver.tick(random.pick([500, 3_000, 9_000]))],
    ])();
  }

  #send(line: DriverLine): void {
    const part = this.#part();
    if (part.kind === "create") {
      line.send(part.op, (w) => {
        if (part.op === OpCode.CreateTtl) {
          writeCreateTtlRequest(w, part.path, part.data, part.acls, part.flags, part.ttlMs ?? 0);
        } else writeCreateRequest(w, part.path, part.data, part.acls, part.flags);
      });
    } else if (part.kind === "delete") {
      line.send(OpCode.Delete, (w) => writeDeleteRequest(w, part.path, -1));
    } else if (part.kind === "setData") {
      line.send(OpCode.SetData, (w) => writeSetDataRequest(w, part.path, part.data, -1));
    } else {
      const acls = this.random.pick([openAcl, mineAcl, mixedAcl]);
      line.send(OpCode.SetAcl, (w) => writeSetAclRequest(w, part.path, acls, -1));
    }
  }

  #multi(line: DriverLine): void {
    const parts = Array.from({ length: 1 + this.random.below(4) }, () => this.#part());
    line.send(OpCode.Multi, (w: Writer) => writeMultiRequest(w, parts));
  }

  #part(): MultiOp {
    const { random } = this;
    const path = random.percent(25) ? random.pick(quotaPaths) : random.pick(paths);
    const isQuota = path.startsWith("/zookeeper");
    const data = isQuota
      ? bytesOf(random.pick(["count=3,bytes=40", "count=-1,bytes=9"]))
      : random.percent(15)
      ? null
      : random.bytes(random.below(6));
    return random.weighted<() => MultiOp>([
      [10, () => {
        const [op, flags] = random.weighted<[number, number]>(
          isQuota ? [[1, [OpCode.Create, 0]]] : [
            [4, [OpCode.Create, 0]],
            [5, [OpCode.Create, 1]],
            [1, [OpCode.Create2, 2]],
            [2, [OpCode.CreateContainer, 4]],
            [2, [OpCode.CreateTtl, 5]],
          ],
        );
        const acls = random.pick([openAcl, openAcl, mineAcl, mixedAcl]);
        return { kind: "create", op, path, data, acls, flags, ttlMs: 3_000 };
      }],
      [5, () => ({ kind: "delete", path, version: -1 })],
      [5, () => ({ kind: "setData", path, data, version: -1 })],
      [2, () => ({ kind: "check", path, version: -1 })],
    ])();
  }

  /** What became durable goes into the log, in one batch, and the table follows some of it. */
  store(): void {
    const { desk, driver, random } = this;
    for (; this.#logged < driver.log.length; this.#logged++) {
      const bytes = driver.log[this.#logged] as Uint8Array<ArrayBuffer>;
      const zxids: number[] = [];
      for (let at = 0; at < bytes.length; at = txnEndAt(bytes, at)) zxids.push(txnZxidAt(bytes, at));
      desk.log.append(bytes, zxids[0] as number, zxids.at(-1) as number, zxids.length, 0);
      this.#total += zxids.length;
    }
    if (this.#total === 0 || !random.percent(15)) return;
    desk.leisure.committed = Math.max(desk.leisure.committed, desk.log.last - random.below(3));
    for (const _ of desk.leisure.pass());
  }

  /** The server stops, and one starts from its disk. */
  restart(): void {
    const { desk, driver } = this;
    driver.settle();
    this.store();
    const before = stateOf(driver);
    const { wallMs, monoMs } = driver;
    this.driver = new Driver({ reaper }, (loader) => {
      const disk = {
        log: desk.log,
        tree: desk.tree,
        epochs: { accepted: 0, current: 0 },
        notes: [],
        lacks: null,
      };
      for (const { message } of recoveryParts(disk, desk.log.last, [])) {
        if (message.kind === "rows") loader.rows(message.bytes);
        else if (message.kind === "batch") loader.batch(message.bytes);
        else if (message.kind === "treeComplete") loader.treeComplete(message.zxid as Zxid);
        else if (message.kind === "sessions") {
          const { list } = message;
          for (let i = 0; i < list.length; i += 3) {
            loader.session(list[i] as number, list[i + 1] as number, list[i + 2] as number);
          }
        }
      }
      return desk.log.last as Zxid;
    });
    Object.assign(this.driver, { wallMs, monoMs });
    this.#logged = 0;
    assert.equal(this.driver.peer.applier.digestMismatches, 0, "each txn left the tree that it should");
    const after = stateOf(this.driver);
    assert.deepEqual(after.filter((line) => !before.includes(line)), [], "what was not there before");
    assert.deepEqual(before.filter((line) => !after.includes(line)), [], "what is not there any more");
    this.lines = [];
  }
}

test("a server that starts is the one that stopped, wherever its table was", () => {
  const runs = Number(process.env["ZOOLET_SEEDS"] ?? 40);
  const first = Number(process.env["ZOOLET_SEED"] ?? 1);
  for (let seed = first; seed < first + runs; seed++) {
    const story = new Story(seed);
    try {
      for (let step = 0; step < 80; step++) {
        story.act();
        if (story.random.percent(60)) {
          story.driver.settle();
          checkQuotas(story.driver.peer.tree, `step ${step}`);
        }
        story.store();
        if (story.random.percent(5)) {
          story.restart();
          checkQuotas(story.driver.peer.tree, `step ${step}, restarted`);
        }
      }
      story.restart();
    } catch (error) {
      throw new Error(`ZOOLET_SEED=${seed}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    } finally {
      story.desk.close();
    }
  }
});
