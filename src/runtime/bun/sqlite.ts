/**
 * SQLite on Bun: `bun:sqlite` behind the port.
 *
 * Bun keeps a database open while a statement of it lives, so `close` finalizes what was prepared:
 * after it the file is closed and its locks are gone.
 */
import { Database } from "bun:sqlite";
import type { Statement } from "bun:sqlite";
import type {
  SqliteDatabase,
  SqliteOpenOptions,
  SqlitePort,
  SqliteStatement,
  SqliteValue,
} from "../ports.ts";
import { sqliteErrorOf } from "../shared/sqlite_codes.ts";

class BunStatement implements SqliteStatement {
  readonly #statement: Statement;
  readonly #sql: string;

  constructor(statement: Statement, sql: string) {
    this.#statement = statement;
    this.#sql = sql;
  }

  run(...params: SqliteValue[]): number {
    try {
      return this.#statement.run(...params).changes;
    } catch (error) {
      throw sqliteErrorOf(error, this.#sql);
    }
  }

  get(...params: SqliteValue[]): SqliteValue[] | undefined {
    return this.all(...params)[0];
  }

  all(...params: SqliteValue[]): SqliteValue[][] {
    try {
      // SQLite has these five types and no other.
      return this.#statement.values(...params) as SqliteValue[][];
    } catch (error) {
      throw sqliteErrorOf(error, this.#sql);
    }
  }

  finalize(): void {
    this.#statement.finalize();
  }
}

class BunDatabase implements SqliteDatabase {
  readonly #database: Database;
  readonly #statements: BunStatement[] = [];

  constructor(database: Database) {
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
      const statement = new BunStatement(this.#database.prepare(sql), sql);
      this.#statements.push(statement);
      return statement;
    } catch (error) {
      throw sqliteErrorOf(error, sql);
    }
  }

  close(): void {
    for (const statement of this.#statements) statement.finalize();
    this.#statements.length = 0;
    try {
      this.#database.close(true);
    } catch (error) {
      throw sqliteErrorOf(error, "close");
    }
  }
}

function open(options: SqliteOpenOptions): SqliteDatabase {
  try {
    return new BunDatabase(
      new Database(
        options.path,
        options.readonly ? { readonly: true } : { readwrite: true, create: !options.mustExist },
      ),
    );
  } catch (error) {
    throw sqliteErrorOf(error, `open ${options.path}`);
  }
}

function version(): string {
  const database = new Database(":memory:");
  const text = String(database.query("select sqlite_version()").values()[0]?.[0]);
  database.close();
  return text;
}

export const sqlite: SqlitePort = {
  get version() {
    return version();
  },
  open,
};
