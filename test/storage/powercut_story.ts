/**
 * What the power-cut test writes, and how it tells that all of it is there.
 *
 * Each txn follows from its zxid alone, so that whoever reads a directory knows what it should hold.
 */
import assert from "node:assert/strict";
import { bytesEqual, textOf } from "../../src/core/base/bytes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { walkTxn } from "../../src/core/wire/txns.ts";
import type { TxnVisitor } from "../../src/core/wire/txns.ts";
import type { FromWorker, ToWorker } from "../../src/storage/messages.ts";
import { Random } from "../support/random.ts";
import { batchOf, txnBytes } from "./txns.ts";

export const zxidStart = 0x1_0000_0000;

/** Txn number `n`, from 1 on: a directory, a counter, and then a new znode or the counter again. */
export function storyBatch(
  n: number,
  count: number,
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly first: number; readonly last: number } {
  const list: Uint8Array[] = [];
  for (let i = n; i < n + count; i++) list.push(storyTxn(i));
  return { bytes: batchOf(list), first: zxidStart + n, last: zxidStart + n + count - 1 };
}

function storyTxn(n: number): Uint8Array {
  const meta = { zxid: zxidStart + n, timeMs: 1_700_000_000_000 + n };
  if (n === 1) return txnBytes({ kind: "create", path: "/p", data: null }, meta);
  if (n === 2) return txnBytes({ kind: "create", path: "/counter", data: dataOf(n) }, meta);
  if (n % 3 === 0) return txnBytes({ kind: "setData", path: "/counter", data: dataOf(n), version: n }, meta);
  return txnBytes({ kind: "create", path: `/p/${n}`, data: dataOf(n) }, meta);
}

function dataOf(n: number): Uint8Array {
  const random = new Random(n);
  return random.bytes(random.percent(5) ? 9000 : random.below(400));
}

/** Hears a recovery and keeps what a tree would. */
export class StoryReader implements TxnVisitor {
  readonly data = new Map<string, Uint8Array | null>();
  last = 0;

  hear(message: FromWorker): void {
    if (message.kind === "rows") this.#rows(message.bytes);
    if (message.kind === "batch") this.#batch(message.bytes);
    if (message.kind === "recovered") this.last = message.zxidLast === 0 ? 0 : message.zxidLast - zxidStart;
  }

  #rows(bytes: Uint8Array): void {
    const reader = new Reader(bytes);
    while (reader.left > 0) {
      const path = reader.string() ?? "";
      const data = reader.buffer();
      reader.at += 4 * 8 + 3 * 4 + 8 + 8;
      reader.span();
      assert.ok(!reader.failed, "the rows are whole");
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
    this.data.set(
      textOf(bytes, pathStart, pathEnd),
      dataStart < 0 ? null : bytes.subarray(dataStart, dataEnd),
    );
  }
  deleted(): void {}
  aclSet(): void {}
  sessionCreated(): void {}
  sessionClosed(): void {}

  /** Throws unless exactly the first `last` txns were told. */
  check(): void {
    const reserved = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
    let count = reserved.length;
    for (const path of reserved) if (!this.data.has(path)) count--;
    let counter = Math.min(this.last, 2);
    for (let n = 1; n <= this.last; n++) {
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
