/**
 * Storage as the server uses it: the worker thread, real files, and all that may be wrong with them.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Zxid } from "../../src/core/base/zxid.ts";
import type { SqlitePort, WorkerHandle, WorkerPort } from "../../src/runtime/ports.ts";
import { clock } from "../../src/runtime/shared/clock.ts";
import { files } from "../../src/runtime/shared/files.ts";
import { worker } from "../../src/runtime/shared/worker.ts";
import type { FromWorker, StoredCommand, ToWorker } from "../../src/storage/messages.ts";
import { StorageCore } from "../../src/storage/storage_core.ts";
import { StorageError } from "../../src/storage/storage.ts";
import type { Recovered, Storage, StorageErrorCode, StorageOptions } from "../../src/storage/storage.ts";
import { openStorage } from "../../src/storage/worker_storage.ts";
import { Child } from "../support/child.ts";
import { isBun, sqlite, withDirectory } from "../support/runtime_storage.ts";
import { driveCore, storyBatch, StoryClock, StoryReader, storyRows, zxidStart } from "./powercut_story.ts";

function optionsFor(directory: string, more: Partial<StorageOptions> = {}): StorageOptions {
  return {
    dataDir: directory,
    dataLogDir: directory,
    sync: "full",
    logRetainTxns: 1000,
    logRetainMs: 0,
    mustExist: false,
    ...more,
  };
}

interface Opened {
  readonly storage: Storage;
  readonly recovered: Recovered;
  readonly reader: StoryReader;
  readonly sessions: [number, number, number][];
  /** Appends story txns and resolves when they are durable. */
  append(n: number, count: number): Promise<void>;
}

async function open(options: StorageOptions, port: WorkerPort = worker): Promise<Opened> {
  const storage = openStorage({ worker: port, clock }, options);
  const reader = new StoryReader();
  const sessions: [number, number, number][] = [];
  const order: string[] = [];
  const recovered = await storage.recover({
    rows: (
      bytes,
    ) => (order.push("rows"), reader.hear({ kind: "rows", bytes: bytes as Uint8Array<ArrayBuffer> })),
    session: (hi, lo, ms) => void (order.push("session"), sessions.push([hi, lo, ms])),
    treeComplete: () => void order.push("treeComplete"),
    again: () => {
      order.length = 0;
      reader.data.clear();
    },
    batch: (
      bytes,
    ) => (order.push("batch"), reader.hear({ kind: "batch", bytes: bytes as Uint8Array<ArrayBuffer> })),
  });
  assert.match(order.join(" "), /^(rows )*(session )*treeComplete( batch)*$/);
  reader.hear({ kind: "recovered", ...recovered });
  const append = (n: number, count: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const { bytes, first, last } = storyBatch(n, count);
      storage.onDurable = (zxid) => {
        assert.equal(zxid, last);
        storage.committed(zxid);
        resolve();
      };
      storage.onFailure = reject;
      storage.append(bytes, first as Zxid, last as Zxid, count);
    });
  return { storage, recovered, reader, sessions, append };
}

/** A thread gives up its locks when it is gone, and tells nobody when that is. */
async function openOnceFree(options: StorageOptions, port: WorkerPort): Promise<Opened> {
  for (let tries = 0;; tries++) {
    try {
      return await open(options, port);
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== "locked" || tries === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function refusal(options: StorageOptions, code: StorageErrorCode): Promise<string> {
  try {
    const opened = await open(options);
    await opened.storage.close();
  } catch (error) {
    assert.ok(error instanceof StorageError, String(error));
    assert.equal(error.code, code, error.message);
    return error.message;
  }
  assert.fail("it opened");
}

async function fill(directory: string, txns: number): Promise<void> {
  const { storage, append } = await open(optionsFor(directory));
  await append(1, txns);
  await storage.close();
}

test("what was durable is there after a close, from the table alone", async () => {
  await withDirectory(async (directory) => {
    const first = await open(optionsFor(directory));
    assert.deepEqual([first.recovered.zxidLast, first.recovered.znodes, first.recovered.notes], [0, 4, []]);
    for (let n = 1; n <= 40; n++) await first.append(n, 1);
    await first.append(41, 60);
    assert.equal(first.storage.stats().commits, 41);
    assert.equal(first.storage.stats().txns, 100);
    await first.storage.close();
    const second = await open(optionsFor(directory, { mustExist: true }));
    assert.equal(second.recovered.zxidLast, zxidStart + 100);
    assert.equal(second.recovered.zxidTree, zxidStart + 100);
    assert.equal(second.recovered.txnsReplayed, 0);
    second.reader.check();
    await second.storage.close();
  });
});

test("txns that were never committed stay in the log and come back as batches", async () => {
  await withDirectory(async (directory) => {
    const { storage } = await open(optionsFor(directory));
    const { bytes, first, last } = storyBatch(1, 30);
    const durable = new Promise((resolve) => storage.onDurable = resolve);
    storage.append(bytes, first as Zxid, last as Zxid, 30);
    await durable;
    storage.committed((zxidStart + 7) as Zxid);
    await storage.close();
    const again = await open(optionsFor(directory));
    assert.equal(again.recovered.zxidTree, zxidStart + 7);
    assert.equal(again.recovered.txnsReplayed, 23);
    again.reader.check();
    await again.storage.close();
  });
});

test(
  "the table follows a quiet log, and the sqlite3 shell may read it meanwhile",
  { timeout: 20_000 },
  async () => {
    await withDirectory(async (directory) => {
      const { storage, append } = await open(optionsFor(directory));
      const reader = sqlite.open({ path: join(directory, "tree.db"), readonly: true, mustExist: true });
      await append(1, 200);
      const until = performance.now() + 8000;
      while (storage.stats().zxidTree < zxidStart + 200 && performance.now() < until) {
        await new Promise((r) => setTimeout(r, 50));
      }
      assert.equal(storage.stats().zxidTree, zxidStart + 200);
      assert.deepEqual(reader.prepare("select value from meta where name = 'zxid'").get(), [zxidStart + 200]);
      assert.equal(reader.prepare("select count(*) from znode where path like '/p/%'").get()?.[0], 132);
      assert.ok(
        storage.stats().checkpoints > 0 && storage.stats().logBytes > 0 && storage.stats().treeBytes > 0,
      );
      reader.close();
      await storage.close();
    });
  },
);

test("log and table may live apart, in directories that are made", async () => {
  await withDirectory(async (directory) => {
    const options = optionsFor("", {
      dataDir: join(directory, "a", "data"),
      dataLogDir: join(directory, "b", "c"),
    });
    const one = await open(options);
    await one.append(1, 3);
    await one.storage.close();
    assert.deepEqual(files.list(join(directory, "a", "data")), ["tree.db"]);
    assert.deepEqual(files.list(join(directory, "b", "c")), ["log.db", "log.mark"]);
    const two = await open(options);
    two.reader.check();
    await two.storage.close();
    // The log forgotten in a move is noticed before anything is acknowledged.
    const moved = await refusal({ ...options, dataLogDir: join(directory, "d") }, "damaged");
    assert.match(moved, /d\/log\.db: there is no such file, but .*tree\.db belongs to one.*delete from meta/);
  });
});

test("a table alone starts once that is asked for", async () => {
  await withDirectory(async (directory) => {
    await fill(directory, 50);
    fs.rmSync(join(directory, "log.db"));
    await refusal(optionsFor(directory), "damaged");
    const shell = sqlite.open({ path: join(directory, "tree.db"), readonly: false, mustExist: true });
    shell.exec("delete from meta where name = 'log_id'");
    shell.close();
    const { storage, recovered, reader, append } = await open(optionsFor(directory));
    assert.equal(recovered.zxidLast, zxidStart + 50);
    assert.match(recovered.notes.join(), /without a log/);
    reader.check();
    await append(51, 1);
    await storage.close();
    const again = await open(optionsFor(directory));
    again.reader.check();
    await again.storage.close();
  });
});

test("a lost table is made again from a whole log, and not from a purged one", async () => {
  await withDirectory(async (directory) => {
    await fill(directory, 50);
    fs.rmSync(join(directory, "tree.db"));
    const { storage, recovered, reader } = await open(optionsFor(directory));
    assert.match(recovered.notes.join(), /made again from the whole log/);
    reader.check();
    await storage.close();
    const purging = await open(optionsFor(directory, { logRetainTxns: 5 }));
    for (let n = 51; n <= 90; n++) await purging.append(n, 1);
    await purging.storage.close();
    fs.rmSync(join(directory, "tree.db"));
    assert.match(await refusal(optionsFor(directory), "damaged"), /the log begins at zxid/);
  });
});

test("files of two servers are not mixed", async () => {
  await withDirectory(async (directory) => {
    await fill(join(directory, "one"), 5);
    await fill(join(directory, "two"), 5);
    const message = await refusal(
      optionsFor("", { dataDir: join(directory, "one"), dataLogDir: join(directory, "two") }),
      "damaged",
    );
    assert.match(message, /belongs to another log/);
  });
});

test("a second storage in the directory is refused, and the first goes on", { timeout: 20_000 }, async () => {
  await withDirectory(async (directory) => {
    const first = await open(optionsFor(directory));
    await first.append(1, 5);
    const message = await refusal(optionsFor(directory), "locked");
    assert.ok(message.includes(directory), message);
    assert.match(message, /Another process has it open/);
    // From another process too: within one, SQLite knows by itself.
    const child = startChild(directory, 6, 1, { data: directory });
    await child.exited(10_000);
    assert.match(child.stderr, /Cannot open .*log\.db: database is locked/, child.describe());
    await first.append(6, 5);
    await first.storage.close();
  });
});

test("what is not ours is refused by name", async () => {
  await withDirectory(async (directory) => {
    const text = join(directory, "text");
    fs.mkdirSync(text);
    fs.writeFileSync(join(text, "log.db"), "these are somebody's notes, not a database\n".repeat(100));
    assert.match(await refusal(optionsFor(text), "foreign"), /log\.db.*file is not a database/);
    const other = join(directory, "other");
    fs.mkdirSync(other);
    const database = sqlite.open({ path: join(other, "log.db"), readonly: false, mustExist: false });
    database.exec("create table notes(text)");
    database.close();
    assert.match(await refusal(optionsFor(other), "foreign"), /database of another program/);
    const newer = join(directory, "newer");
    await fill(newer, 1);
    const shell = sqlite.open({ path: join(newer, "tree.db"), readonly: false, mustExist: true });
    shell.exec("pragma user_version = 99");
    shell.close();
    assert.match(await refusal(optionsFor(newer), "foreign"), /version 99 of the format/);
    const folder = join(directory, "folder");
    fs.mkdirSync(join(folder, "log.db"), { recursive: true });
    assert.match(await refusal(optionsFor(folder), "access"), /found a directory where a file should be/);
    const empty = join(directory, "empty");
    fs.mkdirSync(empty);
    fs.writeFileSync(join(empty, "log.db"), "");
    assert.match(await refusal(optionsFor(empty), "damaged"), /the file is empty/);
    const file = join(directory, "file");
    fs.writeFileSync(file, "");
    assert.match(await refusal(optionsFor(file), "access"), /found a file, not a directory/);
    assert.match(await refusal(optionsFor(join(file, "below")), "access"), /ENOTDIR|not a directory/);
    assert.match(
      await refusal(optionsFor(join(directory, "none"), { mustExist: true }), "access"),
      /no such directory/,
    );
    fs.mkdirSync(join(directory, "bare"));
    assert.match(
      await refusal(optionsFor(join(directory, "bare"), { mustExist: true }), "access"),
      /no such file/,
    );
  });
});

test("no permission is told as such", async (t) => {
  if (process.getuid?.() === 0) return t.skip("root may do everything");
  await withDirectory(async (directory) => {
    fs.chmodSync(directory, 0o500);
    await refusal(optionsFor(directory), "access");
    fs.chmodSync(directory, 0o700);
  });
});

test("a changed byte in the log is noticed, with its file and zxid", async () => {
  await withDirectory(async (directory) => {
    const { storage } = await open(optionsFor(directory));
    const { bytes, first, last } = storyBatch(1, 20);
    const durable = new Promise((resolve) => storage.onDurable = resolve);
    storage.append(bytes, first as Zxid, last as Zxid, 20);
    await durable;
    await storage.close();
    const path = join(directory, "log.db");
    const content = new Uint8Array(fs.readFileSync(path));
    const needle = new TextEncoder().encode("/p/17");
    const at = content.findIndex((_, i) => needle.every((byte, k) => content[i + k] === byte));
    assert.ok(at > 0);
    content[at + 3] = 0x39;
    fs.writeFileSync(path, content);
    const message = await refusal(optionsFor(directory), "damaged");
    assert.match(message, /batch at zxid 0x100000001 of .*log\.db: the checksum is .* was written. Restore/);
  });
});

/** Flips a bit at each place of `needle` in the file: the row's, its index's. */
function spoil(directory: string, name: string, needle: string): void {
  const path = join(directory, name);
  const content = fs.readFileSync(path);
  let at = content.indexOf(needle);
  assert.ok(at > 0, `${needle} is in ${name}`);
  for (; at > 0; at = content.indexOf(needle, at + 1)) content[at] = (content[at] as number) ^ 2;
  fs.writeFileSync(path, content);
}

test("torn pages of the table are told as damage, or made good from a whole log", async () => {
  await withDirectory(async (directory) => {
    const tear = () => {
      const path = join(directory, "tree.db");
      const content = new Uint8Array(fs.readFileSync(path));
      content.fill(0x55, 8 * 4096, 60 * 4096);
      fs.writeFileSync(path, content);
    };
    await fill(directory, 3000);
    tear();
    const mended = await open(optionsFor(directory, { logRetainTxns: 10 }));
    mended.reader.check();
    assert.equal(mended.reader.last, 3000);
    assert.match(mended.recovered.notes.join(), /malformed.* It was made again from the whole log/);
    await mended.storage.close();
    const cut = await open(optionsFor(directory, { logRetainTxns: 10 }));
    for (let n = 3001; n < 3100; n += 10) await cut.append(n, 10);
    await cut.storage.close();
    tear();
    assert.match(await refusal(optionsFor(directory), "damaged"), /malformed/);
  });
});

test("a znode that is not as it was written is never served", async () => {
  await withDirectory(async (directory) => {
    const options = optionsFor(directory, { logRetainTxns: 1 });
    for (let n = 1; n <= 200; n += 100) {
      const one = await open(options);
      for (let i = n; i < n + 100; i += 10) await one.append(i, 10);
      await one.storage.close();
    }
    spoil(directory, "tree.db", "/p/101");
    const message = await refusal(options, "damaged");
    const [, advice = ""] = /sqlite3 .*tree\.db "(.*)"/.exec(message) ?? [];
    assert.match(
      message,
      /tree\.db: row \d+, "-p\/101", is not as it was written\. Restore .* crc = null where/,
    );
    // The operator may say that it is right all the same.
    const shell = sqlite.open({ path: join(directory, "tree.db"), readonly: false, mustExist: true });
    shell.exec(advice);
    shell.close();
    const two = await open(options);
    assert.ok(two.reader.data.has("-p/101"));
    await two.storage.close();
    await (await open(options)).storage.close();
  });
});

/** Appends with the storage core in this thread, and leaves the files as a killed process does. */
function writeAndKill(directory: string, batches: number, serverId: number | null): void {
  const send = driveCore(
    (post) => new StorageCore({ sqlite, files, clock: new StoryClock() }, post),
    (message) => assert.notEqual(message.kind, "failed"),
  );
  const live = join(directory, "live");
  send({ kind: "open", options: optionsFor(live, { serverId }) });
  if (serverId !== null) send({ kind: "execute", command: { kind: "epochs", accepted: 2, current: 1 } });
  for (let n = 1; n <= batches; n++) {
    const { bytes, first, last } = storyBatch(n, 1);
    send({ kind: "append", bytes, first, last, txns: 1, committed: last });
  }
  fs.cpSync(live, join(directory, "killed"), { recursive: true });
  send({ kind: "close" });
}

test("a damaged frame of the WAL is no end of the log", async () => {
  await withDirectory(async (directory) => {
    writeAndKill(directory, 40, null);
    const killed = join(directory, "killed");
    spoil(killed, "log.db-wal", "/p/31");
    const message = await refusal(optionsFor(killed), "damaged");
    assert.match(
      message,
      /it ends at zxid 0x1000000\w\w, and log\.mark says that zxid 0x100000028 was durable: /,
    );
    assert.match(
      message,
      /: \d+ acknowledged txns are missing\. Restore .* remove log\.mark and start again/,
    );
    await refusal(optionsFor(killed), "damaged");
    fs.rmSync(join(killed, "log.mark"));
    const { storage, reader, append } = await open(optionsFor(killed));
    reader.check();
    assert.ok(reader.last > 20 && reader.last < 40, `${reader.last} of 40 are left`);
    await append(reader.last + 1, 1);
    await storage.close();
  });
});

test("a member that lacks what it acknowledged says so until it has followed a leader", async () => {
  await withDirectory(async (directory) => {
    writeAndKill(directory, 40, 3);
    const killed = join(directory, "killed");
    const options = optionsFor(killed, { serverId: 3, hasPeers: true });
    spoil(killed, "log.db-wal", "/p/31");
    const one = await open(options);
    assert.deepEqual([one.recovered.zxidLast, one.recovered.epochAccepted], [0, 2]);
    assert.match(one.recovered.lacks ?? "", /acknowledged txns are missing/);
    await one.storage.close();
    const two = await open(options);
    assert.match(two.recovered.lacks ?? "", /acknowledged txns are missing/);
    const execute = (command: StoredCommand) =>
      new Promise<void>((resolve, reject) => {
        two.storage.onStored = resolve;
        two.storage.onFailure = reject;
        two.storage.execute(command);
      });
    await execute({ kind: "epochs", accepted: 3, current: 0 });
    assert.ok(fs.existsSync(join(killed, "log.db.damaged")));
    await execute({ kind: "replaceBegin" });
    for (const bytes of storyRows(50)) await execute({ kind: "replaceRows", bytes });
    await execute({ kind: "replaceEnd", zxid: (zxidStart + 50) as Zxid });
    await execute({ kind: "epochs", accepted: 3, current: 2 });
    await two.storage.close();
    const three = await open(options);
    assert.equal(three.recovered.lacks, null);
    three.reader.check();
    assert.equal(three.reader.last, 50);
    assert.deepEqual(files.list(killed), [
      "log.db",
      "log.db-wal",
      "log.mark",
      "tree.db",
      "tree.db-shm",
      "tree.db-wal",
    ]);
    await three.storage.close();
  });
});

test("a half-made file of an earlier start is replaced, and noted", async () => {
  await withDirectory(async (directory) => {
    fs.writeFileSync(join(directory, "log.db.new"), new Uint8Array(5000).fill(3));
    fs.writeFileSync(join(directory, "tree.db.new"), "");
    fs.writeFileSync(join(directory, "log.db-wal"), new Uint8Array(5000).fill(3));
    fs.writeFileSync(join(directory, "log.db.making"), "");
    const one = await open(optionsFor(directory));
    assert.equal(one.recovered.notes.length, 2);
    assert.match(one.recovered.notes.join(), /log\.db\.new of a start that ended half-way was replaced/);
    await one.append(1, 4);
    await one.storage.close();
    assert.deepEqual(files.list(directory), ["log.db", "log.mark", "tree.db"]);
  });
});

test("sync=off stores as well, and never syncs an append", async () => {
  await withDirectory(async (directory) => {
    const one = await open(optionsFor(directory, { sync: "off" }));
    for (let n = 1; n <= 30; n++) await one.append(n, 1);
    await one.storage.close();
    const two = await open(optionsFor(directory, { sync: "off" }));
    assert.equal(two.recovered.zxidLast, zxidStart + 30);
    two.reader.check();
    await two.storage.close();
  });
});

test("sessions are kept, in all 64 bits", async () => {
  await withDirectory(async (directory) => {
    const { batchOf, txnBytes } = await import("./txns.ts");
    const one = await open(optionsFor(directory));
    const ids: [number, number][] = [[0x1000_0001, -5], [-2, 7], [0, 9]];
    const txns = ids.map(([sessionHi, sessionLo], i) =>
      txnBytes({ kind: "createSession", timeoutMs: 1000 + i }, {
        zxid: zxidStart + 1 + i,
        timeMs: 1,
        sessionHi,
        sessionLo,
      })
    );
    const durable = new Promise((resolve) => one.storage.onDurable = resolve);
    one.storage.append(batchOf(txns), (zxidStart + 1) as Zxid, (zxidStart + 3) as Zxid, 3);
    await durable;
    one.storage.committed((zxidStart + 3) as Zxid);
    await one.storage.close();
    const two = await open(optionsFor(directory));
    assert.deepEqual(two.sessions.sort(), ids.map(([hi, lo], i) => [hi, lo, 1000 + i]).sort());
    await two.storage.close();
  });
});

test("the log stays small when it is purged, however long it is written", async () => {
  await withDirectory((directory) => {
    const story = new StoryClock();
    const seen: FromWorker[] = [];
    const send = driveCore(
      (post) => new StorageCore({ sqlite, files, clock: story }, post),
      (m) => void seen.push(m),
    );
    send({ kind: "open", options: optionsFor(directory, { logRetainTxns: 100 }) });
    let next = 1;
    let half = 0;
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 10; i++) {
        const { bytes, first, last } = storyBatch(next, 50);
        next += 50;
        send({ kind: "append", bytes, first, last, txns: 50, committed: last });
      }
      story.advance(3000);
      if (round === 20) half = fs.statSync(join(directory, "log.db")).size;
    }
    send({ kind: "close" });
    assert.equal(seen.at(-1)?.kind, "closed");
    assert.ok(
      half > 0 && fs.statSync(join(directory, "log.db")).size <= half * 1.2,
      `${half} bytes, then more`,
    );
  });
});

/** SQLite whose files may not grow beyond so many pages: a full disk, without one. */
function cramped(name: string, pages: number): SqlitePort {
  return {
    version: sqlite.version,
    open(options) {
      const database = sqlite.open(options);
      if (options.path.endsWith(name)) database.exec(`pragma max_page_count = ${pages}`);
      return database;
    },
  };
}

for (const name of ["log.db", "tree.db"]) {
  test(`a full disk under ${name} is told once; what was acknowledged is there`, async () => {
    await withDirectory((directory) => {
      const story = new StoryClock();
      const seen: FromWorker[] = [];
      const send = driveCore(
        (post) => new StorageCore({ sqlite: cramped(name, 60), files, clock: story }, post),
        (message) => void seen.push(message),
      );
      send({ kind: "open", options: optionsFor(directory) });
      let acknowledged = 0;
      for (let n = 1; n < 4000; n += 20) {
        const { bytes, first, last } = storyBatch(n, 20);
        send({ kind: "append", bytes, first, last, txns: 20, committed: last });
        const answer = seen.at(-1);
        if (answer?.kind === "durable") acknowledged = answer.last - zxidStart;
        if (n % 200 === 1) story.advance(3000);
      }
      const failures = seen.filter((message) => message.kind === "failed");
      assert.equal(failures.length, 1);
      assert.equal(failures[0]?.code, "full");
      assert.match(failures[0]?.message ?? "", /database or disk is full.*Make room/);
      assert.equal(seen.at(-1)?.kind, "failed");
      assert.ok(acknowledged >= 20);
      const copy = join(directory, "copy");
      fs.mkdirSync(copy);
      // The core above still has the files open, as a process that is about to end.
      for (const file of fs.readdirSync(directory)) {
        if (/\.db(-wal)?$/.test(file)) fs.copyFileSync(join(directory, file), join(copy, file));
      }
      const reader = new StoryReader();
      const again = driveCore(
        (post) => new StorageCore({ sqlite, files, clock: new StoryClock() }, post),
        (message) => reader.hear(message),
      );
      again({ kind: "open", options: optionsFor(copy) });
      assert.ok(reader.last >= acknowledged, `${reader.last} of ${acknowledged}`);
      reader.check();
      again({ kind: "close" });
    });
  });
}

test("a disk that is full under a snapshot is told once; the old state is there", async () => {
  await withDirectory((directory) => {
    const seen: FromWorker[] = [];
    const make = (port: SqlitePort, hear: (message: FromWorker) => void) =>
      driveCore((post) => new StorageCore({ sqlite: port, files, clock: new StoryClock() }, post), hear);
    const send = make(cramped("tree.db.next", 30), (message) => void seen.push(message));
    send({ kind: "open", options: optionsFor(directory) });
    const { bytes, first, last } = storyBatch(1, 20);
    send({ kind: "append", bytes, first, last, txns: 20, committed: last });
    send({ kind: "execute", command: { kind: "replaceBegin" } });
    for (const rows of storyRows(5000)) {
      send({ kind: "execute", command: { kind: "replaceRows", bytes: rows } });
    }
    send({ kind: "execute", command: { kind: "replaceEnd", zxid: (zxidStart + 5000) as Zxid } });
    const failures = seen.filter((message) => message.kind === "failed");
    assert.deepEqual(failures.map(({ code }) => code), ["full"]);
    assert.match(failures[0]?.message ?? "", /Cannot store a snapshot: .*Make room/);
    const copy = join(directory, "copy");
    fs.mkdirSync(copy);
    for (const file of fs.readdirSync(directory)) {
      if (/\.db(-wal|\.next)?$/.test(file)) fs.copyFileSync(join(directory, file), join(copy, file));
    }
    const reader = new StoryReader();
    const again = make(sqlite, (message) => reader.hear(message));
    again({ kind: "open", options: optionsFor(copy) });
    assert.equal(reader.last, 20);
    reader.check();
    again({ kind: "close" });
  });
});

test("a full file system is told as such", async (t) => {
  await withDirectory(async (directory) => {
    const { execFileSync } = await import("node:child_process");
    const mount = join(directory, "small");
    fs.mkdirSync(mount);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], { stdio: "pipe" });
    } catch {
      return t.skip("only root may mount a small file system");
    }
    try {
      const { append } = await open(optionsFor(mount));
      let failure: unknown = null;
      for (let n = 1; n < 100_000 && failure === null; n += 500) {
        await append(n, 500).catch((error) => failure = error);
      }
      assert.ok(failure instanceof StorageError, String(failure));
      assert.equal(failure.code, "full", failure.message);
    } finally {
      execFileSync("umount", ["-l", mount], { stdio: "pipe" });
    }
  });
});

test("an operator who locks the table only delays it", async () => {
  await withDirectory((directory) => {
    const story = new StoryClock();
    const seen: FromWorker[] = [];
    const send = driveCore(
      (post) => new StorageCore({ sqlite, files, clock: story }, post),
      (m) => void seen.push(m),
    );
    send({ kind: "open", options: optionsFor(directory) });
    const shell = sqlite.open({ path: join(directory, "tree.db"), readonly: false, mustExist: true });
    shell.exec("begin immediate");
    const { bytes, first, last } = storyBatch(1, 20);
    send({ kind: "append", bytes, first, last, txns: 20, committed: last });
    story.advance(5000);
    shell.exec("rollback");
    story.advance(5000);
    assert.equal(shell.prepare("select value from meta where name = 'zxid'").get()?.[0], last);
    shell.close();
    send({ kind: "close" });
    assert.deepEqual(seen.filter((message) => message.kind === "failed"), []);
  });
});

function startChild(
  directory: string,
  next: number,
  count: number,
  env: { data?: string; epochs?: number } = {},
): Child {
  const script = fileURLToPath(new URL("./kill_child.ts", import.meta.url));
  const args = [
    ...(isBun ? [] : ["run", "-A", "--no-check"]),
    script,
    directory,
    String(next),
    String(count),
    String(env.epochs ?? 0),
  ];
  return new Child(process.execPath, args, env.data === undefined ? {} : { env: { KILL_DATA: env.data } });
}

test("a process killed at any moment loses nothing that it acknowledged", { timeout: 60_000 }, async () => {
  await withDirectory(async (directory) => {
    let last = 0;
    let epochs = 0;
    for (const [round, ms] of [0, 1, 5, 30, 150, 700, 1600].entries()) {
      const child = startChild(directory, last + 1, round % 2 === 0 ? 1 : 40, { epochs });
      if (round > 0) await child.untilOutput(/durable/, 15_000);
      else await new Promise((r) => setTimeout(r, 60));
      await new Promise((r) => setTimeout(r, ms));
      child.kill("SIGKILL");
      await child.exited(5000);
      const told = [...child.stdout.matchAll(/durable (\d+)/g)].map((match) => Number(match[1]));
      const options = optionsFor("", {
        dataDir: join(directory, "data"),
        dataLogDir: join(directory, "log"),
      });
      const { storage, reader } = await open(options);
      assert.ok(reader.real >= (told.at(-1) ?? last), `${reader.real}, ${told.at(-1)} was acknowledged`);
      reader.check();
      last = reader.real;
      const stored = [...child.stdout.matchAll(/epochs (\d+)/g)].map((match) => Number(match[1])).at(-1) ??
        epochs;
      assert.ok(reader.epochs === stored || reader.epochs === stored + 1, `${reader.epochs}, not ${stored}`);
      epochs = reader.epochs;
      await storage.close();
    }
    assert.ok(last > 100, `only ${last} txns in all`);
  });
});

test(
  "a worker ended in the middle of an append leaves the files free, and whole",
  { timeout: 30_000 },
  async () => {
    await withDirectory(async (directory) => {
      let handle: WorkerHandle | null = null;
      const port: WorkerPort = {
        spawn(url, name) {
          handle = worker.spawn(url, name);
          return handle;
        },
      };
      let last = 0;
      for (let round = 0; round < 4; round++) {
        const { storage, reader, append } = await openOnceFree(optionsFor(directory), port);
        assert.ok(reader.last >= last, `${reader.last}, ${last} was acknowledged`);
        reader.check();
        await append(reader.last + 1, 30);
        last = reader.last + 30;
        const { bytes, first, last: never } = storyBatch(last + 1, 30);
        storage.append(bytes, first as Zxid, never as Zxid, 30);
        (handle as WorkerHandle | null)?.terminate();
      }
    });
  },
);

test("a worker that ends is told as a failure", async () => {
  await withDirectory(async (directory) => {
    let handle: WorkerHandle | null = null;
    const port: WorkerPort = {
      spawn(url, name) {
        handle = worker.spawn(url, name);
        return handle;
      },
    };
    const { storage } = await open(optionsFor(directory), port);
    const failed = new Promise<StorageError>((resolve) => storage.onFailure = resolve);
    // No message that it knows: our own mistake, which ends the worker.
    const broken = { kind: "nonsense" } as unknown as ToWorker;
    (handle as WorkerHandle | null)?.post(broken);
    assert.match((await failed).message, /storage worker/);
    await storage.close();
  });
});

/** The files that others may read, with their modes. */
function modesOf(directory: string): string[] {
  return fs.readdirSync(directory).sort().map((name) =>
    `${name} ${(fs.statSync(join(directory, name)).mode & 0o777).toString(8)}`
  ).filter((line) => !line.endsWith(" 600"));
}

test("data files are their owner's alone, also those of a directory that was open to all", async () => {
  await withDirectory(async (base) => {
    const made = join(base, "a", "b");
    const { storage, append } = await open(optionsFor(made));
    await append(1, 5);
    for (const path of [join(base, "a"), made]) assert.equal(fs.statSync(path).mode & 0o777, 0o700);
    assert.deepEqual(modesOf(made), []);
    const rows = storyRows(9).map((bytes) => ({ kind: "replaceRows", bytes }) as const);
    const commands = [{ kind: "replaceBegin" }, ...rows, {
      kind: "replaceEnd",
      zxid: (zxidStart + 9) as Zxid,
    }] as const;
    for (const command of commands) {
      await new Promise<void>((resolve, reject) => {
        storage.onStored = resolve;
        storage.onFailure = reject;
        storage.execute(command);
      });
      assert.deepEqual(modesOf(made), [], command.kind);
    }
    await storage.close();

    fs.chmodSync(made, 0o755);
    for (const name of fs.readdirSync(made)) fs.chmodSync(join(made, name), 0o644);
    const again = await open(optionsFor(made));
    await again.append(10, 5);
    assert.deepEqual(modesOf(made), []);
    assert.equal(fs.statSync(made).mode & 0o777, 0o755, "the operator's directory stays as it is");
    await again.storage.close();
  });
});
