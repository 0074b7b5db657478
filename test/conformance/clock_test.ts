/**
 * The clock port, alike on both runtimes.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { clock } from "../../src/runtime/shared/clock.ts";
import { sleep } from "../support/places.ts";
import { until } from "../support/tcp_recorder.ts";

test("the wall clock tells milliseconds since 1970, the other one never goes back", async () => {
  assert.ok(Math.abs(clock.wallMs() - Date.now()) < 50);
  const start = clock.monotonicMs();
  let last = start;
  for (let i = 0; i < 10_000; i++) {
    const now = clock.monotonicMs();
    assert.ok(now >= last);
    last = now;
  }
  await sleep(30);
  const took = clock.monotonicMs() - start;
  assert.ok(took >= 29 && took < 5000, `${took} ms`);
});

test("every calls again and again, until it is stopped", async () => {
  let count = 0;
  const stop = clock.every(5, () => count++);
  await until("three calls", () => count >= 3);
  stop();
  const then = count;
  await sleep(30);
  assert.equal(count, then);
  stop();
});

test("every can be stopped from within its own call", async () => {
  let count = 0;
  const stop = clock.every(1, () => {
    count++;
    stop();
  });
  await sleep(30);
  assert.equal(count, 1);
});

test("after calls once, or not at all when it is stopped before", async () => {
  let first = 0;
  let second = 0;
  clock.after(5, () => first++);
  const stop = clock.after(5, () => second++);
  stop();
  await until("called", () => first === 1);
  await sleep(30);
  assert.equal(first, 1);
  assert.equal(second, 0);
});

test("a delay beyond what timers can hold is a long delay, not none", async () => {
  let calls = 0;
  const stops = [clock.after(2 ** 40, () => calls++), clock.every(2 ** 40, () => calls++)];
  await sleep(30);
  for (const stop of stops) stop();
  assert.equal(calls, 0);
});

test("soon calls once, later than now and without a delay", async () => {
  let count = 0;
  const start = clock.monotonicMs();
  const waited = new Promise<number>((resolve) =>
    clock.soon(() => {
      count++;
      resolve(clock.monotonicMs() - start);
    })
  );
  assert.equal(count, 0);
  const took = await waited;
  assert.ok(took < 1000, `${took} ms`);
  await sleep(10);
  assert.equal(count, 1);
});
