/**
 * The worker port: messages in order, buffers that move, errors that are told.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { worker } from "../../src/runtime/shared/worker.ts";
import type { WorkerHandle } from "../../src/runtime/ports.ts";

const url = new URL("./worker_echo.ts", import.meta.url);

/** The next `count` messages, or an error after five seconds. */
function collect(handle: WorkerHandle, count: number): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const list: unknown[] = [];
    const timer = setTimeout(() => reject(new Error(`only ${list.length} of ${count} messages came`)), 5000);
    handle.onMessage((message) => {
      list.push(message);
      if (list.length < count) return;
      clearTimeout(timer);
      resolve(list);
    });
  });
}

test("messages keep their order, also those sent before the worker runs", async () => {
  const handle = worker.spawn(url, "echo");
  const answers = collect(handle, 100);
  for (let i = 0; i < 100; i++) handle.post({ kind: "echo", value: i });
  assert.deepEqual(await answers, Array.from({ length: 100 }, (_, i) => ({ kind: "echo", value: i })));
  handle.terminate();
});

test("a listed buffer moves there and back", async () => {
  const handle = worker.spawn(url, "echo");
  const bytes = new Uint8Array([1, 2, 3]);
  const answers = collect(handle, 1);
  handle.post({ kind: "add", bytes }, [bytes.buffer]);
  assert.equal(bytes.byteLength, 0);
  const [answer] = await answers;
  assert.deepEqual(answer, { kind: "added", bytes: new Uint8Array([2, 3, 4]), left: 0 });
  handle.terminate();
});

test("an exception in the worker is told to its owner", async () => {
  const handle = worker.spawn(url, "echo");
  const failed = new Promise<Error>((resolve) => handle.onError(resolve));
  handle.post({ kind: "throw" });
  assert.match((await failed).message, /thrown on purpose/);
  handle.terminate();
});

test("a module that cannot be loaded is told too", async () => {
  const handle = worker.spawn(new URL("./no_such_module.ts", import.meta.url), "nothing");
  const failed = new Promise<Error>((resolve) => handle.onError(resolve));
  assert.notEqual((await failed).message, "");
  handle.terminate();
});
