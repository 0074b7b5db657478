/** Votes against bytes that really travelled, and against bytes that lie. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytesOf, bytesOfHex, hexOf, textOf } from "../../../src/core/base/bytes.ts";
import { epochMax } from "../../../src/core/base/limits.ts";
import {
  configVersionOf,
  encodeInitial,
  encodeNotification,
  initialBytesMax,
  nobody,
  parseInitial,
  parseNotification,
  VoterState,
} from "../../../src/core/wire/votes.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { configText, configTextActive, initialMessage, notifications } from "../../golden/election_bytes.ts";
import { Random } from "../../support/random.ts";

const { Looking, Following, Leading } = VoterState;

describe("a notification", () => {
  const cases = [
    [
      notifications.looking,
      Looking,
      { leader: 2, zxid: 0, round: 1, epoch: 0 },
      configText,
    ],
    [
      notifications.following,
      Following,
      { leader: 3, zxid: 0, round: 1, epoch: 1 },
      configTextActive,
    ],
    [
      notifications.observer,
      Looking,
      { leader: nobody, zxid: nobody, round: 1, epoch: nobody },
      configText,
    ],
  ] as const;

  it("is written and read as it travelled", () => {
    for (const [hex, state, vote, config] of cases) {
      const bytes = bytesOfHex(hex);
      assert.equal(hexOf(encodeNotification(state, vote, bytesOf(config))), hexOf(bytes));
      const parsed = parseNotification(bytes);
      assert.ok(parsed !== null);
      assert.equal(textOf(parsed.config ?? bytesOf("")), config);
      const { config: _, ...rest } = parsed;
      assert.deepEqual(rest, { state, ...vote, version: 2 });
    }
  });

  it("is dropped when it is cut short, but for the two lengths that older releases sent", () => {
    const bytes = bytesOfHex(notifications.following);
    for (let length = 0; length < bytes.length; length++) {
      const parsed = parseNotification(bytes.subarray(0, length));
      assert.equal(parsed !== null, length === 28 || length === 40, `${length} bytes`);
    }
  });

  it("of 28 bytes has the epoch of its zxid, of 40 no version", () => {
    const vote = { leader: 3, zxid: 7 * 2 ** 32 + 5, round: 9, epoch: 8 };
    const bytes = encodeNotification(Leading, vote, bytesOf(""));
    assert.deepEqual(parseNotification(bytes.subarray(0, 28)), {
      ...vote,
      state: Leading,
      epoch: 7,
      version: 0,
      config: null,
    });
    assert.deepEqual(parseNotification(bytes.subarray(0, 40)), {
      ...vote,
      state: Leading,
      version: 0,
      config: null,
    });
    assert.equal(parseNotification(bytes.subarray(0, 27)), null);
    assert.equal(parseNotification(bytes)?.config?.length, 0);
  });

  it("of version 1 and more than 40 bytes has no config, whatever follows", () => {
    const bytes = encodeNotification(Looking, { leader: 1, zxid: 2, round: 3, epoch: 4 }, bytesOf("abc"));
    new DataView(bytes.buffer).setInt32(36, 1);
    new DataView(bytes.buffer).setInt32(40, -5);
    assert.equal(parseNotification(bytes)?.config, null);
    assert.equal(parseNotification(bytes)?.version, 1);
  });

  it("is dropped with a config longer than what follows or than nothing; more than it says is passed over", () => {
    const bytes = encodeNotification(Looking, { leader: 1, zxid: 2, round: 3, epoch: 4 }, bytesOf("abcd"));
    const withLength = (length: number) => {
      const copy = bytes.slice();
      new DataView(copy.buffer).setInt32(40, length);
      return parseNotification(copy);
    };
    for (const length of [-1, -2, 5, 48, 0x7fffffff, -0x80000000]) assert.equal(withLength(length), null);
    assert.equal(textOf(withLength(3)?.config ?? bytesOf("")), "abc");
    assert.equal(withLength(0)?.config?.length, 0);
  });

  it("in no known state is dropped", () => {
    for (const state of [-1, 4, 7, 0x7fffffff]) {
      const writer = new Writer();
      writer.i32(state);
      for (let i = 0; i < 4; i++) writer.i64FromNumber(1);
      assert.equal(parseNotification(writer.copy()), null, `state ${state}`);
    }
  });

  it("with a number that a double cannot hold is dropped; the least one of all is not", () => {
    const of = (leader: bigint, zxid: bigint, round: bigint, epoch: bigint) => {
      const writer = new Writer();
      writer.i32(0);
      for (const value of [leader, zxid, round, epoch]) writer.i64(value);
      writer.i32(1);
      return parseNotification(writer.copy());
    };
    const max = 0x7fff_ffff_ffff_ffffn;
    const least = -(1n << 63n);
    assert.ok(of(1n, 1n, 1n, 1n) !== null);
    assert.equal(of(max, 1n, 1n, 1n), null);
    assert.equal(of(1n, max, 1n, 1n), null);
    assert.equal(of(1n, 1n, max, 1n), null);
    assert.equal(of(1n, 1n, 1n, max), null);
    assert.equal(of(1n, 1n, 1n, BigInt(epochMax) + 1n), null);
    assert.equal(of(1n, 1n, 1n << 53n, 1n), null);
    assert.equal(of(1n, -1n, -1n, -1n)?.zxid, -1);
    assert.equal(of(least, least, least, least)?.round, nobody);
    assert.equal(of(1n, 1n, (1n << 53n) - 1n, 1n)?.round, Number.MAX_SAFE_INTEGER);
  });

  it("made of noise does not throw", () => {
    const random = new Random(11);
    for (let i = 0; i < 3000; i++) {
      const bytes = random.percent(50) ? bytesOfHex(notifications.looking) : random.bytes(random.below(60));
      for (let j = 0; j < 3 && bytes.length > 0; j++) bytes[random.below(bytes.length)] = random.u32();
      parseNotification(bytes);
    }
  });
});

it("a config's version is the hexadecimal number of its line", () => {
  assert.equal(configVersionOf(configText), 0);
  assert.equal(configVersionOf(configTextActive), 0x1_0000_0000);
  assert.equal(configVersionOf("version=ffffffffffffffff"), null);
  for (const text of ["", "version=", "xversion=1", "version=g"]) assert.equal(configVersionOf(text), null);
});

it("the number of nobody is written as the least there is", () => {
  const writer = new Writer();
  writer.i64FromNumber(nobody);
  assert.equal(hexOf(writer.view()), "8000000000000000");
  assert.equal(new Reader(writer.view()).i64AsNumber(), nobody);
});

describe("the initial message", () => {
  const local = [{ host: "127.0.0.1", port: 23311 }];

  it("is written and read as it travelled", () => {
    const bytes = bytesOfHex(initialMessage);
    assert.equal(hexOf(encodeInitial(1, local, false)), hexOf(bytes));
    assert.deepEqual(parseInitial(bytes), { kind: "initial", sid: 1, addresses: local, length: 35 });
  });

  it("is read byte by byte, and what follows it is left alone", () => {
    const bytes = new Uint8Array(64).fill(0xee);
    const message = bytesOfHex(initialMessage);
    bytes.set(message, 3);
    for (let length = 0; length < message.length; length++) {
      assert.equal(parseInitial(bytes, 3, 3 + length).kind, "more", `${length} bytes`);
    }
    for (let end = 3 + message.length; end <= bytes.length; end++) {
      assert.deepEqual(parseInitial(bytes, 3, end), {
        kind: "initial",
        sid: 1,
        addresses: local,
        length: 35,
      });
    }
  });

  it("tells several addresses in its second version, and one in its first", () => {
    const addresses = [{ host: "2001:db8::1", port: 3888 }, { host: "zk.example", port: 65535 }];
    const both = encodeInitial(300, addresses, true);
    assert.equal(hexOf(both.subarray(0, 8)), "ffffffffffff0001");
    assert.equal(textOf(both.subarray(20)), "[2001:db8::1]:3888|zk.example:65535");
    assert.deepEqual(parseInitial(both), { kind: "initial", sid: 300, addresses, length: both.length });
    const first = encodeInitial(300, addresses, false);
    assert.equal(textOf(first.subarray(20)), "[2001:db8::1]:3888");
    // Either version may carry several: the reader does not look at its own setting.
    both[7] = 0;
    assert.equal(parseInitial(both).kind, "initial");
  });

  it("in its oldest form is a sid and nothing else", () => {
    assert.deepEqual(parseInitial(bytesOfHex("0000000000000007 0000")), {
      kind: "initial",
      sid: 7,
      addresses: [],
      length: 8,
    });
  });

  it("may come from an observer without an id, in either form", () => {
    const old = parseInitial(bytesOfHex("7fffffffffffffff"));
    assert.ok(old.kind === "initial" && old.sid === null);
    const text = initialMessage.replace("0000000000000001", "7fffffffffffffff");
    const modern = parseInitial(bytesOfHex(text));
    assert.ok(modern.kind === "initial" && modern.sid === null && modern.addresses.length === 1);
  });

  it("is refused with an absurd version, sid, length or address, as soon as that is seen", () => {
    const head = (version: string, sid: string, length: string) => `${version} ${sid} ${length}`;
    const one = "0000000000000001";
    for (
      const [hex, what] of [
        ["fffffffffffeffff", /protocol version -65537/],
        ["ffffffffffff0002", /protocol version -65534/],
        ["8000000000000000", /protocol version/],
        ["7ffffffffffffffe", /sid 9223372036854775806/],
        [head("ffffffffffff0000", one, "00000000"), /0 bytes of addresses/],
        [head("ffffffffffff0000", one, "00000801"), /2049 bytes of addresses/],
        [head("ffffffffffff0000", one, "ffffffff"), /-1 bytes of addresses/],
        [head("ffffffffffff0000", "ffffffffffffffff", "00000003") + "613a31", /sid -1/],
      ] as const
    ) {
      const read = parseInitial(bytesOfHex(hex));
      assert.ok(read.kind === "refused", hex);
      assert.match(read.reason, what);
    }
    for (
      const text of ["a", ":1", "a:", "a:0", "a:65536", "a:1x", "a:1|", "|a:1", "[::1:1", "::1:1", "a b:1"]
    ) {
      const writer = new Writer();
      writer.i64FromNumber(-65536);
      writer.i64FromNumber(1);
      writer.string(text);
      assert.equal(parseInitial(writer.copy()).kind, "refused", text);
    }
  });

  it("asks for no more than its longest, and noise does not make it throw", () => {
    const random = new Random(12);
    for (let i = 0; i < 300; i++) {
      const bytes = random.bytes(initialBytesMax);
      if (random.percent(70)) bytes.set(bytesOfHex(initialMessage).subarray(0, random.below(21)));
      assert.notEqual(parseInitial(bytes).kind, "more");
    }
  });
});
