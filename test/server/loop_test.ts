/** The loop's turns, with a clock that tells how much work was done. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeShellCounters } from "../../src/core/peer/status_source.ts";
import { Peer } from "../../src/core/peer/peer.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { writeConnectRequest, writeRequestHeader } from "../../src/core/wire/requests.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import { acceptLine, type ClientLine, LineCounts, lineLimitsDefault } from "../../src/net/client_listener.ts";
import type { ClockPort, TcpSocket } from "../../src/runtime/ports.ts";
import { Loop } from "../../src/server/loop.ts";
import { openMemoryStorage } from "../../src/storage/memory_storage.ts";
import { bornMonoMs, peerOptions } from "../core/peer/driver.ts";

/** Each look takes a millisecond; a callback waits until `run`. */
class CountingClock implements ClockPort {
  nowMs = bornMonoMs;
  readonly waiting: (() => void)[] = [];
  wallMs = () => this.nowMs;
  monotonicMs = () => ++this.nowMs;
  every = () => () => {};
  after(_ms: number, call: () => void): () => void {
    this.waiting.push(call);
    return () => {};
  }
  soon(call: () => void): void {
    this.waiting.push(call);
  }
}

function frames(...bodies: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const w = new Writer(1024);
  for (const body of bodies) {
    w.i32(body.length);
    w.raw(body);
  }
  return w.copy();
}

const socketMade = (): TcpSocket => ({
  remoteAddress: "10.0.0.1",
  remotePort: 5000,
  unsentBytes: 0,
  write: () => {},
  pause: () => {},
  resume: () => {},
  end: () => {},
  destroy: () => {},
});

test("thousands of requests that arrive together are taken some at a time, of one line and of many", async () => {
  const clock = new CountingClock();
  const peer = new Peer(peerOptions());
  const storage = openMemoryStorage();
  peer.begin(await storage.recover(peer.loader()), clock.nowMs);
  const loop = new Loop({
    peer,
    storage,
    clock,
    logger: { info() {}, warn() {}, error() {}, debug() {}, write() {} } as never,
    counters: makeShellCounters(),
    limits: lineLimitsDefault,
    words: { bytes: () => 0, answer: () => [][Symbol.iterator]() as never },
    fatal: assert.fail,
  });
  const counts = new LineCounts();
  const lines: ClientLine[] = [];
  for (let i = 0; i < 20; i++) {
    const line = acceptLine(socketMade(), loop, counts, false, clock.nowMs);
    loop.accepted(line);
    const w = new Writer(64);
    writeConnectRequest(w, {
      protocolVersion: 0,
      zxidSeen: 0,
      timeoutMs: 30_000,
      sessionId: 0n,
      password: null,
      readOnly: false,
    });
    line.data(frames(w.copy()));
    lines.push(line);
  }
  await new Promise((resolve) => setTimeout(resolve, 0));
  while (clock.waiting.length > 0) clock.waiting.shift()?.();
  const ping = new Writer(8);
  writeRequestHeader(ping, -2, OpCode.Ping);
  const chunk = frames(...new Array<Uint8Array>(500).fill(ping.copy()));

  const answered = () => lines.reduce((sum, line) => sum + (line.connection?.packetsReceived ?? 0) - 1, 0);
  // What one poll of the runtime brings: each line gives one, and one look at the clock, for eight of them, is a
  // millisecond.
  const run = (poll: () => void) => {
    const before = answered();
    poll();
    assert.ok(answered() - before <= 20 + 8 * 8, `${answered() - before} requests in a row`);
  };
  run(() => {
    for (const line of lines) line.data(chunk.slice());
  });
  assert.ok(answered() > 0);
  let polls = 1;
  for (; clock.waiting.length > 0; polls++) {
    const calls = clock.waiting.splice(0);
    for (const call of calls) run(call);
  }
  assert.equal(answered(), 20 * 500);
  assert.ok(polls > 100, `${polls} polls`);
});
