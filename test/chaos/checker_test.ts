/**
 * Checkers: a checker that cannot fail proves nothing, so each is shown what it must not accept.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Random } from "../support/random.ts";
import { checkRegister, firstValue, type RegisterOp } from "./register_check.ts";
import { isLinearizable } from "./wing_gong.ts";

type Loose = Partial<RegisterOp> & { readonly called: number; readonly returned: number };

function write(version: number, loose: Loose): RegisterOp {
  const base = { client: "a", kind: "write", value: `w${version}`, expected: null, outcome: "ok" } as const;
  return { ...base, version, mzxid: BigInt(100 + version), ...loose };
}

function read(version: number, loose: Loose): RegisterOp {
  const value = version === 0 ? firstValue : `w${version}`;
  const base = { client: "b", kind: "read", value, expected: null, outcome: "ok" } as const;
  return { ...base, version, mzxid: BigInt(100 + version), ...loose };
}

function lost(value: string, called: number, expected: number | null = null): RegisterOp {
  return write(-1, { value, called, returned: Infinity, outcome: "unknown", expected, mzxid: 0n });
}

const good: Readonly<Record<string, readonly RegisterOp[]>> = {
  "one after the other": [
    write(1, { called: 1, returned: 2 }),
    read(1, { called: 3, returned: 4 }),
    write(2, { called: 5, returned: 6 }),
    read(2, { called: 7, returned: 8 }),
  ],
  "overlapping operations in either order": [
    write(2, { called: 1, returned: 6 }),
    write(1, { called: 2, returned: 5 }),
    read(0, { called: 3, returned: 7 }),
    read(2, { called: 4, returned: 8 }),
  ],
  "a write without an answer that happened": [
    lost("x", 1),
    read(1, { value: "x", called: 3, returned: 4 }),
    write(2, { called: 5, returned: 6 }),
  ],
  "a write without an answer that nobody saw": [
    lost("x", 1),
    write(2, { called: 5, returned: 6 }),
    read(2, { called: 7, returned: 8 }),
  ],
  "a write without an answer that never happened": [
    lost("x", 1),
    write(1, { called: 5, returned: 6 }),
  ],
  "a conditional write that met a later version": [
    write(1, { called: 1, returned: 5 }),
    write(-1, { called: 2, returned: 6, expected: 0, outcome: "refused", value: "r" }),
  ],
};

const bad: Readonly<Record<string, readonly RegisterOp[]>> = {
  "a synced read of what had been replaced": [
    write(1, { called: 1, returned: 2 }),
    write(2, { called: 3, returned: 4 }),
    read(1, { called: 5, returned: 6 }),
  ],
  "a second read that goes back": [
    write(1, { called: 1, returned: 9 }),
    read(1, { called: 2, returned: 3 }),
    read(0, { called: 4, returned: 5 }),
  ],
  "an answered write that is lost": [
    write(1, { called: 1, returned: 2 }),
    read(0, { called: 3, returned: 4 }),
  ],
  "an answered write that was overwritten at its own version": [
    write(1, { called: 1, returned: 2 }),
    write(1, { value: "other", called: 3, returned: 4 }),
  ],
  "a write ordered before one that had ended": [
    write(2, { called: 1, returned: 2 }),
    write(1, { called: 3, returned: 4 }),
  ],
  "a value from nowhere": [read(1, { value: "ghost", called: 1, returned: 2 })],
  "a version from nowhere": [write(2, { called: 1, returned: 2 })],
  "a version that only a later write could have made": [
    write(2, { called: 1, returned: 2 }),
    lost("x", 3),
  ],
  "one write at two versions": [
    lost("x", 1),
    read(1, { value: "x", called: 2, returned: 3 }),
    write(2, { called: 4, returned: 5 }),
    read(3, { value: "x", called: 6, returned: 7 }),
  ],
  "a conditional write on a version that was gone": [
    write(1, { called: 1, returned: 2 }),
    write(2, { called: 3, returned: 4, expected: 0 }),
  ],
  "a conditional write refused on the version that was there": [
    write(1, { called: 1, returned: 2 }),
    write(-1, { called: 3, returned: 4, expected: 1, outcome: "refused", value: "r" }),
  ],
};

describe("registers", () => {
  for (const [name, ops] of Object.entries(good)) {
    test(`may be: ${name}`, () => {
      assert.deepEqual(checkRegister(ops), []);
      assert.equal(isLinearizable(ops), true);
    });
  }
  for (const [name, ops] of Object.entries(bad)) {
    test(`may not be: ${name}`, () => {
      assert.notEqual(checkRegister(ops).length, 0);
      assert.equal(isLinearizable(ops), false);
    });
  }

  test("a read without a sync may be old and may not be early or made up", () => {
    const old = [
      write(1, { called: 1, returned: 2 }),
      read(0, { kind: "peek", called: 3, returned: 4 }),
    ];
    assert.deepEqual(checkRegister(old), []);
    const early = [read(1, { kind: "peek", called: 1, returned: 2 }), write(1, { called: 3, returned: 4 })];
    assert.notEqual(checkRegister(early).length, 0);
  });

  test("zxids grow with versions", () => {
    const ops = [
      write(1, { called: 1, returned: 2, mzxid: 9n }),
      write(2, { called: 3, returned: 4, mzxid: 8n }),
    ];
    assert.notEqual(checkRegister(ops).length, 0);
  });

  test("the quick checker says what trying all orders says", () => {
    const counts = { yes: 0, no: 0 };
    for (let seed = 1; seed <= 6000; seed++) {
      const ops = randomHistory(new Random(seed));
      const expected = isLinearizable(ops);
      const found = checkRegister(ops);
      assert.equal(
        found.length === 0,
        expected,
        `seed ${seed}: ${JSON.stringify(found.map((one) => one.sentence))} ${inspect(ops)}`,
      );
      counts[expected ? "yes" : "no"]++;
    }
    // Neither answer is the only one that was ever asked for.
    assert.ok(counts.yes > 500 && counts.no > 500, JSON.stringify(counts));
  });
});

function inspect(ops: readonly RegisterOp[]): string {
  return ops.map((op) =>
    `\n${op.kind} ${op.value} e=${op.expected} ${op.called}-${op.returned} ${op.outcome} v=${op.version}`
  ).join("");
}

/**
 * A history as a right server would have made it, mostly spoilt a little. Operations
 * happen one after the other at a moment between call and return.
 */
function randomHistory(random: Random): RegisterOp[] {
  const count = 2 + random.below(6);
  const taken = new Set<number>();
  const moment = (from: number, to: number): number => {
    for (let tries = 0; tries < 1000; tries++) {
      const at = from + random.below(to - from);
      if (taken.has(at)) continue;
      taken.add(at);
      return at;
    }
    throw new Error("no moment is free");
  };
  const plans = Array.from({ length: count }, (_, index) => {
    const happens = moment(100, 900);
    return {
      index,
      happens,
      called: moment(happens - 90, happens),
      returned: moment(happens + 1, happens + 90),
    };
  }).sort((a, b) => a.happens - b.happens);
  let version = 0;
  let value = firstValue;
  const ops: RegisterOp[] = [];
  for (const { index, called, returned } of plans) {
    const client = `c${index}`;
    if (random.percent(45)) {
      const base = { client, kind: "read", expected: null, outcome: "ok", called, returned } as const;
      ops.push({ ...base, value, version, mzxid: BigInt(version) });
      continue;
    }
    // What is expected was seen: the version of now or one before.
    const expected = random.percent(40) ? Math.max(0, version - random.below(2)) : null;
    const refused = expected !== null && expected !== version;
    const unknown = random.percent(25);
    const own = `v${index}`;
    if (!refused && !(unknown && random.percent(50))) {
      version++;
      value = own;
      const base = { client, kind: "write", value: own, expected, called } as const;
      if (unknown) ops.push({ ...base, outcome: "unknown", returned: Infinity, version: -1, mzxid: 0n });
      else ops.push({ ...base, outcome: "ok", returned, version, mzxid: BigInt(version) });
      continue;
    }
    const outcome = unknown ? "unknown" : "refused";
    const base = { client, kind: "write", value: own, expected, called, outcome } as const;
    ops.push({ ...base, returned: unknown ? Infinity : returned, version: -1, mzxid: 0n });
  }
  if (random.percent(70)) spoil(ops, random);
  return ops;
}

/** Moves one operation in time, or swaps what two were told. */
function spoil(ops: RegisterOp[], random: Random): void {
  const index = random.below(ops.length);
  const op = ops[index] as RegisterOp;
  if (random.percent(60) || op.outcome !== "ok") {
    // Fractions: stamps stay different from all others.
    const shift = random.below(400) - 200 + 0.5;
    ops[index] = { ...op, called: op.called + shift, returned: op.returned + shift };
    return;
  }
  const other = random.below(ops.length);
  const { version, mzxid } = ops[other] as RegisterOp;
  if (version < 0) return;
  ops[index] = { ...op, version, mzxid };
}
