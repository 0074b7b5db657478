/** Client lines with a socket made of cardboard: frames, words, limits, back-pressure. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { unsentBytesPause } from "../../src/core/base/limits.ts";
import { Connection } from "../../src/core/peer/connection.ts";
import {
  acceptLine,
  type Answer,
  type ClientLine,
  LineCounts,
  lineLimitsDefault,
  type LineOwner,
} from "../../src/net/client_listener.ts";
import type { TcpSocket } from "../../src/runtime/ports.ts";

class CardboardSocket implements TcpSocket {
  readonly remoteAddress: string;
  readonly remotePort = 5000;
  unsentBytes = 0;
  readonly written: Uint8Array[] = [];
  life: "open" | "ended" | "destroyed" = "open";
  paused = false;
  /** What one write leaves unsent. */
  slow = false;

  constructor(remoteAddress = "10.0.0.1") {
    this.remoteAddress = remoteAddress;
  }
  get sent(): string {
    return Buffer.concat(this.written).toString("latin1");
  }
  write(bytes: Uint8Array): void {
    this.written.push(bytes.slice());
    if (this.slow) this.unsentBytes += bytes.length;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    if (this.life === "open") this.life = "ended";
  }
  destroy(): void {
    this.life = "destroyed";
  }
}

class CardboardOwner implements LineOwner {
  limits = { ...lineLimitsDefault, frameBytesMax: 1000 };
  readonly frames: string[] = [];
  readonly counted: string[] = [];
  readonly warned: string[] = [];
  /** Frames that may still be taken. */
  room = Infinity;
  turns = 0;
  heldLines = 0;
  closedLines = 0;
  opens = 0;
  asked: string[] = [];
  /** What a word's answer is before its last slice, how many were made, and what waits for its turn. */
  slices: string[] = [];
  slicesMade = 0;
  answersEnded = 0;
  readonly waiting: (() => void)[] = [];

  mayRead(line: ClientLine): boolean {
    return this.room > 0 && (line.connection?.flow.owed ?? 0) <= unsentBytesPause;
  }
  opened(line: ClientLine): Connection {
    this.opens++;
    return new Connection(1, line.address, line.port, line.secure);
  }
  held(): void {
    this.heldLines++;
  }
  frame(_line: ClientLine, bytes: Uint8Array, start: number, end: number): void {
    this.room--;
    this.frames.push(Buffer.from(bytes.subarray(start, end)).toString("latin1"));
  }
  closed(): void {
    this.closedLines++;
  }
  turn(): void {
    this.turns++;
  }
  wordBytes(bytes: Uint8Array): number {
    const word = Buffer.from(bytes).toString("latin1");
    return word === "ruok" ? 4 : word === "stmk" ? 12 : 0;
  }
  answerWord(bytes: Uint8Array): Answer {
    this.asked.push(Buffer.from(bytes).toString("latin1"));
    return this.answer();
  }
  *answer(): Generator<Uint8Array, Uint8Array, undefined> {
    try {
      for (const slice of this.slices) {
        this.slicesMade++;
        yield Buffer.from(slice);
      }
      return Buffer.from("imok");
    } finally {
      this.answersEnded++;
    }
  }
  later(call: () => void): void {
    this.waiting.push(call);
  }
  warn(event: string): void {
    this.warned.push(event);
  }
  count(what: string): void {
    this.counted.push(what);
  }
  countBytes(): void {}
}

function made(address?: string): { socket: CardboardSocket; owner: CardboardOwner; line: ClientLine } {
  const [socket, owner] = [new CardboardSocket(address), new CardboardOwner()];
  return { socket, owner, line: acceptLine(socket, owner, new LineCounts(), false, 0) };
}

function framed(...payloads: string[]): Uint8Array {
  return Buffer.concat(payloads.flatMap((text) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length);
    return [length, Buffer.from(text, "latin1")];
  }));
}

const three = ["a frame", "", "another one that is a little longer"];

test("frames cut at any one byte are the same frames", () => {
  const bytes = framed(...three);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { owner, line } = made();
    line.data(bytes.slice(0, cut));
    line.data(bytes.slice(cut));
    assert.deepEqual(owner.frames, three, `cut at ${cut}`);
    assert.deepEqual([owner.opens, owner.turns], [1, 2]);
  }
});

test("frames cut anywhere and held anywhere are the same frames, in order", () => {
  const payload = fc.string({ unit: fc.constantFrom("x", "y", "\0", "\xff"), maxLength: 300 });
  fc.assert(
    fc.property(
      fc.array(payload, { maxLength: 12 }),
      fc.array(fc.nat(200)),
      fc.array(fc.nat(3)),
      (payloads, cuts, rooms) => {
        const { owner, line, socket } = made();
        const bytes = framed(...payloads);
        owner.room = 0;
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const next = Math.min(bytes.length, at + 1 + (cuts[i % Math.max(1, cuts.length)] ?? 50));
          line.data(bytes.slice(at, next));
          at = next;
          owner.room = Math.max(0, owner.room) + (rooms[i % Math.max(1, rooms.length)] ?? 1);
          line.release();
          assert.equal(socket.paused, line.isHeld);
        }
        owner.room = Infinity;
        line.release();
        assert.deepEqual(owner.frames, payloads);
        assert.deepEqual([socket.paused, line.isHeld], [false, false]);
      },
    ),
    { numRuns: 500 },
  );
});

test("a length that is no length ends the line, whole or in pieces, first or later", () => {
  for (const size of [-1, -0x8000_0000, 1001, 0x7fff_ffff, 0x4745_5420]) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(size);
    for (const before of [[], ["x"]]) {
      for (const cut of [0, 1, 3]) {
        const { owner, socket, line } = made();
        const bytes = Buffer.concat([framed(...before), length, Buffer.from("and more of it")]);
        const at = bytes.length - 18 + cut;
        line.data(bytes.subarray(0, at));
        line.data(bytes.subarray(at));
        assert.equal(socket.life, "destroyed", `${size} cut at ${cut}`);
        assert.deepEqual(owner.frames, before);
        assert.deepEqual([owner.counted, owner.warned], [["dropped"], ["frame_length"]]);
        line.data(framed("late"));
        assert.deepEqual(owner.frames, before);
      }
    }
  }
  const { owner, line } = made();
  line.data(framed("y".repeat(1000)));
  assert.equal(owner.frames[0]?.length, 1000);
});

test("what is announced costs nothing before it comes", () => {
  const lines: ClientLine[] = [];
  const length = Buffer.alloc(5);
  length.writeInt32BE(0xfffff);
  const before = process.memoryUsage();
  for (let i = 0; i < 2000; i++) {
    const { owner, line } = made();
    owner.limits = { ...owner.limits, frameBytesMax: 0xfffff };
    line.data(length);
    lines.push(line);
  }
  const after = process.memoryUsage();
  assert.equal(lines.length, 2000);
  assert.ok(after.external - before.external < 64 << 20);
  assert.ok(after.rss - before.rss < 256 << 20);
});

test("a large frame in small pieces is copied a few times, not once for each piece", () => {
  const { owner, line } = made();
  owner.limits = { ...owner.limits, frameBytesMax: 1 << 20 };
  const bytes = framed("z".repeat(1_000_000));
  const began = performance.now();
  for (let at = 0; at < bytes.length; at += 100) line.data(bytes.subarray(at, at + 100));
  assert.equal(owner.frames[0]?.length, 1_000_000);
  assert.ok(performance.now() - began < 2000);
});

test("a word is a word however it is cut, and needs all its bytes", () => {
  for (const asked of ["ruok", "stmk12345678"]) {
    const bytes = Buffer.from(`${asked}\n and what nobody reads`, "latin1");
    for (const step of [1, 2, 3, 5, 100]) {
      const { owner, socket, line } = made();
      for (let at = 0; at < bytes.length; at += step) line.data(bytes.subarray(at, at + step));
      assert.deepEqual(owner.asked, [asked], `${asked} by ${step}`);
      assert.deepEqual(socket.written.map((one) => Buffer.from(one).toString()), ["imok"]);
      assert.equal(socket.life, "ended");
      assert.deepEqual(owner.frames, []);
    }
  }
});

test("a long answer is made a slice at a time, each once the one before has left and others had their turn", () => {
  const { socket, owner, line } = made();
  owner.slices = ["a", "", "b"];
  socket.slow = true;
  line.data(Buffer.from("ruok"));
  assert.deepEqual([socket.sent, owner.slicesMade, owner.waiting.length], ["a", 1, 0]);
  socket.slow = false;
  socket.unsentBytes = 0;
  line.drained();
  assert.deepEqual([socket.sent, owner.slicesMade, owner.waiting.length], ["a", 2, 1]);
  while (owner.waiting.length > 0) owner.waiting.shift()?.();
  assert.deepEqual([socket.sent, owner.slicesMade, socket.life], ["abimok", 3, "ended"]);
});

test("an answer whose reader is gone is made no further, and one that stands still is cut off", () => {
  const { socket, owner, line } = made();
  owner.slices = ["a", "b"];
  line.data(Buffer.from("ruok"));
  line.closed();
  while (owner.waiting.length > 0) owner.waiting.shift()?.();
  assert.deepEqual([socket.sent, owner.slicesMade, owner.answersEnded], ["a", 1, 1]);

  const other = made();
  other.owner.slices = ["a", "b"];
  other.line.data(Buffer.from("ruok"));
  assert.deepEqual([0, 9, 20].map((ms) => other.line.isOverdue(ms, 10)), [false, false, true]);
  other.owner.waiting.shift()?.();
  assert.ok(!other.line.isOverdue(20, 10));
});

test("a word is one only as the first thing said", () => {
  const { owner, socket, line } = made();
  line.data(framed("first"));
  line.data(Buffer.from("ruok"));
  assert.deepEqual(owner.asked, []);
  assert.equal(socket.life, "destroyed");
});

test("half a word, or half a frame, and then the end: the line is gone", () => {
  for (const text of ["ru", "stmk1", "\0\0\0\x05abc"]) {
    const { owner, socket, line } = made();
    line.data(Buffer.from(text, "latin1"));
    line.ended();
    assert.equal(socket.life, "destroyed");
    line.closed();
    line.closed();
    assert.deepEqual([owner.closedLines, owner.frames.length], [1, 0]);
  }
});

test("a line held lets the rest of its bytes wait and goes on where it stopped", () => {
  const { owner, socket, line } = made();
  owner.room = 1;
  line.data(framed("1", "2", "3"));
  assert.deepEqual([owner.frames, socket.paused, line.isHeld], [["1"], true, true]);
  line.data(framed("4"));
  assert.equal(line.release(), false);
  owner.room = 2;
  assert.equal(line.release(), true);
  assert.deepEqual([owner.frames, socket.paused], [["1", "2", "3"], true]);
  owner.room = 9;
  assert.equal(line.release(), true);
  assert.deepEqual([owner.frames, socket.paused, line.isHeld], [["1", "2", "3", "4"], false, false]);
});

test("who does not read is not read from, and its socket is given little", () => {
  const { owner, socket, line } = made();
  line.data(framed("hello"));
  const { connection } = line;
  assert.ok(connection !== null);
  socket.slow = true;
  connection.out.raw(new Uint8Array(unsentBytesPause + 1));
  line.flush();
  assert.deepEqual([connection.flow.owed, connection.out.length], [unsentBytesPause + 1, 0]);
  line.data(framed("more"));
  assert.deepEqual([owner.frames.length, line.isHeld], [1, true]);
  connection.out.raw(new Uint8Array(1000));
  line.flush();
  assert.deepEqual([socket.written.length, connection.flow.owed], [1, unsentBytesPause + 1001]);
  socket.slow = false;
  socket.unsentBytes = 0;
  line.drained();
  assert.deepEqual([socket.written.length, connection.flow.owed], [2, 0]);
  assert.equal(line.release(), true);
  assert.deepEqual([owner.frames.length, line.isHeld, socket.paused], [2, false, false]);
});

test("what is left is sent before the line ends", () => {
  const { socket, line } = made();
  line.data(framed("hello"));
  const { connection } = line;
  assert.ok(connection !== null);
  socket.slow = true;
  for (const bytes of [100_000, 200_000]) {
    connection.out.raw(new Uint8Array(bytes));
    line.flush();
  }
  assert.deepEqual(socket.written.map(({ length }) => length), [100_000]);
  line.end();
  assert.deepEqual(socket.written.map(({ length }) => length), [100_000, 200_000]);
  assert.equal(socket.life, "ended");
});

test("bytes given to a slow socket are not written over", () => {
  const { socket, line } = made();
  line.data(framed("hello"));
  const { connection } = line;
  assert.ok(connection !== null);
  const given: Uint8Array[] = [];
  socket.write = (bytes) => {
    given.push(bytes);
    socket.unsentBytes += bytes.length;
  };
  for (let i = 1; i < 20; i++) {
    connection.out.raw(new Uint8Array(100).fill(i));
    line.flush();
  }
  assert.deepEqual(given.map((bytes) => bytes[99]), given.map((_, i) => i + 1));
});

test("one address has so many lines, all together have so many, and a line gone makes room", () => {
  const owner = new CardboardOwner();
  owner.limits = { ...owner.limits, connectionsPerAddressMax: 2, connectionsMax: 3 };
  const counts = new LineCounts();
  const come = (address: string) => {
    const socket = new CardboardSocket(address);
    const line = acceptLine(socket, owner, counts, false, 0);
    if (socket.life === "destroyed") line.closed();
    return { socket, line };
  };
  const first = come("10.0.0.1");
  come("::ffff:10.0.0.1");
  assert.equal(come("10.0.0.1").socket.life, "destroyed");
  assert.equal(come("10.0.0.2").socket.life, "open");
  assert.equal(come("10.0.0.3").socket.life, "destroyed");
  assert.deepEqual(owner.counted, ["rejected", "rejected"]);
  first.line.closed();
  assert.equal(come("10.0.0.1").socket.life, "open");
  assert.deepEqual([counts.total, [...counts.byAddress]], [3, [["10.0.0.1", 2], ["10.0.0.2", 1]]]);
});

test("a line that is over and is not hung up on by the other side is overdue after a while", () => {
  const silent = made().line;
  assert.deepEqual([silent.isOverdue(9_999, 10_000), silent.isOverdue(10_000, 10_000)], [false, true]);
  const talking = made().line;
  talking.data(framed("hello"));
  assert.equal(talking.isOverdue(1e9, 10_000), false);
  talking.end();
  assert.deepEqual([talking.isOverdue(1e9, 10_000), talking.isOverdue(1e9 + 10_000, 10_000)], [false, true]);
  const asking = made().line;
  asking.data(Buffer.from("ruok"));
  assert.deepEqual([asking.isOverdue(50_000, 10_000), asking.isOverdue(60_000, 10_000)], [false, true]);
});
