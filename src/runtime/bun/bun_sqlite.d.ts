/**
 * Types of `bun:sqlite`, as far as `sqlite.ts` beside it uses them.
 */
declare module "bun:sqlite" {
  export class Database {
    constructor(path: string, options?: { readonly?: boolean; readwrite?: boolean; create?: boolean });
    exec(sql: string): void;
    prepare(sql: string): Statement;
    query(sql: string): Statement;
    close(throwOnError?: boolean): void;
  }
  export interface Statement {
    run(...params: unknown[]): { changes: number; lastInsertRowid: number | bigint };
    values(...params: unknown[]): unknown[][];
    finalize(): void;
  }
}
