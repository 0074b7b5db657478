/**
 * SQLite on Deno: `node:sqlite` behind the port.
 *
 * It can neither refuse to make a missing file nor finalize one statement: the first is asked of the
 * file system beforehand, the second happens when the database closes.
 */
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { StatementSync } from "node:sqlite";
import { SqliteError } from "../ports.ts";
import type {
  SqliteDatabase,
  SqliteOpenOptions,
  SqlitePort,
  SqliteStatement,
  SqliteValue,
} from "../ports.ts";
import { sqliteErrorOf } from "../shared/sqlite_codes.ts";

class DenoStatement implements SqliteStatement {
  readonly #statement: StatementSync;
  readonly #sql: string;

  constructor(statement: StatementSync, sql: string) {
    this.#statement = statement;
    this.#sql = sql;
    statement.setReturnArrays(true);
  }

  run(...params: SqliteValue[]): number {
    try {
      return Number(this.#statement.run(...params).changes);
    } catch (error) {
      throw sqliteErrorOf(error, this.#sql);
    }
  }

  get(...params: SqliteValue[]): SqliteValue[] | undefined {
    try {
      // `setReturnArrays` makes rows arrays of columns; the type of `get` does not know it.
      return this.#statement.get(...params) as unknown as SqliteValue[] | undefined;
    } catch (error) {
      throw sqliteErrorOf(error, this.#sql);
    }
  }

  all(...params: SqliteValue[]): SqliteValue[][] {
    try {
      return this.#statement.all(...params) as unknown as SqliteValue[][];
    } catch (error) {
      throw sqliteErrorOf(error, this.#sql);
    }
  }

  finalize(): void {}
}

class DenoDatabase implements SqliteDatabase {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  exec(sql: string): void {
    try {
      this.#database.exec(sql);
    } catch (error) {
      throw sqliteErrorOf(error, sql);
    }
  }

  prepare(sql: string): SqliteStatement {
    try {
      return new DenoStatement(this.#database.prepare(sql), sql);
    } catch (error) {
      throw sqliteErrorOf(error, sql);
    }
  }

  close(): void {
    try {
      this.#database.close();
    } catch (error) {
      throw sqliteErrorOf(error, "close");
    }
  }
}

function open(options: SqliteOpenOptions): SqliteDatabase {
  if ((options.mustExist || options.readonly) && options.path !== ":memory:" && !existsSync(options.path)) {
    throw new SqliteError(
      "SQLITE_CANTOPEN",
      `open ${options.path}: unable to open database file: it does not exist`,
    );
  }
  try {
    return new DenoDatabase(new DatabaseSync(options.path, { readOnly: options.readonly }));
  } catch (error) {
    throw sqliteErrorOf(error, `open ${options.path}`);
  }
}

function version(): string {
  const database = new DatabaseSync(":memory:");
  const row = database.prepare("select sqlite_version() as version").get();
  database.close();
  return String(row?.["version"]);
}

export const sqlite: SqlitePort = {
  get version() {
    return version();
  },
  open,
};
