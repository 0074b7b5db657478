/**
 * The runtime that we run on, as one value.
 *
 * All but SQLite is the same code on both. The SQLite file is imported by name, here and nowhere
 * else, so that Bun never meets `node:sqlite` and Deno never meets `bun:sqlite`.
 */
import type { Runtime, SqlitePort } from "./ports.ts";
import { clock } from "./shared/clock.ts";
import { files } from "./shared/files.ts";
import { http } from "./shared/http.ts";
import { process } from "./shared/process.ts";
import { tcp } from "./shared/tcp.ts";
import { worker } from "./shared/worker.ts";

export async function currentRuntime(): Promise<Runtime> {
  return { tcp, sqlite: await currentSqlite(), files, clock, process, worker, http };
}

async function currentSqlite(): Promise<SqlitePort> {
  if ("Bun" in globalThis) return (await import("./bun/sqlite.ts")).sqlite;
  if ("Deno" in globalThis) return (await import("./deno/sqlite.ts")).sqlite;
  throw new Error(
    "Cannot start: this runtime is neither Bun nor Deno; run `bun src/main.ts` or `deno run … src/main.ts`",
  );
}
