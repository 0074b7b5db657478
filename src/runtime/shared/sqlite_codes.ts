/**
 * SQLite's result codes by number and by sentence.
 *
 * Callers decide by the primary code's name, whatever the runtime's own error looks like. Bun gives
 * a number each time; Deno gives one when a statement runs but not when it is prepared, nor when a
 * file is opened: there only the library's sentence is left, and it is one of a fixed set.
 */
import { SqliteError } from "../ports.ts";

const codes: readonly (readonly [number, string, string])[] = [
  [1, "SQLITE_ERROR", "SQL logic error"],
  [2, "SQLITE_INTERNAL", "unknown error"],
  [3, "SQLITE_PERM", "access permission denied"],
  [4, "SQLITE_ABORT", "query aborted"],
  [5, "SQLITE_BUSY", "database is locked"],
  [6, "SQLITE_LOCKED", "database table is locked"],
  [7, "SQLITE_NOMEM", "out of memory"],
  [8, "SQLITE_READONLY", "attempt to write a readonly database"],
  [9, "SQLITE_INTERRUPT", "interrupted"],
  [10, "SQLITE_IOERR", "disk I/O error"],
  [11, "SQLITE_CORRUPT", "database disk image is malformed"],
  [12, "SQLITE_NOTFOUND", "unknown operation"],
  [13, "SQLITE_FULL", "database or disk is full"],
  [14, "SQLITE_CANTOPEN", "unable to open database file"],
  [15, "SQLITE_PROTOCOL", "locking protocol"],
  [17, "SQLITE_SCHEMA", "database schema has changed"],
  [18, "SQLITE_TOOBIG", "string or blob too big"],
  [19, "SQLITE_CONSTRAINT", "constraint failed"],
  [20, "SQLITE_MISMATCH", "datatype mismatch"],
  [21, "SQLITE_MISUSE", "bad parameter or other API misuse"],
  [22, "SQLITE_NOLFS", "large file support is disabled"],
  [23, "SQLITE_AUTH", "authorization denied"],
  [25, "SQLITE_RANGE", "column index out of range"],
  [26, "SQLITE_NOTADB", "file is not a database"],
];

const nameByNumber = new Map<number, string>(codes.map(([number, name]) => [number, name]));

/** Turns what a runtime's SQLite threw into a SqliteError; `what` says what was tried. */
export function sqliteErrorOf(error: unknown, what: string): SqliteError {
  const message = error instanceof Error ? error.message : String(error);
  return new SqliteError(codeOf(error, message), `${what}: ${message}`, { cause: error });
}

function codeOf(error: unknown, message: string): string {
  const number = numberOf(error, "errno") || numberOf(error, "errcode");
  if (number > 0) return nameByNumber.get(number & 0xff) ?? "SQLITE_ERROR";
  for (const [, name, sentence] of codes) if (message.startsWith(sentence)) return name;
  return "SQLITE_ERROR";
}

function numberOf(error: unknown, key: "errno" | "errcode"): number {
  if (typeof error !== "object" || error === null) return 0;
  const value: unknown = Reflect.get(error, key);
  return typeof value === "number" ? value : 0;
}
