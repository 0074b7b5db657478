/**
 * Hostile frames: whatever a client sends, a step does not throw and leaves nothing pending.
 *
 * Four kinds of bad input: noise, frames cut short, frames with fields of absurd values, and whole
 * requests that make no sense together.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { Driver } from "./driver.ts";

const ops = [...Object.values(OpCode), 10, 99, 108, -12, 0x7fff_ffff, -0x8000_0000];
const absurd = [-1, 0, 1, 2, 4, 7, 255, 0x7fff_ffff, -0x8000_0000, -2, 0x0fff_ffff, 1 << 20];
const paths = [
  "",
  "/",
  "//",
  "/a",
  "/a/",
  "//a",
  "/a//b",
  "/a/b",
  "a",
  "/.",
  "/a/..",
  "/\0",
  "/zookeeper",
  "/zookeeper/quota",
  "/zookeeper/config",
  "//zookeeper",
  "/zookeeper/quota/a/zookeeper_limits",
  "/zookeeper/quota/a/zookeeper_stats",
  "/zookeeper/quota/zookeeper_limits",
  "/ä",
  "/\ud83d\ude00",
  "/\ufeff",
];

type Piece =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "path"; readonly value: string }
  | { readonly kind: "acls"; readonly value: number }
  | { readonly kind: "byte"; readonly value: number }
  | { readonly kind: "bytes"; readonly value: Uint8Array };

const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.record({ kind: fc.constant("int" as const), value: fc.constantFrom(...absurd, ...ops) }),
  fc.record({ kind: fc.constant("path" as const), value: fc.constantFrom(...paths) }),
  fc.record({ kind: fc.constant("acls" as const), value: fc.nat(3) }),
  fc.record({ kind: fc.constant("byte" as const), value: fc.nat(255) }),
  fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 12 }) }),
);

const schemes = ["world", "digest", "ip", "auth"];
const ids = ["anyone", "u:p", "10.0.0.0/8", ""];

function write(w: Writer, { kind, value }: Piece): void {
  if (kind === "int") w.i32(value);
  else if (kind === "path") w.string(value);
  else if (kind === "byte") w.u8(value);
  else if (kind === "bytes") w.raw(value);
  else {
    w.i32(1);
    w.i32(31);
    w.string(schemes[value] as string);
    w.string(ids[value] as string);
  }
}

/** A body that could be a create's, a setData's or a multi's, with the wrong things inside. */
const frame = fc.record({
  op: fc.constantFrom(...ops),
  pieces: fc.array(piece, { maxLength: 10 }),
  cut: fc.nat(40),
}).map(({ op, pieces, cut }) => {
  const w = new Writer(64);
  w.i32(7);
  w.i32(op);
  for (const one of pieces) write(w, one);
  return cut < 20 ? w.copy().subarray(0, Math.max(0, w.length - cut)) : w.copy();
});

/** Requests that are whole: a path, data, ACLs, flags, in the order of the op. */
const whole = fc.record({
  op: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 17, 18, 19, 21, 103, 104, 106),
  path: fc.constantFrom(...paths),
  data: fc.option(fc.uint8Array({ maxLength: 8 }), { nil: null }),
  acl: fc.nat(3),
  number: fc.integer({ min: -2, max: 7 }),
}).map(({ op, path, data, acl, number }) => {
  const w = new Writer(64);
  w.i32(7);
  w.i32(op);
  w.string(path);
  if (op === 1 || op === 15 || op === 19 || op === 21 || op === 5) w.buffer(data);
  if (op !== 5 && op !== 2) write(w, { kind: "acls", value: acl });
  w.i32(number);
  if (op === 21) w.i64FromNumber(number * 1000);
  return w.copy();
});

/** Multis of whole parts. */
const multi = fc.array(
  fc.record({
    op: fc.constantFrom(1, 2, 5, 13, 15, 19, 21, 4, 8),
    path: fc.constantFrom(...paths),
    number: fc.integer({ min: -2, max: 7 }),
  }),
  { maxLength: 6 },
).chain((parts) => fc.record({ parts: fc.constant(parts), op: fc.constantFrom(14, 14, 14, 22) })).map(
  ({ parts, op: top }) => {
    const w = new Writer(64);
    w.i32(7);
    w.i32(top);
    for (const { op, path, number } of parts) {
      w.i32(op);
      w.bool(false);
      w.i32(-1);
      w.string(path);
      if (op === 4 || op === 8) {
        w.bool(true);
        continue;
      }
      if (op === 1 || op === 15 || op === 19 || op === 21) {
        w.buffer(null);
        write(w, { kind: "acls", value: 0 });
      } else if (op === 5) w.buffer(new Uint8Array(3));
      w.i32(number);
      if (op === 21) w.i64FromNumber(number * 1000);
    }
    w.i32(-1);
    w.bool(true);
    w.i32(-1);
    return w.copy();
  },
);

const anyFrame = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }) },
  { weight: 4, arbitrary: frame },
  { weight: 4, arbitrary: whole },
  { weight: 3, arbitrary: multi },
);

const action = fc.oneof(
  { weight: 10, arbitrary: fc.record({ line: fc.nat(2), frame: anyFrame }) },
  { weight: 1, arbitrary: fc.constant("append" as const) },
  { weight: 1, arbitrary: fc.constant("durable" as const) },
  { weight: 1, arbitrary: fc.constant("tick" as const) },
);

for (const closeSessionTxn of [true, false]) {
  test(`no frame throws or leaves something pending (list of a closing session: ${closeSessionTxn})`, () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 20, maxLength: 120 }), (actions) => {
        const driver = new Driver({ judge: { closeSessionTxn, enforceQuota: true } });
        const lines = [driver.connect(), driver.connect(), driver.connect()];
        for (const one of actions) {
          if (one === "append") driver.append();
          else if (one === "durable") driver.durable();
          else if (one === "tick") driver.tick(3000);
          else {
            lines[one.line]?.raw(one.frame);
            if (lines[one.line]?.closed) lines[one.line] = driver.connect();
          }
        }
        // Asserts inside that nothing is pending when nothing is in flight.
        driver.settle();
        assert.equal(driver.peer.inFlight, 0);
        assert.equal(driver.peer.outstanding, 0);
        assert.equal(driver.peer.applier.digestMismatches, 0);
        // Whoever is left can still be served.
        const line = driver.connect();
        assert.equal(line.ask(OpCode.WhoAmI).err, 0);
      }),
      { numRuns: 150 },
    );
  });
}

test("a first frame of any bytes opens a session or ends the line", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const driver = new Driver();
      const line = driver.open();
      line.raw(bytes);
      driver.settle();
      assert.ok(line.closed || line.frames.length === 1);
    }),
    { numRuns: 500 },
  );
});
