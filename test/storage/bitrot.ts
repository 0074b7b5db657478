/**
 * Bit rot: a directory as a killed server leaves it, one bit of one file flipped, and what comes of it.
 *
 * The server is a real peer over a real storage core, both in this thread. After the flip it starts; what
 * it then has in memory is held against what it had before. If nothing was noticed it writes to all that
 * there is, the table follows, it stops and starts again: a bit in an index is noticed only then, or not
 * at all because no one looks at it.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { type Acl, aclOpen, aclRead } from "../../src/core/wire/records.ts";
import {
  writeCreateRequest,
  writeDeleteRequest,
  writeSetAclRequest,
  writeSetDataRequest,
} from "../../src/core/wire/requests.ts";
import type { Zxid } from "../../src/core/base/zxid.ts";
import type { Loader } from "../../src/core/peer/loader.ts";
import type { SqliteDatabase, SqliteOpenOptions } from "../../src/runtime/ports.ts";
import { files } from "../../src/runtime/shared/files.ts";
import { i32At, txnEndAt, txnZxidAt } from "../../src/storage/batch_bytes.ts";
import type { FromWorker, ToWorker } from "../../src/storage/messages.ts";
import { StorageCore } from "../../src/storage/storage_core.ts";
import { Driver, type DriverLine, rowsOf } from "../core/peer/driver.ts";
import { Random } from "../support/random.ts";
import { sqlite } from "../support/runtime_storage.ts";
import { StoryClock } from "./powercut_story.ts";

export const rotFiles = ["log.db", "log.db-wal", "tree.db", "tree.db-wal", "log.mark"] as const;
export type RotFile = typeof rotFiles[number];

/** `silent`: served as if it were right. It never may. */
export type Outcome = "refused" | "started over" | "made again" | "cut off" | "red" | "harmless" | "silent";

/** A single server, one whose log still holds everything, or a member. */
export type Role = "single" | "whole log" | "member";

class Refused extends Error {}

/** Nothing is synced: the power stays on, and a run is ten times as fast. */
const quick = {
  sqlite: {
    version: sqlite.version,
    open(options: SqliteOpenOptions): SqliteDatabase {
      const database = sqlite.open(options);
      return {
        exec: (sql) => database.exec(sql.replace(/synchronous = (full|normal)/, "synchronous = off")),
        prepare: (sql) => database.prepare(sql),
        close: () => database.close(),
      };
    },
  },
  files: {
    ...files,
    syncFile() {},
    syncDirectory() {},
    rewrite() {},
    openInPlace: (path: string) => ({ ...files.openInPlace(path), sync() {} }),
  },
};

/** The last checksum, and what it is of: all that clients can see. */
function contentOf({ peer }: Driver): Buffer {
  const sessions = [...peer.sessions.all()].map(({ id, timeoutMs }) => `${id} ${timeoutMs}`).sort().join();
  return Buffer.concat([rowsOf(peer), Buffer.from(`${sessions} ${peer.zxid}`)]);
}

/** One life of a server, from its start on. Throws Refused where it ends by itself. */
class Life {
  readonly driver: Driver;
  readonly clock = new StoryClock();
  readonly notes: string[] = [];
  lacks: string | null = null;
  readonly #inbox: ToWorker[] = [];
  readonly #core: StorageCore;
  #loader: Loader | null = null;
  #refused = false;
  #failed: string | null = null;
  #zxidLast = 0;
  #appended = 0;
  #zxidLogFirst = 0;

  constructor(directory: string, role: Role) {
    this.#core = new StorageCore({ ...quick, clock: this.clock }, (message) => this.#hear(message));
    const isMember = role === "member";
    this.driver = new Driver({}, (loader) => {
      this.#loader = loader;
      this.send({
        kind: "open",
        options: {
          dataDir: directory,
          dataLogDir: directory,
          sync: "full",
          logRetainTxns: role === "whole log" ? 1_000_000 : 40,
          logRetainMs: 0,
          mustExist: false,
          serverId: isMember ? 3 : null,
          hasPeers: isMember,
        },
      });
      return this.#zxidLast as Zxid;
    });
  }

  send(message: ToWorker): void {
    this.#inbox.push(message);
    for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
      this.#core.handle(next);
    }
    if (this.#failed !== null) throw new Refused(this.#failed);
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case "failed":
        this.#failed = `${message.code}: ${message.message}`;
        return;
      case "recovered":
        this.#zxidLast = message.zxidLast;
        this.notes.push(...message.notes);
        this.lacks = message.lacks ?? null;
        return;
      case "stats":
        this.#zxidLogFirst = message.stats.zxidLogFirst;
        return;
      case "note":
        this.notes.push(message.message);
        return;
      case "again":
        this.#refused = false;
        return this.#loader?.again();
      case "rows":
      case "batch":
        this.#inbox.push({ kind: "taken" });
    }
    if (this.#refused) return;
    try {
      this.#tell(message);
    } catch (error) {
      this.#refused = true;
      this.#inbox.push({ kind: "refused", reason: String(error) });
    }
  }

  #tell(message: FromWorker): void {
    const loader = this.#loader as Loader;
    if (message.kind === "rows") loader.rows(message.bytes);
    else if (message.kind === "batch") loader.batch(message.bytes);
    else if (message.kind === "treeComplete") {
      loader.treeComplete(message.zxid as Zxid, message.committed as Zxid, message.digest);
    } else if (message.kind === "sessions") {
      const { list } = message;
      for (let i = 0; i < list.length; i += 3) {
        loader.session(list[i] as number, list[i + 1] as number, list[i + 2] as number);
      }
    }
  }

  /** What the peer has decided goes to the disk. */
  settle(): void {
    const { driver } = this;
    driver.settle();
    for (const batch of driver.log.slice(this.#appended)) {
      let [txns, last] = [0, 0];
      for (let at = 0; at < batch.length; at = txnEndAt(batch, at), txns++) last = txnZxidAt(batch, at);
      const first = txnZxidAt(batch, 0);
      if (i32At(batch, 0) < 0) throw new Error("a batch holds txns");
      this.send({ kind: "append", bytes: batch.slice(), first, last, txns, committed: last });
    }
    this.#appended = driver.log.length;
  }

  /** The table follows. */
  rest(): void {
    this.settle();
    this.clock.advance(2500);
    if (this.#failed !== null) throw new Refused(this.#failed);
  }

  /** As for a learner that was away. */
  readLog(): void {
    const [after, upTo] = [this.#zxidLogFirst, this.#zxidLast];
    this.send({ kind: "readLog", read: 1, after, upTo });
    this.clock.advance(1);
    if (this.#failed !== null) throw new Refused(this.#failed);
  }

  close(): void {
    this.send({ kind: "close" });
  }

  /** As after a kill that nobody sees: nothing is written any more, and the files are let go. */
  abandon(): void {
    try {
      this.#core.handle({ kind: "close" });
    } catch {
      // It is of no use any more.
    }
  }
}

const acls: readonly (readonly Acl[])[] = [aclOpen, aclRead, [...aclRead, {
  perms: 30,
  id: { scheme: "ip", id: "10.0.0.1" },
}]];

function someData(random: Random): Uint8Array | null {
  return random.percent(10) ? null : random.bytes(random.percent(10) ? 9000 : random.below(200));
}

export interface Base {
  readonly role: Role;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly content: Buffer;
  readonly paths: readonly string[];
}

/** The files of a server that was killed after a few hundred changes; `isFresh`: right after a checkpoint. */
export function makeBase(directory: string, role: Role, seed: number, isFresh: boolean): Base {
  const random = new Random(seed);
  const live = join(directory, `base-${seed}`);
  fs.mkdirSync(live);
  let life = new Life(live, role);
  if (role === "member") life.send({ kind: "execute", command: { kind: "epochs", accepted: 1, current: 0 } });
  let line = life.driver.connect(40_000);
  const paths: string[] = [];
  for (let i = 0; i < 400; i++) {
    const path = `/node-${i}`;
    const old = random.pick(paths.length === 0 ? [path] : paths);
    random.weighted<() => void>([
      [8, () => {
        paths.push(path);
        const parent = random.percent(30) && old !== path ? old : "";
        const full = `${parent}${path}`;
        paths[paths.length - 1] = full;
        line.send(OpCode.Create, (w) => writeCreateRequest(w, full, someData(random), random.pick(acls), 0));
      }],
      [2, () => line.send(OpCode.Create, (w) => writeCreateRequest(w, path, null, aclOpen, 1))],
      [6, () => line.send(OpCode.SetData, (w) => writeSetDataRequest(w, old, someData(random), -1))],
      [2, () => line.send(OpCode.SetAcl, (w) => writeSetAclRequest(w, old, random.pick(acls), -1))],
      [2, () => line.send(OpCode.Delete, (w) => writeDeleteRequest(w, old, -1))],
      [3, () => life.settle()],
      [1, () => life.rest()],
    ])();
    if (i === 200) {
      life.rest();
      life.close();
      life = new Life(live, role);
      line = life.driver.connect(40_000);
    }
  }
  if (isFresh) {
    life.rest();
    line.send(OpCode.SetData, (w) => writeSetDataRequest(w, "/", someData(random), -1));
  }
  life.settle();
  const content = contentOf(life.driver);
  const bytes = new Map(
    fs.readdirSync(live).map((name) => [name, new Uint8Array(fs.readFileSync(join(live, name)))]),
  );
  bytes.delete("tree.db-shm");
  life.abandon();
  return { role, files: bytes, content, paths };
}

/** Writes to everything that a client can see. */
function touchAll(life: Life, paths: readonly string[]): void {
  const { driver } = life;
  const line: DriverLine = driver.connect(30_000);
  paths.forEach((path, i) => {
    const data = new Uint8Array([i, 1, 2, 3]);
    if (i % 7 === 0) line.send(OpCode.Delete, (w) => writeDeleteRequest(w, path, -1));
    else if (i % 7 === 1) line.send(OpCode.SetAcl, (w) => writeSetAclRequest(w, path, aclRead, -1));
    else line.send(OpCode.SetData, (w) => writeSetDataRequest(w, path, data, -1));
    if (i % 5 === 0) line.send(OpCode.Create, (w) => writeCreateRequest(w, `${path}-more`, data, aclOpen, 0));
    if (i % 20 === 0) life.settle();
  });
  life.rest();
}

export interface Trial {
  readonly outcome: Outcome;
  /** What was told, or what differed. */
  readonly told: string;
}

/** What comes of the directory as it is. */
function judge(directory: string, base: Base): Trial {
  let truth = base.content;
  for (let round = 0; round < 3; round++) {
    let life: Life;
    try {
      life = new Life(directory, base.role);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { outcome: "refused", told: error.message };
    }
    try {
      const { lacks, notes, driver } = life;
      const isSame = Buffer.compare(contentOf(driver), truth) === 0;
      if (lacks !== null) return { outcome: "started over", told: lacks };
      if (!isSame && driver.peer.doubts.wrong !== null) {
        return { outcome: "red", told: driver.peer.doubts.wrong };
      }
      if (!isSame) return { outcome: "silent", told: `start ${round + 1}: it has other znodes than it had` };
      const made = notes.find((note) => note.includes("made again from"));
      if (made !== undefined) return { outcome: "made again", told: made };
      if (driver.peer.doubts.wrong !== null) return { outcome: "red", told: driver.peer.doubts.wrong };
      life.readLog();
      if (round < 2) touchAll(life, base.paths.slice(0, round === 0 ? 40 : undefined));
      const cut = notes.find((note) => note.includes("the log now begins behind"));
      if (cut !== undefined) return { outcome: "cut off", told: cut };
      truth = contentOf(driver);
      life.close();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // It ended with words; what becomes of it is for the next start, which looks at everything.
      truth = contentOf(life.driver);
    } finally {
      life.abandon();
    }
  }
  return { outcome: "harmless", told: "" };
}

/** Flips a bit of a file of the base and tells what comes of it. */
export function trial(directory: string, base: Base, file: RotFile, random: Random): Trial & { bit: string } {
  const bytes = (base.files.get(file) as Uint8Array).slice();
  const at = random.below(bytes.length);
  const bit = random.below(8);
  bytes[at] = (bytes[at] as number) ^ (1 << bit);
  const spoiled = join(directory, "spoiled");
  fs.rmSync(spoiled, { recursive: true, force: true });
  fs.mkdirSync(spoiled);
  for (const [name, content] of base.files) {
    fs.writeFileSync(join(spoiled, name), name === file ? bytes : content);
  }
  return { ...judge(spoiled, base), bit: `bit ${bit} of byte ${at} of ${file}` };
}

export interface Row {
  readonly role: Role;
  readonly file: RotFile;
  readonly counts: ReadonlyMap<Outcome, number>;
  /** What must not be: with seed and place. */
  readonly silent: readonly string[];
}

const trialsPerBaseMax = 100;

export function* bitrot(
  directory: string,
  flips: number,
  seed: number,
  roles: readonly Role[],
  only: readonly RotFile[] = rotFiles,
  hear: (role: Role, trial: Trial & { bit: string }) => void = () => {},
): Generator<Row> {
  const trialsPerBase = Math.min(trialsPerBaseMax, Math.ceil(flips / 2));
  for (const role of roles) {
    const counts = only.map(() => new Map<Outcome, number>());
    const silent: string[][] = only.map(() => []);
    for (let done = 0; done < flips; done += trialsPerBase) {
      const base = makeBase(directory, role, seed + done, done / trialsPerBase % 2 === 1);
      const random = new Random(seed + done);
      for (let i = 0; i < Math.min(trialsPerBase, flips - done); i++) {
        only.forEach((file, f) => {
          const one = trial(directory, base, file, random);
          hear(role, one);
          const map = counts[f] as Map<Outcome, number>;
          map.set(one.outcome, (map.get(one.outcome) ?? 0) + 1);
          if (one.outcome === "silent") silent[f]?.push(`seed ${seed + done}, ${one.bit}: ${one.told}`);
        });
      }
      fs.rmSync(join(directory, `base-${seed + done}`), { recursive: true });
    }
    for (const [f, file] of only.entries()) {
      yield { role, file, counts: counts[f] as Map<Outcome, number>, silent: silent[f] as string[] };
    }
  }
}
