/**
 * Power cuts: whatever instant the power fails at, the directory starts by itself and holds every
 * acknowledged txn.
 *
 * A child process writes while a preloaded library records its system calls. From the record, disks
 * are built as a cut may leave them, the first start included, and a storage is opened on each.
 * ZOOLET_CUTS says how many (60), ZOOLET_SEED where to begin (1).
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { files } from "../../src/runtime/shared/files.ts";
import type { Zxid } from "../../src/core/base/zxid.ts";
import { LogMark } from "../../src/storage/log_mark.ts";
import { StorageCore } from "../../src/storage/storage_core.ts";
import type { FromWorker } from "../../src/storage/messages.ts";
import { Child } from "../support/child.ts";
import { Random } from "../support/random.ts";
import { isBun, sqlite, withDirectory } from "../support/runtime_storage.ts";
import { DiskModel, readTrace } from "./powercut_disk.ts";
import type { TraceRecord } from "./powercut_disk.ts";
import { driveCore, storyBatch, StoryClock, StoryReader, zxidStart } from "./powercut_story.ts";

const cuts = Number(process.env["ZOOLET_CUTS"] ?? 60);
const seed = Number(process.env["ZOOLET_SEED"] ?? 1);
const lives = Math.max(2, Math.ceil(cuts / 100));

/** The library, or why there is none. */
function buildLibrary(directory: string): string | { readonly reason: string } {
  if (process.platform !== "linux") return { reason: "records system calls on Linux only" };
  const library = join(directory, "powercut.so");
  const source = fileURLToPath(new URL("./powercut.c", import.meta.url));
  try {
    execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], { stdio: "pipe" });
  } catch (error) {
    return {
      reason: `no C compiler: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`,
    };
  }
  return library;
}

async function recordLives(
  library: string,
  base: string,
  seedOfLife: number,
  env: Record<string, string> = {},
  again = "",
): Promise<TraceRecord[]> {
  const directory = join(base, `life-${seedOfLife}`);
  const trace = `${directory}.trace`;
  mkdirSync(directory, { recursive: true });
  const script = fileURLToPath(new URL("./powercut_child.ts", import.meta.url));
  const args = [
    ...(isBun ? [] : ["run", "-A", "--no-check"]),
    script,
    directory,
    trace,
    String(seedOfLife),
    again,
  ];
  const child = new Child(process.execPath, args, {
    env: { LD_PRELOAD: library, POWERCUT_DIR: directory, POWERCUT_TRACE: trace, ...env },
  });
  if (!await child.exited(30_000)) child.kill();
  assert.equal(child.exit?.code, 0, child.describe());
  assert.match(child.stdout, /^(done|failed)/);
  return readTrace(new Uint8Array(readFileSync(trace)));
}

interface Promised {
  readonly acknowledged: number;
  readonly epochs: number;
  readonly wrong: boolean;
}

/**
 * Opens the directory, checks that it holds at least what was acknowledged and no epochs but those
 * that were stored or about to be, truncates what has to go, writes more, and looks again.
 */
function openAndCheck(directory: string, promised: Promised): void {
  const options = {
    dataDir: directory,
    dataLogDir: directory,
    sync: "full",
    logRetainTxns: 100,
    logRetainMs: 0,
    mustExist: false,
    serverId: 3,
  } as const;
  let last = promised.acknowledged;
  let epochs = promised.epochs;
  for (let round = 0; round < 2; round++) {
    const reader = new StoryReader();
    const seen: string[] = [];
    const send = driveCore(
      (post) => new StorageCore({ sqlite, files, clock: new StoryClock() }, post),
      (message: FromWorker) => {
        seen.push(message.kind);
        if (message.kind === "failed") throw new Error(`${message.code}: ${message.message}`);
        reader.hear(message);
      },
    );
    send({ kind: "open", options });
    assert.ok(seen.includes("recovered"), "it recovers");
    assert.ok(reader.real >= last, `txn ${reader.real} is the last, ${last} was acknowledged`);
    assert.ok(reader.wrong === 0 || (promised.wrong && round === 0), `${reader.wrong} txns came back`);
    const epochsMax = epochs + (round === 0 ? 1 : 0);
    assert.ok(
      reader.epochs >= epochs && reader.epochs <= epochsMax,
      `epochs ${reader.epochs}, not ${epochs}`,
    );
    epochs = reader.epochs;
    reader.check();
    send({ kind: "execute", command: { kind: "truncate", after: zxidOf(reader.real) } });
    assert.ok(seen.includes("stored"), "it truncates");
    const batch = storyBatch(reader.real + 1, 2);
    send({
      kind: "append",
      bytes: batch.bytes,
      first: batch.first,
      last: batch.last,
      txns: 2,
      committed: batch.last,
    });
    assert.ok(seen.includes("durable"), "it goes on");
    last = reader.real + 2;
    send({ kind: "close" });
    assert.ok(seen.includes("closed"), "it closes");
  }
}

function zxidOf(n: number): Zxid {
  return (n === 0 ? 0 : zxidStart + n) as Zxid;
}

test("every cut leaves a directory that starts by itself with all that was acknowledged", {
  timeout: 600_000,
}, async (t) => {
  await withDirectory(async (base) => {
    const library = buildLibrary(base);
    if (typeof library !== "string") return t.skip(library.reason);
    let done = 0;
    for (let life = 0; life < lives; life++) {
      const records = await recordLives(library, base, seed + life);
      const syncs = records.filter((record) => record.kind === "S").length;
      const names = records.filter((record) => record.kind === "D").length;
      assert.ok(syncs > 50 && names > 3, `the library saw ${syncs} syncs and ${names} of directories`);
      const firstAck = records.findIndex((record) => record.kind === "A");
      const random = new Random(seed + life);
      const renames = records.flatMap((record, i) => record.kind === "R" ? [i] : []);
      const points = Array.from({ length: Math.ceil(cuts / lives) }, () => {
        // A third of them in the first start, where files are made, and one where a file takes another's name.
        if (random.percent(33)) return random.below(firstAck + 20);
        if (random.percent(50)) return Math.max(0, random.pick(renames) - 20) + random.below(30);
        return random.below(records.length + 1);
      }).sort((a, b) => a - b);
      const disk = new DiskModel();
      let at = 0;
      for (const point of points) {
        for (; at < Math.min(point, records.length); at++) disk.play(records[at] as TraceRecord);
        const directory = join(base, "cut");
        mkdirSync(directory);
        const how = disk.cut(random, directory);
        try {
          openAndCheck(directory, disk);
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          throw new Error(`seed ${seed + life}, record ${point} of ${records.length}, ${how}: ${message}`, {
            cause: error,
          });
        }
        rmSync(directory, { recursive: true });
        done++;
      }
    }
    assert.ok(done >= cuts, `${done} cuts`);
  });
});

test("what a failed fsync left in the kernel's memory is on the disk before it is counted on", {
  timeout: 60_000,
}, async (t) => {
  await withDirectory(async (base) => {
    const library = buildLibrary(base);
    if (typeof library !== "string") return t.skip(library.reason);
    for (const fails of [20, 33]) {
      const life = seed + fails;
      await recordLives(library, base, life, { POWERCUT_FAIL_SYNC: String(fails) });
      const records = await recordLives(library, base, life, {}, "again");
      assert.ok(records.some((record) => record.kind === "L"), "pages were lost");
      const disk = new DiskModel();
      for (const record of records) disk.play(record);
      const random = new Random(life);
      for (let i = 0; i < 8; i++) {
        const directory = join(base, "cut");
        mkdirSync(directory);
        const how = disk.cut(random, directory);
        try {
          openAndCheck(directory, { acknowledged: disk.acknowledged, epochs: disk.epochs, wrong: true });
        } catch (error) {
          throw new Error(`sync ${fails} failed, ${how}: ${String(error)}`, { cause: error });
        }
        rmSync(directory, { recursive: true });
      }
    }
  });
});

/** Opens the directory, and says whether a bit that was flipped there was noticed. Throws where it was served. */
function openFlipped(directory: string, disk: DiskModel): boolean {
  const logMark = new LogMark(files, join(directory, "log.mark"), true);
  const marked = Math.max(0, (logMark.found?.last ?? 0) - zxidStart);
  const reader = new StoryReader();
  let failed: string | null = null;
  const send = driveCore(
    (post) => new StorageCore({ sqlite, files, clock: new StoryClock() }, post),
    (message: FromWorker) => {
      if (message.kind === "failed") failed = `${message.code}: ${message.message}`;
      else if (message.kind === "again") reader.data.clear();
      else reader.hear(message);
    },
  );
  const [dataDir, dataLogDir] = [directory, directory];
  const limits = { logRetainTxns: 100, logRetainMs: 0, mustExist: false, serverId: 3 };
  send({ kind: "open", options: { dataDir, dataLogDir, sync: "full", ...limits } });
  if (failed !== null) return true;
  // Behind the mark is what was acknowledged in the last quarter of a second: a torn write looks the same.
  const least = Math.min(disk.acknowledged, marked);
  assert.ok(reader.real >= least, `txn ${reader.real} is the last, ${least} was marked`);
  assert.ok(reader.wrong === 0 || disk.wrong, `${reader.wrong} txns came back`);
  reader.check();
  send({ kind: "close" });
  return false;
}

test("a bit that flips after a cut is noticed, or changes nothing that the mark knows of", {
  timeout: 600_000,
}, async (t) => {
  await withDirectory(async (base) => {
    const library = buildLibrary(base);
    if (typeof library !== "string") return t.skip(library.reason);
    const records = await recordLives(library, base, seed + 1000);
    const firstAck = records.findIndex((record) => record.kind === "A");
    const random = new Random(seed);
    let noticed = 0;
    for (let i = 0; i < cuts / 3; i++) {
      const disk = new DiskModel();
      const point = firstAck + 1 + random.below(records.length - firstAck);
      for (const record of records.slice(0, point)) disk.play(record);
      const directory = join(base, "cut");
      mkdirSync(directory);
      disk.cut(random, directory);
      const name = random.pick(readdirSync(directory).filter((one) => /^(log|tree)\.db(-wal)?$/.test(one)));
      const bytes = readFileSync(join(directory, name));
      const at = random.below(Math.max(1, bytes.length));
      const bit = random.below(8);
      if (bytes.length > 0) bytes[at] = (bytes[at] as number) ^ (1 << bit);
      writeFileSync(join(directory, name), bytes);
      try {
        if (openFlipped(directory, disk)) noticed++;
      } catch (error) {
        throw new Error(
          `seed ${seed}, cut ${i} at ${point}, bit ${bit} of byte ${at} of ${name}: ${String(error)}`,
          {
            cause: error,
          },
        );
      }
      rmSync(directory, { recursive: true });
    }
    assert.ok(noticed > 0, "some were noticed");
  });
});

test("a failed fsync is told once, and nothing is acknowledged after it", { timeout: 60_000 }, async (t) => {
  await withDirectory(async (base) => {
    const library = buildLibrary(base);
    if (typeof library !== "string") return t.skip(library.reason);
    const records = await recordLives(library, base, seed, { POWERCUT_FAIL_SYNC: "20" });
    const failures = records.filter((record) => record.kind === "F");
    assert.deepEqual(failures.map((record) => record.name), ["io"]);
    const story = records.filter((record) => record.kind === "F" || record.kind === "A");
    assert.equal(story.at(-1)?.kind, "F");
    const acknowledged = records.filter((record) => record.kind === "A").at(-1)?.offset ?? 0;
    assert.ok(acknowledged > 0, "some were acknowledged before");
    const epochs = records.filter((record) => record.kind === "E").at(-1)?.offset ?? 0;
    openAndCheck(join(base, `life-${seed}`), { acknowledged, epochs, wrong: true });
    assert.ok(existsSync(join(base, `life-${seed}`, "log.db")));
  });
});
