/** The ledger against a list: batches, commits before and after the disk, history, truncation. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Zxid, zxidZero } from "../../../src/core/base/zxid.ts";
import { type AppendBatch, Ledger } from "../../../src/core/zab/ledger.ts";
import { Writer } from "../../../src/core/wire/writer.ts";

interface Txn {
  readonly zxid: number;
  readonly text: string;
  readonly origin: number;
  readonly arrivedMs: number;
}

const decoder = new TextDecoder();

/** As far as the ledger looks into a txn: its zxid stands behind session and cxid. */
function writeTxn(w: Writer, zxid: number, text: string): void {
  w.i64FromNumber(0);
  w.i32(0);
  w.i64FromNumber(zxid);
  w.raw(new TextEncoder().encode(text));
}

function propose(ledger: Ledger, { zxid, text, origin, arrivedMs }: Txn): void {
  const w = ledger.writer;
  const at = w.room(4);
  writeTxn(w, zxid, text);
  ledger.propose(zxid as Zxid, at, origin, arrivedMs);
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start + 20, end));
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ text: fc.string({ maxLength: 20 }), origin: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.constantFrom("append" as const, "durable" as const) },
  { weight: 1, arbitrary: fc.record({ commit: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ cut: fc.nat(5) }) },
);

for (const historyBytes of [0, 900, 1 << 20]) {
  test(`txns commit once, in order, and are told again while they are here (history of ${historyBytes} bytes)`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
        const ledger = new Ledger(zxidZero, historyBytes);
        let log: Txn[] = [];
        const committed: Txn[] = [];
        const batches: AppendBatch[] = [];
        let zxid = 0;
        let arrivals = 0;
        const durable = () => {
          const batch = batches.shift();
          if (batch !== undefined) ledger.durableUpTo(batch.last);
        };
        const commit = (upTo: number) => {
          ledger.commitUpTo(upTo as Zxid, (bytes, start, end, one, origin, arrivedMs) => {
            committed.push({ zxid: one, text: textOf(bytes, start, end), origin, arrivedMs });
          });
        };
        for (const one of steps) {
          if (one === "append") {
            const waiting = ledger.bytesWaiting;
            const batch = ledger.takeAppend();
            assert.equal(batch?.bytes.length ?? 0, waiting);
            if (batch !== null) batches.push(batch);
          } else if (one === "durable") durable();
          else if ("commit" in one) commit(Math.min(log.length, committed.length + one.commit));
          else if ("cut" in one) {
            const rest = ledger.takeAppend();
            if (rest !== null) batches.push(rest);
            while (batches.length > 0) durable();
            const after = Math.max(committed.length, log.length - one.cut);
            ledger.truncate(after as Zxid);
            log = log.slice(0, after);
            zxid = after;
          } else {
            const txn = { zxid: ++zxid, text: one.text, origin: one.origin, arrivedMs: ++arrivals };
            propose(ledger, txn);
            log.push(txn);
          }
          assert.equal(ledger.inFlight, log.length - committed.length);
          assert.equal(ledger.proposed, log.length);
          assert.ok(ledger.floor <= ledger.committed && ledger.durable <= ledger.proposed);
          const told: string[] = [];
          ledger.read(ledger.floor, Infinity, (bytes, start, end) => told.push(textOf(bytes, start, end)));
          assert.deepEqual(told, log.slice(ledger.floor).map(({ text }) => text));
          assert.equal(ledger.has(ledger.floor + 1), log.length > ledger.floor);
        }
        commit(log.length);
        assert.deepEqual(committed, log);
        assert.equal(ledger.inFlight, 0);
      }),
    );
  });
}

test("proposals made while others are being committed wait their turn", () => {
  const ledger = new Ledger(zxidZero);
  const one = (zxid: number) => propose(ledger, { zxid, text: "", origin: zxid, arrivedMs: 0 });
  for (let i = 1; i <= 1000; i++) one(i);
  const seen: number[] = [];
  let next = 1000;
  // The ring of origins and the batch that fills grow under the loop that reads them.
  ledger.commitUpTo(1000 as Zxid, (_bytes, _start, _end, _zxid, origin) => {
    seen.push(origin);
    one(++next);
    one(++next);
  });
  ledger.commitUpTo(3000 as Zxid, (_bytes, _start, _end, _zxid, origin) => seen.push(origin));
  assert.deepEqual(seen, Array.from({ length: 3000 }, (_, i) => i + 1));
  assert.equal(ledger.takeAppend()?.txns, 3000);
});

test("what was loaded is durable and not committed, and a snapshot takes the place of all", () => {
  const ledger = new Ledger(5 as Zxid, 1 << 20);
  const w = new Writer();
  writeTxn(w, 6, "six");
  ledger.accept(w.bytes, 0, w.length, 6 as Zxid, 0);
  ledger.loaded();
  assert.deepEqual([ledger.floor, ledger.committed, ledger.durable, ledger.proposed], [5, 5, 6, 6]);
  assert.equal(ledger.takeAppend(), null);
  assert.ok(ledger.has(5) && ledger.has(6) && !ledger.has(4) && !ledger.has(7));
  ledger.reset(9 as Zxid);
  assert.deepEqual([ledger.floor, ledger.committed, ledger.durable, ledger.proposed, ledger.inFlight], [
    9,
    9,
    9,
    9,
    0,
  ]);
});
