/**
 * Storage as a member of an ensemble uses it: epochs, truncation, snapshots that replace all, and
 * reads of the log for learners.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Zxid } from "../../src/core/base/zxid.ts";
import type { LogChunk } from "../../src/core/zab/disk.ts";
import type { SqliteDatabase } from "../../src/runtime/ports.ts";
import { clock } from "../../src/runtime/shared/clock.ts";
import { crc32 } from "../../src/runtime/shared/crc32.ts";
import { files } from "../../src/runtime/shared/files.ts";
import { worker } from "../../src/runtime/shared/worker.ts";
import { txnEndAt, txnZxidAt } from "../../src/storage/batch_bytes.ts";
import { LogFile } from "../../src/storage/log_file.ts";
import { readPiece } from "../../src/storage/log_reader.ts";
import { openMemoryStorage } from "../../src/storage/memory_storage.ts";
import type { StoredCommand } from "../../src/storage/messages.ts";
import { logSchema } from "../../src/storage/schema.ts";
import { StorageError } from "../../src/storage/storage.ts";
import type { Recovered, RecoverySink, Storage, StorageOptions } from "../../src/storage/storage.ts";
import { openStorage } from "../../src/storage/worker_storage.ts";
import { Random } from "../support/random.ts";
import { sqlite, withDirectory } from "../support/runtime_storage.ts";
import { storyBatch, StoryReader, storyRows, zxidStart } from "./powercut_story.ts";
import { batchOf, txnBytes } from "./txns.ts";

interface Heard {
  readonly reader: StoryReader;
  readonly sessions: [number, number, number][];
  /** What `treeComplete` said. */
  readonly complete: [number, number];
  readonly recovered: Recovered;
}

async function hear(work: (sink: RecoverySink) => Promise<Recovered>): Promise<Heard> {
  const reader = new StoryReader();
  const sessions: [number, number, number][] = [];
  let complete: [number, number] = [-1, -1];
  const recovered = await work({
    rows: (bytes) => reader.hear({ kind: "rows", bytes: bytes as Uint8Array<ArrayBuffer> }),
    session: (hi, lo, ms) => void sessions.push([hi, lo, ms]),
    treeComplete: (zxid, committed) => {
      complete = [zxid, committed];
    },
    batch: (bytes) => reader.hear({ kind: "batch", bytes: bytes as Uint8Array<ArrayBuffer> }),
  });
  reader.last = recovered.zxidLast === 0 ? 0 : recovered.zxidLast - zxidStart;
  return { reader, sessions, complete, recovered };
}

class Member {
  readonly storage: Storage;

  constructor(directory: string, more: Partial<StorageOptions> = {}) {
    this.storage = openStorage({ worker, clock }, {
      dataDir: directory,
      dataLogDir: directory,
      sync: "full",
      logRetainTxns: 1000,
      logRetainMs: 0,
      mustExist: false,
      serverId: 1,
      ...more,
    });
  }

  recover(): Promise<Heard> {
    return hear((sink) => this.storage.recover(sink));
  }

  reload(): Promise<Heard> {
    return hear((sink) => this.storage.reload(sink));
  }

  append(n: number, count: number, real = count, committed = n + real - 1): Promise<void> {
    return new Promise((resolve, reject) => {
      const { bytes, first, last } = storyBatch(n, count, real);
      this.storage.onDurable = () => resolve();
      this.storage.onFailure = reject;
      this.storage.append(bytes, first as Zxid, last as Zxid, count, (zxidStart + committed) as Zxid);
    });
  }

  execute(command: StoredCommand): Promise<void> {
    return new Promise((resolve, reject) => {
      this.storage.onStored = resolve;
      this.storage.onFailure = reject;
      this.storage.execute(command);
    });
  }

  async replace(n: number): Promise<void> {
    await this.execute({ kind: "replaceBegin" });
    for (const bytes of storyRows(n)) await this.execute({ kind: "replaceRows", bytes });
    await this.execute({ kind: "replaceSessions", list: new Int32Array([1, 2, 3000, -1, -5, 4000]) });
    await this.execute({ kind: "replaceEnd", zxid: at(n) });
  }
}

function at(n: number): Zxid {
  return (zxidStart + n) as Zxid;
}

function zxidsOf(chunk: LogChunk): number[] {
  const list: number[] = [];
  for (let i = 0; i < chunk.bytes.length; i = txnEndAt(chunk.bytes, i)) {
    list.push(txnZxidAt(chunk.bytes, i));
  }
  return list;
}

test("epochs are kept; where none were stored they are that of the last txn", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    const fresh = await one.recover();
    assert.deepEqual([fresh.recovered.epochAccepted, fresh.recovered.epochCurrent], [0, 0]);
    await one.append(1, 5);
    await one.storage.close();
    const two = new Member(directory);
    const unwritten = await two.recover();
    assert.deepEqual([unwritten.recovered.epochAccepted, unwritten.recovered.epochCurrent], [1, 1]);
    await two.execute({ kind: "epochs", accepted: 7, current: 3 });
    await two.storage.close();
    const three = new Member(directory);
    const { recovered } = await three.recover();
    assert.deepEqual([recovered.epochAccepted, recovered.epochCurrent], [7, 3]);
    await three.storage.close();
  });
});

/** Appends one txn of an epoch. */
async function appendOfEpoch(member: Member, epoch: number): Promise<void> {
  const zxid = epoch * 2 ** 32 + 1;
  const txn = txnBytes({ kind: "create", path: `/epoch-${epoch}`, data: null }, { zxid, timeMs: 1 });
  await new Promise<void>((resolve) => {
    member.storage.onDurable = () => resolve();
    member.storage.append(batchOf([txn]), zxid as Zxid, zxid as Zxid, 1);
  });
}

async function epochsOf(directory: string, serverId: number | null = 1): Promise<[number, number]> {
  const member = new Member(directory, { serverId });
  const { recovered } = await hear((sink) => member.storage.recover({ ...sink, rows() {}, batch() {} }));
  await member.storage.close();
  return [recovered.epochAccepted, recovered.epochCurrent];
}

test("a learner that stopped between its leader's txns and its epoch has the epoch of its last txn", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.execute({ kind: "epochs", accepted: 9, current: 2 });
    await appendOfEpoch(one, 5);
    await one.storage.close();
    assert.deepEqual(await epochsOf(directory), [9, 5]);
  });
});

test("a server that stood alone for a while starts as a member, whatever its log came to", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.execute({ kind: "epochs", accepted: 2, current: 2 });
    await one.storage.close();
    const alone = new Member(directory, { serverId: null });
    await alone.recover();
    await appendOfEpoch(alone, 4);
    await alone.storage.close();
    assert.deepEqual(await epochsOf(directory), [4, 4]);
  });
});

test("a promise that was lost is told as damage", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.execute({ kind: "epochs", accepted: 2, current: 2 });
    await appendOfEpoch(one, 4);
    await one.storage.close();
    await assert.rejects(epochsOf(directory), {
      code: "damaged",
      message: /last txn is 0x400000001, of epoch 4, and no epoch above 2 was accepted\. Restore/,
    });
    assert.deepEqual(await epochsOf(directory, null), [4, 4]);
  });
});

test("the directory of another server is refused, with its number and what to do", async () => {
  await withDirectory(async (directory) => {
    const alone = new Member(directory, { serverId: null });
    await alone.recover();
    await alone.append(1, 3);
    await alone.storage.close();
    const second = new Member(directory, { serverId: 2 });
    await second.recover();
    await second.storage.close();
    const third = new Member(directory, { serverId: 3 });
    const error = await third.recover().then(() => null, (reason) => reason);
    assert.ok(error instanceof StorageError);
    assert.equal(error.code, "foreign");
    assert.match(error.message, /for server 3: it belongs to server 2\. Look at myid.*delete from meta/);
    const again = new Member(directory, { serverId: 2 });
    assert.equal((await again.recover()).recovered.zxidLast, at(3));
    await again.storage.close();
  });
});

/** Makes the files what the first release would have left. */
function asFirstVersion(directory: string): void {
  const shell = (name: string): SqliteDatabase =>
    sqlite.open({ path: join(directory, name), readonly: false, mustExist: true });
  const log = shell("log.db");
  const seal = log.prepare("update batch set crc = ? where first = ?");
  for (const [first, bytes] of log.prepare("select first, bytes from batch").all()) {
    seal.run(crc32(bytes as Uint8Array), first as number);
  }
  log.exec("alter table batch drop column committed; alter table batch drop column before");
  log.exec("alter table meta drop column crc; pragma user_version = 1");
  log.close();
  const tree = shell("tree.db");
  for (const table of ["znode", "acl", "session", "meta"]) tree.exec(`alter table ${table} drop column crc`);
  tree.exec("delete from meta where name in ('znodes', 'sessions', 'digest'); pragma user_version = 1");
  tree.close();
  fs.rmSync(join(directory, "log.mark"));
}

test("files of the first version are upgraded in place", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.append(1, 30, 30, 0);
    await one.storage.close();
    asFirstVersion(directory);
    const two = new Member(directory);
    const heard = await two.recover();
    heard.reader.check();
    assert.deepEqual([heard.reader.last, heard.recovered.zxidCommitted], [30, 0]);
    await two.append(31, 5);
    await two.storage.close();
    const three = new Member(directory);
    assert.equal((await three.recover()).recovered.zxidCommitted, at(35));
    await three.storage.close();
  });
});

test("what is committed is told with the log, and what lies behind it can be truncated", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.append(1, 10);
    await one.append(11, 20, 6, 12);
    await one.storage.close();
    const two = new Member(directory);
    const before = await two.recover();
    assert.deepEqual([before.recovered.zxidLast, before.recovered.zxidCommitted], [at(30), at(12)]);
    assert.equal(before.complete[1], at(12));
    assert.equal(before.reader.wrong, 14);
    before.reader.check();
    await two.execute({ kind: "truncate", after: at(16) });
    const after = await two.reload();
    assert.deepEqual([after.reader.last, after.reader.wrong], [16, 0]);
    after.reader.check();
    await two.append(17, 4);
    await two.storage.close();
    const three = new Member(directory);
    const last = await three.recover();
    assert.equal(last.reader.last, 20);
    last.reader.check();
    await three.storage.close();
  });
});

test("nothing that the table follows is truncated", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.append(1, 10);
    await one.storage.close();
    const two = new Member(directory);
    await two.recover();
    await assert.rejects(two.execute({ kind: "truncate", after: at(9) }), {
      code: "damaged",
      message: /Cannot truncate .*log\.db behind zxid 0x100000009: the table is at 0x10000000a already/,
    });
  });
});

test("a snapshot takes the place of table and log", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory, { logRetainTxns: 10 });
    await one.recover();
    await one.append(1, 50);
    await one.append(51, 20, 1, 50);
    await one.replace(400);
    assert.deepEqual(zxidsOf(await one.storage.readLog(at(400), at(999))), []);
    assert.equal((await one.storage.readLog(at(400), at(999))).found, "exact");
    assert.equal((await one.storage.readLog(at(50), at(999))).found, "missing");
    const now = await one.reload();
    assert.deepEqual([now.recovered.zxidLast, now.recovered.zxidTree], [at(400), at(400)]);
    assert.deepEqual([now.reader.last, now.reader.wrong], [400, 0]);
    assert.deepEqual(now.sessions, [[-1, -5, 4000], [1, 2, 3000]]);
    now.reader.check();
    await one.append(401, 30);
    assert.equal((await one.storage.readLog(at(400), at(410))).last, at(410));
    await one.storage.close();
    assert.deepEqual(files.list(directory), ["log.db", "log.mark", "tree.db"]);
    const two = new Member(directory);
    const heard = await two.recover();
    assert.deepEqual([heard.reader.last, heard.recovered.notes], [430, []]);
    heard.reader.check();
    // To a zxid before the log's: the history of the leader is what counts.
    await two.replace(100);
    assert.equal((await two.reload()).reader.last, 100);
    await two.storage.close();
    fs.rmSync(join(directory, "tree.db"));
    const three = new Member(directory);
    await assert.rejects(three.recover(), {
      code: "damaged",
      message: /there is no such file, and the log goes on behind zxid 0x100000064/,
    });
  });
});

test("a snapshot takes its place in one moment with the txns behind it", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.append(1, 50);
    const { bytes, first, last } = storyBatch(31, 12);
    const tail = { bytes, first: first as Zxid, last: last as Zxid, txns: 12, committed: at(30) };
    await one.execute({ kind: "replaceBegin" });
    for (const rows of storyRows(30)) await one.execute({ kind: "replaceRows", bytes: rows });
    await one.execute({ kind: "replaceEnd", zxid: at(30), tail });
    assert.deepEqual(zxidsOf(await one.storage.readLog(at(40), at(999))), [at(41), at(42)]);
    await one.append(43, 5);
    await one.storage.close();
    const two = new Member(directory);
    const heard = await two.recover();
    assert.deepEqual([heard.recovered.zxidLast, heard.reader.last, heard.reader.wrong], [at(47), 47, 0]);
    heard.reader.check();
    await two.storage.close();
  });
});

test("a snapshot that was never complete leaves nothing behind", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.append(1, 20);
    await one.execute({ kind: "replaceBegin" });
    for (const bytes of storyRows(300)) await one.execute({ kind: "replaceRows", bytes });
    await one.execute({ kind: "replaceBegin" });
    await one.execute({ kind: "replaceRows", bytes: storyRows(30)[0] ?? new Uint8Array(0) });
    assert.equal((await one.reload()).reader.last, 20);
    assert.ok(!files.list(directory).some((name) => name.includes("next")));
    await one.storage.close();
    fs.writeFileSync(join(directory, "tree.db.next"), "half");
    const two = new Member(directory);
    const { reader, recovered } = await two.recover();
    reader.check();
    assert.match(recovered.notes.join(), /tree\.db\.next of a snapshot that was never complete was removed/);
    await two.storage.close();
    assert.deepEqual(files.list(directory), ["log.db", "log.mark", "tree.db"]);
  });
});

test("a table of another time than the log is refused", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    await one.append(1, 20);
    await one.storage.close();
    fs.copyFileSync(join(directory, "tree.db"), join(directory, "backup"));
    const two = new Member(directory);
    await two.recover();
    await two.replace(50);
    await two.storage.close();
    fs.copyFileSync(join(directory, "backup"), join(directory, "tree.db"));
    await assert.rejects(new Member(directory).recover(), {
      code: "damaged",
      message: /it is the table after 0 snapshots, the log goes on after 1/,
    });
  });
});

test("learners read the log beside appends, in pieces that fit together", async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    for (let n = 1; n <= 12_001; n += 400) await one.append(n, 400);
    const last = 12_400;
    const read = async (from: number): Promise<number> => {
      let [position, pieces] = [from, 0];
      while (position < last - 7) {
        const chunk = await one.storage.readLog(at(position), at(last - 7));
        assert.equal(chunk.found, "exact");
        const zxids = zxidsOf(chunk);
        assert.deepEqual(zxids, zxids.map((_, i) => at(position + 1 + i)));
        assert.ok(chunk.bytesBehind >= chunk.bytes.length && chunk.bytesBehind < 8 << 20);
        position = chunk.last - zxidStart;
        pieces++;
      }
      assert.equal(position, last - 7);
      return pieces;
    };
    const appends = one.append(last + 1, 10);
    const pieces = await Promise.all([read(1), read(777), read(12_000)]);
    await appends;
    assert.ok((pieces[0] ?? 0) > 1 && pieces[2] === 1, pieces.join());
    await one.storage.close();
    assert.equal((await one.storage.readLog(at(1), at(2)).catch((error) => error)).code, "io");
  });
});

test("a piece of the log is what a dumb list says", () => {
  const random = new Random(Number(process.env["ZOOLET_SEED"] ?? 11));
  for (let round = 0; round < 60; round++) {
    const database = sqlite.open({ path: ":memory:", readonly: false, mustExist: false });
    database.exec(logSchema);
    const log = new LogFile(database, "log");
    const held: number[] = [];
    let zxid = 0;
    // What the list lies right behind; -1 once the log was purged.
    let base = 0;
    for (let step = 0; step < 12; step++) {
      if (random.percent(15)) {
        const after = held.length === 0 ? zxid : random.pick(held) + random.below(2);
        log.truncate(after);
        const previous = held.findLast((each) => each <= after) ?? held[0] ?? zxid;
        while ((held.at(-1) ?? 0) > after) held.pop();
        if (held.length === 0) continue;
        zxid = previous;
      }
      if (random.percent(10)) {
        zxid += random.below(50);
        log.empty(zxid, log.total, log.generation);
        held.length = 0;
        base = zxid;
      }
      const txns: Uint8Array[] = [];
      const first = zxid + 1 + (random.percent(30) ? random.below(5) : 0);
      for (let i = random.below(6); i >= 0; i--) {
        zxid = txns.length === 0 ? first : zxid + 1 + (random.percent(20) ? 3 : 0);
        txns.push(txnBytes({ kind: "error", code: 1 }, { zxid, timeMs: 1 }));
        held.push(zxid);
      }
      log.append(batchOf(txns), first, zxid, txns.length, 0);
      if (random.percent(10) && log.purgeStep(zxid, 3, 0)) base = -1;
      if (log.first !== held[0]) {
        held.splice(0, held.indexOf(log.first));
        base = -1;
      }
    }
    for (let after = 0; after <= zxid + 2; after++) {
      const upTo = after + random.below(30);
      const piece = readPiece(log, after as Zxid, upTo as Zxid);
      const previous = held.findLast((each) => each <= after);
      const found = previous === after || after === base
        ? "exact"
        : previous !== undefined && after < zxid
        ? "between"
        : "missing";
      const wanted = found === "missing" ? [] : held.filter((each) => each > after && each <= upTo);
      assert.deepEqual([piece.found, zxidsOf(piece)], [found, wanted], `round ${round}, behind ${after}`);
      assert.equal(piece.last, wanted.at(-1) ?? after);
      if (found === "between") assert.equal(piece.previous, previous);
    }
    log.close();
  }
});

test("a hundred thousand rows are stored in a moment", { timeout: 60_000 }, async () => {
  await withDirectory(async (directory) => {
    const one = new Member(directory);
    await one.recover();
    const pieces = storyRows(149_999);
    const start = performance.now();
    await one.execute({ kind: "replaceBegin" });
    for (const bytes of pieces) await one.execute({ kind: "replaceRows", bytes });
    await one.execute({ kind: "replaceEnd", zxid: at(149_999) });
    const tookMs = performance.now() - start;
    assert.ok(tookMs < 20_000, `${tookMs} ms`);
    if (process.env["ZOOLET_VERBOSE"] !== undefined) console.log(`${Math.round(tookMs)} ms`);
    const { recovered } = await one.reload();
    assert.equal(recovered.znodes, 100_004);
    await one.storage.close();
  });
});

test("storage in memory answers in a later turn and keeps nothing", async () => {
  const storage = openMemoryStorage();
  const nothing = () => assert.fail("nothing was kept");
  const sink = { rows: nothing, session: nothing, batch: nothing };
  let complete: readonly number[] = [];
  const recovered = await storage.recover({
    ...sink,
    treeComplete: (zxid, committed) => {
      complete = [zxid, committed];
    },
  });
  assert.deepEqual([complete, recovered.zxidLast, recovered.epochAccepted], [[0, 0], 0, 0]);
  let told = 0;
  const durable = new Promise((resolve) => {
    storage.onDurable = (last) => {
      told++;
      resolve(last);
    };
  });
  const { bytes, first, last } = storyBatch(1, 5);
  storage.append(bytes, first as Zxid, last as Zxid, 5);
  assert.equal(told, 0, "not while it is asked");
  assert.equal(await durable, last);
  const stored = new Promise<void>((resolve) => storage.onStored = resolve);
  storage.execute({ kind: "epochs", accepted: 2, current: 1 });
  await stored;
  assert.equal((await storage.readLog(at(1), at(5))).found, "missing");
  assert.equal((await storage.reload({ ...sink, treeComplete() {} })).zxidLast, 0);
  assert.deepEqual([storage.stats().commits, storage.stats().txns], [1, 5]);
  await storage.close();
});
