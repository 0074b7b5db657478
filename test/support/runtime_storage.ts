/**
 * The ports that storage stands on, for the runtime that runs the test. A worker chooses the same
 * way, so this says nothing that the product does not.
 */
import * as os from "node:os";
import * as path from "node:path";
import { mkdtempSync, rmSync } from "node:fs";
import type { SqlitePort } from "../../src/runtime/ports.ts";

export const isBun = "Bun" in globalThis;

export const sqlite: SqlitePort = isBun
  ? (await import("../../src/runtime/bun/sqlite.ts")).sqlite
  : (await import("../../src/runtime/deno/sqlite.ts")).sqlite;

/** Calls `work` with a new directory and removes it afterwards. */
export async function withDirectory(work: (directory: string) => void | Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), "zoolet-test-"));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
