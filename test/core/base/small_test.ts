/** Slab, rows, CRC-32, IP addresses and zxids, each against a dumb way of doing the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { isIP } from "node:net";
import fc from "fast-check";
import { Buckets } from "../../../src/core/base/buckets.ts";
import { crcEnd, crcStart, crcUpdate } from "../../../src/core/base/crc32.ts";
import { addressBytes, addressText, networkHas, networkOf } from "../../../src/core/base/ip.ts";
import { counterMax, epochMax } from "../../../src/core/base/limits.ts";
import { Rows } from "../../../src/core/base/rows.ts";
import { ShardedMap } from "../../../src/core/base/sharded_map.ts";
import { Slab } from "../../../src/core/base/slab.ts";
import {
  counterOf,
  epochOf,
  sessionHex,
  sessionHi,
  sessionIdOf,
  sessionLo,
  zxidHex,
  zxidNext,
  zxidOf,
} from "../../../src/core/base/zxid.ts";
import { Random } from "../../support/random.ts";

test("CRC-32 in pieces is zlib's of the whole", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), fc.nat(5), (pieces, skip) => {
      let state = crcStart;
      const all: number[] = [];
      for (const piece of pieces) {
        const start = Math.min(skip, piece.length);
        state = crcUpdate(state, piece, start, piece.length);
        all.push(...piece.subarray(start));
      }
      assert.equal(crcEnd(state), crc32(new Uint8Array(all)));
    }),
  );
});

test("a slab gives back what was put, however cells are dropped and replaced", () => {
  const random = new Random(7);
  const lengths = [
    0,
    1,
    15,
    16,
    17,
    100,
    128,
    129,
    160,
    1000,
    1024,
    1025,
    1279,
    1281,
    5000,
    65535,
    65536,
    65537,
    90000,
  ];
  const slab = new Slab();
  const live = new Map<number, { ref: number; bytes: Uint8Array }>();
  const check = ({ ref, bytes }: { ref: number; bytes: Uint8Array }) => {
    const at = slab.offset(ref);
    if (bytes.length > 0) assert.deepEqual(slab.page(ref).subarray(at, at + bytes.length), bytes);
    assert.equal(ref === 0, bytes.length === 0);
  };
  for (let i = 0; i < 20_000; i++) {
    const key = random.below(60);
    const known = live.get(key);
    const bytes = random.bytes(random.percent(90) ? random.below(300) : random.pick(lengths));
    const padded = new Uint8Array(bytes.length + 6);
    padded.set(bytes, 3);
    if (known === undefined) live.set(key, { ref: slab.put(padded, 3, 3 + bytes.length), bytes });
    else if (random.percent(50)) {
      const ref = slab.replace(known.ref, known.bytes.length, padded, 3, 3 + bytes.length);
      live.set(key, { ref, bytes });
    } else {
      slab.drop(known.ref);
      live.delete(key);
    }
    if (i % 50 === 0) { for (const one of live.values()) check(one); }
  }
  for (const one of live.values()) check(one);
});

test("a slab's cell is never smaller than what it holds, nor a third larger beyond 64 bytes", () => {
  for (let length = 1; length <= 65536; length += 1 + (length >> 4)) {
    const slab = new Slab();
    const bytes = new Uint8Array(length).fill(1);
    const [a, b] = [slab.put(bytes, 0, length), slab.put(bytes, 0, length)];
    if (slab.page(a) !== slab.page(b)) continue;
    const cell = Math.abs(slab.offset(b) - slab.offset(a));
    assert.ok(cell >= length, `${length} bytes in a cell of ${cell}`);
    if (length > 64) assert.ok(cell <= length * 1.34, `${length} bytes in a cell of ${cell}`);
  }
});

test("rows are given out once, zeroed, and never row 0", () => {
  const rows = new Rows(6);
  const live = new Map<number, number>();
  const random = new Random(3);
  for (let i = 0; i < 30_000; i++) {
    if (live.size > 0 && random.percent(45)) {
      const [row, mark] = random.pick([...live].slice(0, 20));
      assert.equal(rows.chunk(row)[rows.at(row) + 5], mark);
      rows.free(row);
      live.delete(row);
      continue;
    }
    const row = rows.alloc();
    assert.ok(row > 0 && !live.has(row));
    const chunk = rows.chunk(row);
    for (let k = 0; k < 6; k++) assert.equal(chunk[rows.at(row) + k], 0);
    chunk.fill(i, rows.at(row), rows.at(row) + 6);
    live.set(row, i);
    assert.equal(rows.count, live.size);
  }
});

test("an address is one for us exactly when it is one for node", () => {
  const group = fc.oneof(
    fc.nat(0xffff).map((n) => n.toString(16)),
    fc.constantFrom("", "0", "00ff", "12345", "g"),
  );
  const four = fc.array(fc.nat(300), { minLength: 3, maxLength: 5 }).map((parts) => parts.join("."));
  const six = fc.tuple(fc.array(group, { maxLength: 9 }), fc.boolean(), four).map(([groups, tail, v4]) =>
    groups.join(":") + (tail ? `:${v4}` : "")
  );
  const known = fc.constantFrom(
    "::",
    "::1",
    "1::",
    "::ffff:1.2.3.4",
    "fe80::1",
    "1:2:3:4:5:6:7:8",
    ":::",
    "1::2::3",
    "",
  );
  fc.assert(
    fc.property(fc.oneof(four, six, fc.ipV4(), fc.ipV6(), known), (text) => {
      // Leading zeros are told apart by Java alone.
      if (/(^|[.:])0\d+\./.test(text) || /\.0\d/.test(text)) return;
      const bytes = addressBytes(text);
      assert.equal(bytes !== null, isIP(text) !== 0, text);
      if (bytes !== null) assert.deepEqual(addressBytes(addressText(text)), bytes);
    }),
    { numRuns: 3000 },
  );
});

test("addresses are shown as Java shows them", () => {
  assert.equal(addressText("::1"), "0:0:0:0:0:0:0:1");
  assert.equal(addressText("::ffff:10.1.2.3"), "10.1.2.3");
  assert.equal(addressText("FE80::A%eth0"), "fe80:0:0:0:0:0:0:a");
});

test("a network has an address when their first bits are the same", () => {
  const bitsOf = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  fc.assert(
    fc.property(
      fc.oneof(fc.tuple(fc.ipV4(), fc.ipV4()), fc.tuple(fc.ipV6(), fc.ipV6())),
      fc.nat(130),
      (pair, bits) => {
        const [a, b] = pair.map((text) => addressBytes(text)) as [Uint8Array, Uint8Array];
        const network = networkOf(`${pair[0]}/${bits}`);
        assert.equal(network !== null, bits <= a.length * 8);
        if (network === null || a.length !== b.length) return;
        assert.equal(networkHas(network, b), bitsOf(a).slice(0, bits) === bitsOf(b).slice(0, bits));
        assert.equal(networkHas(network, a), true);
      },
    ),
  );
  for (
    const text of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0/8", "x", "/8", "::/129"]
  ) {
    assert.equal(networkOf(text), null, text);
  }
  assert.equal(networkHas(networkOf("0.0.0.0/0") as never, addressBytes("::1") as Uint8Array), false);
});

test("zxids and session ids come apart and together again", () => {
  fc.assert(
    fc.property(fc.nat(epochMax), fc.double({ min: 0, max: counterMax, noNaN: true }), (epoch, raw) => {
      const counter = Math.floor(raw);
      const zxid = zxidOf(epoch, counter);
      assert.equal(epochOf(zxid), epoch);
      assert.equal(counterOf(zxid), counter);
      assert.equal(BigInt(zxid), (BigInt(epoch) << 32n) | BigInt(counter));
      assert.equal(zxidHex(zxid), `0x${BigInt(zxid).toString(16)}`);
      assert.equal(BigInt(zxidNext(zxid)), BigInt(zxid) + 1n);
    }),
  );
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (id) => {
      const session = sessionIdOf(Number(id >> 32n) | 0, Number(id & 0xffff_ffffn) | 0);
      assert.equal(session, id);
      assert.equal(sessionIdOf(sessionHi(session), sessionLo(session)), id);
      assert.equal(sessionHex(session), `0x${id.toString(16)}`);
    }),
  );
});

test("buckets find what was added and not removed, and no addition moves more than a few rows", () => {
  const rows = new Rows(2);
  const random = new Random(11);
  let looked = 0;
  let lookedMost = 0;
  const hashes: number[] = [];
  const buckets = new Buckets(rows, 1, (chunk, at) => {
    looked++;
    return chunk[at] as number;
  });
  const add = () => {
    const row = rows.alloc();
    const hash = random.u32() | 0;
    rows.chunk(row)[rows.at(row)] = hash;
    hashes[row] = hash;
    looked = 0;
    buckets.add(row, hash);
    lookedMost = Math.max(lookedMost, looked);
    return row;
  };
  const isThere = (row: number) => {
    let seek = buckets.first(hashes[row] as number);
    while (seek !== row && seek !== 0) seek = rows.chunk(seek)[rows.at(seek) + 1] as number;
    return seek === row;
  };
  const live = new Set<number>();
  for (let i = 0; i < 40_000; i++) {
    live.add(add());
    if (i % 3 !== 0) continue;
    const gone = live.values().next().value as number;
    assert.ok(buckets.remove(gone, hashes[gone] as number));
    assert.ok(!buckets.remove(gone, hashes[gone] as number));
    rows.free(gone);
    live.delete(gone);
  }
  for (const row of live) assert.ok(isThere(row), `row ${row}`);
  const all = new Set<number>();
  for (let bucket = 0; bucket < buckets.size; bucket++) {
    for (let row = buckets.at(bucket); row !== 0; row = rows.chunk(row)[rows.at(row) + 1] as number) {
      assert.ok(!all.has(row));
      all.add(row);
    }
  }
  assert.deepEqual(all, live);
  assert.ok(lookedMost < 1000, `${lookedMost} rows in one addition`);
});

test("a sharded map is a map in another order, also while it is gone through", () => {
  const random = new Random(3);
  const sharded = new ShardedMap<number, number>((key) => key);
  const map = new Map<number, number>();
  for (let i = 0; i < 5000; i++) {
    const key = random.below(700) - 100;
    if (random.below(3) === 0) assert.equal(sharded.delete(key), map.delete(key));
    else {
      sharded.set(key, i);
      map.set(key, i);
    }
    assert.equal(sharded.size, map.size);
    assert.equal(sharded.get(key), map.get(key));
    assert.equal(sharded.has(key), map.has(key));
  }
  const sorted = (list: Iterable<number>) => [...list].sort((a, b) => a - b);
  assert.deepEqual(sorted(sharded.keys()), sorted(map.keys()));
  assert.deepEqual(sorted(sharded.values()), sorted(map.values()));
  for (const key of sharded.keys()) {
    assert.ok(sharded.delete(key));
    sharded.delete(key + 64);
    map.delete(key);
    map.delete(key + 64);
  }
  assert.deepEqual([sharded.size, map.size], [0, 0]);
});
