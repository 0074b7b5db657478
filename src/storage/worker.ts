/**
 * The storage worker's thread: the only one that opens the two files for writing.
 *
 * Messages that come while SQLite is still being loaded wait in order.
 */
import { clock } from "../runtime/shared/clock.ts";
import { files } from "../runtime/shared/files.ts";
import { workerScope } from "../runtime/shared/worker.ts";
import { loadSqlite } from "../runtime/load_sqlite.ts";
import type { ToWorker } from "./messages.ts";
import { StorageCore } from "./storage_core.ts";

const scope = workerScope();
const waiting: ToWorker[] = [];
let core: StorageCore | null = null;

scope.onMessage((message) => {
  const known = message as ToWorker;
  if (core === null) waiting.push(known);
  else core.handle(known);
});

const sqlite = await loadSqlite();
core = new StorageCore({ sqlite, files, clock }, (message, transfer) => scope.post(message, transfer));
for (const message of waiting) core.handle(message);
