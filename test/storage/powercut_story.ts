/**
 * What the power-cut test writes, and how it tells that all of it is there.
 *
 * Each txn follows from its zxid alone, so that whoever reads a directory knows what it should hold.
 */
import assert from "node:assert/strict";
import { bytesEqual, textOf } from "../../src/core/base/bytes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import { walkTxn } from "../../src/core/wire/txns.ts";
import type { TxnVisitor } from "../../src/core/wire/txns.ts";
import type { FromWorker, ToWorker } from "../../src/storage/messages.ts";
import { Random } from "../support/random.ts";
import { batchOf, txnBytes } from "./txns.ts";

export const zxidStart = 0x1_0000_0000;

/**
 * Txn number `n`, from 1 on: a directory, a counter, and then a new znode or the counter again. Those
 * behind the first `real` ones are of a leader that nobody followed, and have to go again.
 */
export function storyBatch(
  n: number,
  count: number,
  real = count,
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly first: number; readonly last: number } {
  const list: Uint8Array[] = [];
  for (let i = n; i < n + count; i++) list.push(i < n + real ? storyTxn(i) : wrongTxn(i));
  return { bytes: batchOf(list), first: zxidStart + n, last: zxidStart + n + count - 1 };
}

function storyTxn(n: number): Uint8Array {
  const meta = { zxid: zxidStart + n, timeMs: 1_700_000_000_000 + n };
  if (n === 1) return txnBytes({ kind: "create", path: "/p", data: null }, meta);
  if (n === 2) return txnBytes({ kind: "create", path: "/counter", data: dataOf(n) }, meta);
  if (n % 3 === 0) return txnBytes({ kind: "setData", path: "/counter", data: dataOf(n), version: n }, meta);
  return txnBytes({ kind: "create", path: `/p/${n}`, data: dataOf(n) }, meta);
}

function wrongTxn(n: number): Uint8Array {
  const meta = { zxid: zxidStart + n, timeMs: 1_700_000_000_000 + n };
  return txnBytes({ kind: "create", path: `/wrong-${n}`, data: dataOf(n) }, meta);
}

/** The znodes after txn `n` in the layout of a snapshot's rows, in pieces. */
export function storyRows(n: number): Uint8Array<ArrayBuffer>[] {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const out = new Writer(256);
  const put = (path: string, data: Uint8Array | null, zxid: number): void => {
    out.string(path);
    out.buffer(data);
    for (const value of [zxid, zxid, 5, 5]) out.i64FromNumber(value);
    for (const value of [0, 0, 0]) out.i32(value);
    out.i64FromNumber(0);
    out.i64FromNumber(zxid);
    out.i32(0);
    if (out.length < 4000) return;
    pieces.push(out.copy());
    out.clear();
  };
  for (const path of ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"]) {
    put(path, new Uint8Array(0), 0);
  }
  const last = new Map<string, [Uint8Array | null, number]>();
  if (n >= 1) last.set("/p", [null, 1]);
  for (let i = 2; i <= n; i++) last.set(i === 2 || i % 3 === 0 ? "/counter" : `/p/${i}`, [dataOf(i), i]);
  for (const [path, [data, i]] of last) put(path, data, zxidStart + i);
  pieces.push(out.copy());
  return pieces;
}

/** The epochs that follow one another: 1 and 1, 2 and 1, 2 and 2, … */
export function storyEpochs(index: number): { readonly accepted: number; readonly current: number } {
  return { accepted: 1 + Math.ceil(index / 2), current: 1 + Math.floor(index / 2) };
}

function dataOf(n: number): Uint8Array {
  const random = new Random(n);
  return random.bytes(random.percent(5) ? 9000 : random.below(400));
}

/** Hears a recovery and keeps what a tree would. */
export class StoryReader implements TxnVisitor {
  readonly data = new Map<string, Uint8Array | null>();
  last = 0;
  /** Txns at the end that are of the leader whom nobody followed. */
  wrong = 0;
  committed = 0;
  epochs = 0;

  hear(message: FromWorker): void {
    if (message.kind === "rows") this.#rows(message.bytes);
    if (message.kind === "batch") this.#batch(message.bytes);
    if (message.kind !== "recovered") return;
    this.last = message.zxidLast === 0 ? 0 : message.zxidLast - zxidStart;
    this.committed = message.zxidCommitted === 0 ? 0 : message.zxidCommitted - zxidStart;
    this.epochs = Math.max(0, message.epochAccepted + message.epochCurrent - 2);
    const { accepted, current } = storyEpochs(this.epochs);
    if (this.last > 0 || this.epochs > 0) {
      assert.deepEqual([message.epochAccepted, message.epochCurrent], [accepted, current]);
    }
  }

  #rows(bytes: Uint8Array): void {
    const reader = new Reader(bytes);
    while (reader.left > 0) {
      const path = reader.string() ?? "";
      const data = reader.buffer();
      reader.at += 4 * 8 + 3 * 4 + 8 + 8;
      reader.span();
      assert.ok(!reader.failed, "the rows are whole");
      assert.ok(!path.startsWith("/wrong-"), "the table holds only what was committed");
      this.data.set(path, data);
    }
  }

  #batch(bytes: Uint8Array): void {
    const reader = new Reader(bytes);
    while (reader.left > 0) {
      const length = reader.span();
      assert.ok(length > 0 && walkTxn(bytes, reader.at - length, reader.at, this), "the batch is whole");
    }
  }

  created(bytes: Uint8Array, pathStart: number, pathEnd: number, dataStart: number, dataEnd: number): void {
    this.dataSet(bytes, pathStart, pathEnd, dataStart, dataEnd);
  }
  dataSet(bytes: Uint8Array, pathStart: number, pathEnd: number, dataStart: number, dataEnd: number): void {
    const path = textOf(bytes, pathStart, pathEnd);
    if (path.startsWith("/wrong-")) {
      this.wrong++;
      return;
    }
    assert.equal(this.wrong, 0, "what is wrong is at the end");
    this.data.set(path, dataStart < 0 ? null : bytes.subarray(dataStart, dataEnd));
  }
  deleted(): void {}
  aclSet(): void {}
  sessionCreated(): void {}
  sessionClosed(): void {}

  /** The last txn of the story. */
  get real(): number {
    return this.last - this.wrong;
  }

  /** Throws unless exactly the first `real` txns were told, and wrong ones behind them. */
  check(): void {
    const { real } = this;
    assert.ok(this.committed <= real, `${this.committed} of ${real} were committed`);
    const reserved = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
    let count = reserved.length;
    for (const path of reserved) if (!this.data.has(path)) count--;
    let counter = Math.min(real, 2);
    for (let n = 1; n <= real; n++) {
      if (n === 2 || n % 3 === 0) counter = n;
      else count += this.#holds(n === 1 ? "/p" : `/p/${n}`, n === 1 ? null : dataOf(n)) ? 1 : 0;
    }
    if (counter >= 2) count += this.#holds("/counter", dataOf(counter)) ? 1 : 0;
    assert.equal(this.data.size, count, `znodes after ${this.last} txns`);
  }

  #holds(path: string, data: Uint8Array | null): boolean {
    const found = this.data.get(path);
    if (found === undefined) assert.fail(`${path} is not there`);
    const same = found === null || data === null ? found === data : bytesEqual(found, data);
    assert.ok(same, `the data of ${path} is what was written`);
    return true;
  }
}

/** Time that passes when the test says so: the storage core's leisure happens at known places. */
export class StoryClock {
  #nowMs = 1000;
  readonly #timers = new Set<{ atMs: number; everyMs: number; call: () => void }>();

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }
  /** Each look takes a little, so that slices end. */
  monotonicMs(): number {
    this.#nowMs += 0.01;
    return this.#nowMs;
  }
  every(ms: number, call: () => void): () => void {
    return this.#add(ms, ms, call);
  }
  after(ms: number, call: () => void): () => void {
    return this.#add(ms, 0, call);
  }
  soon(call: () => void): void {
    this.#add(0, 0, call);
  }

  #add(ms: number, everyMs: number, call: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, everyMs, call };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  advance(ms: number): void {
    const end = this.#nowMs + ms;
    while (this.#nowMs < end) {
      this.#nowMs += 1;
      for (const timer of [...this.#timers]) {
        if (timer.atMs > this.#nowMs || !this.#timers.has(timer)) continue;
        if (timer.everyMs > 0) timer.atMs = this.#nowMs + timer.everyMs;
        else this.#timers.delete(timer);
        timer.call();
      }
    }
  }
}

/** Runs a storage core without its thread: every message is handled before `send` returns. */
export function driveCore(
  make: (post: (message: FromWorker) => void) => { handle(message: ToWorker): void },
  hear: (message: FromWorker) => void,
): (message: ToWorker) => void {
  const inbox: ToWorker[] = [];
  const core = make((message) => {
    hear(message);
    if (message.kind === "rows" || message.kind === "batch") inbox.push({ kind: "taken" });
  });
  return (message) => {
    inbox.push(message);
    for (let next = inbox.shift(); next !== undefined; next = inbox.shift()) core.handle(next);
  };
}
