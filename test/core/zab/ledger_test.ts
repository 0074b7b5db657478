/** The ledger against a list: batches, their order, and who asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Zxid, zxidZero } from "../../../src/core/base/zxid.ts";
import { type AppendBatch, Ledger } from "../../../src/core/zab/ledger.ts";

interface Txn {
  readonly zxid: number;
  readonly text: string;
  readonly origin: number;
  readonly arrivedMs: number;
}

const decoder = new TextDecoder();

test("txns are committed once, in order, with who asked for them", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ text: fc.string({ maxLength: 20 }), origin: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.constantFrom("append" as const, "durable" as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
      const ledger = new Ledger(zxidZero);
      const proposed: Txn[] = [];
      const committed: Txn[] = [];
      const batches: AppendBatch[] = [];
      let zxid = 0;
      const durable = () => {
        const batch = batches.shift();
        if (batch === undefined) return;
        ledger.durableUpTo(batch.last, (bytes, start, end, origin, arrivedMs) => {
          const text = decoder.decode(bytes.subarray(start, end));
          committed.push({ zxid: committed.length + 1, text, origin, arrivedMs });
        });
        assert.equal(committed.length, batch.last);
      };
      for (const one of steps) {
        if (one === "append") {
          const waiting = ledger.bytesWaiting;
          const batch = ledger.takeAppend();
          assert.equal(batch?.bytes.length ?? 0, waiting);
          if (batch !== null) batches.push(batch);
        } else if (one === "durable") durable();
        else {
          const w = ledger.writer;
          const at = w.room(4);
          w.raw(new TextEncoder().encode(one.text));
          ledger.propose(++zxid as Zxid, at, one.origin, zxid * 2);
          proposed.push({ zxid, text: one.text, origin: one.origin, arrivedMs: zxid * 2 });
        }
        assert.equal(ledger.inFlight, proposed.length - committed.length);
        assert.ok(ledger.committed <= ledger.durable && ledger.durable <= ledger.proposed);
      }
      const rest = ledger.takeAppend();
      if (rest !== null) batches.push(rest);
      while (batches.length > 0) durable();
      assert.deepEqual(committed, proposed);
      assert.equal(ledger.inFlight, 0);
    }),
  );
});

test("proposals made while a batch is being committed wait for the next", () => {
  const ledger = new Ledger(zxidZero);
  const propose = (zxid: number) => {
    const at = ledger.writer.room(4);
    ledger.writer.u8(zxid);
    ledger.propose(zxid as Zxid, at, zxid, 0);
  };
  for (let i = 1; i <= 1000; i++) propose(i);
  const first = ledger.takeAppend();
  const seen: number[] = [];
  let next = 1000;
  // The ring of origins grows under the loop that reads it.
  ledger.durableUpTo(first?.last as Zxid, (_bytes, _start, _end, origin) => {
    seen.push(origin);
    propose(++next);
    propose(++next);
  });
  const second = ledger.takeAppend();
  ledger.durableUpTo(second?.last as Zxid, (_bytes, _start, _end, origin) => seen.push(origin));
  assert.deepEqual(seen, Array.from({ length: 3000 }, (_, i) => i + 1));
});
