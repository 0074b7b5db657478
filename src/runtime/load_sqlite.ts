/**
 * The SQLite of the runtime that this runs on.
 *
 * A worker starts from its own module and gets no ports from the main thread, so it asks here.
 */
import type { SqlitePort } from "./ports.ts";

export async function loadSqlite(): Promise<SqlitePort> {
  if ("Bun" in globalThis) return (await import("./bun/sqlite.ts")).sqlite;
  return (await import("./deno/sqlite.ts")).sqlite;
}
