/**
 * A long load leaves turns to everybody else: the next chunk is asked for behind what came meanwhile.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { clock } from "../../src/runtime/shared/clock.ts";
import { openStorage } from "../../src/storage/worker_storage.ts";

test("a chunk of the recovery is taken in a turn of its own", () => {
  const sent: unknown[] = [];
  const soon: (() => void)[] = [];
  let hear = (_message: unknown): void => {};
  const storage = openStorage({
    clock: { ...clock, soon: (call) => soon.push(call) },
    worker: {
      spawn: () => ({
        post: (message) => sent.push(message),
        onMessage: (call) => hear = call,
        onError: () => {},
        terminate: () => {},
      }),
    },
  }, {
    dataDir: "/none",
    dataLogDir: "/none",
    sync: "full",
    logRetainTxns: 0,
    logRetainMs: 0,
    mustExist: false,
  });
  const rows: number[] = [];
  const nothing = (): void => {};
  const sink = {
    rows: (bytes: Uint8Array) => rows.push(bytes.length),
    session: nothing,
    treeComplete: nothing,
  };
  void storage.recover({ ...sink, batch: nothing });
  sent.length = 0;
  for (const bytes of [1, 2, 3]) hear({ kind: "rows", bytes: new Uint8Array(bytes) });
  assert.deepEqual([rows, sent.length], [[1, 2, 3], 0]);
  for (const call of soon) call();
  assert.deepEqual(sent, Array.from({ length: 3 }, () => ({ kind: "taken" })));
});
