/**
 * The tree table: `tree.db`, one row a znode, as of the zxid in its `meta`.
 *
 * It is not locked: an operator may read it with the sqlite3 shell while the server runs. With
 * synchronous=NORMAL a power cut may take the last transactions but never leaves half of one; the
 * log still has what was taken, because it is purged only up to what a complete checkpoint of this
 * file's WAL has made durable.
 */
import { bytesEqual } from "../core/base/bytes.ts";
import { aclOpen, aclRead, writeAcls } from "../core/wire/records.ts";
import type { Acl } from "../core/wire/records.ts";
import { Writer } from "../core/wire/writer.ts";
import type { SqliteDatabase, SqliteStatement, SqliteValue } from "../runtime/ports.ts";
import { aclText } from "./acl_text.ts";
import type { DatabaseKind } from "./database_files.ts";
import { storageError } from "./errors.ts";
import { metaSql, treeApplicationId, treeSchema, treeSql, treeVersion } from "./schema.ts";

export const treeKind: DatabaseKind = {
  applicationId: treeApplicationId,
  version: treeVersion,
  upgrades: {},
  schema: treeSchema,
  settingsFirst: "pragma cache_size = -4096",
  // A reader may hold the WAL back for a while; once it can, it shrinks again.
  settings: `pragma journal_mode = wal; pragma synchronous = normal; pragma wal_autocheckpoint = 0;
    pragma journal_size_limit = 67108864`,
};

/** A znode without its data. 64-bit owners are two halves. */
export interface ZnodeStat {
  czxid: number;
  mzxid: number;
  pzxid: number;
  ctime: number;
  mtime: number;
  version: number;
  cversion: number;
  aversion: number;
  ownerHi: number;
  ownerLo: number;
  acl: number;
}

export const aclIdOpen = 0;
/** Distinct lists whose ids are remembered; beyond it they are looked up again. */
const aclsRemembered = 4096;
/** More rows than this in the ACL table are worth a look for unused ones at start. */
const aclsUnusedLook = 1024;

function encode(list: readonly Acl[]): Uint8Array {
  const writer = new Writer(32);
  writeAcls(writer, list);
  return writer.copy();
}

const aclOpenBytes = encode(aclOpen);
const latin1 = new TextDecoder("latin1");

export function int64Of(hi: number, lo: number): number | bigint {
  return hi === 0 ? lo >>> 0 : (BigInt(hi) << 32n) | BigInt(lo >>> 0);
}

/** Columns of `statColumns` from `at` on. */
export function statOf(row: SqliteValue[], at: number): ZnodeStat {
  return {
    czxid: row[at] as number,
    mzxid: row[at + 1] as number,
    pzxid: row[at + 2] as number,
    ctime: row[at + 3] as number,
    mtime: row[at + 4] as number,
    version: row[at + 5] as number,
    cversion: row[at + 6] as number,
    aversion: row[at + 7] as number,
    ownerHi: (row[at + 8] as number) | 0,
    ownerLo: (row[at + 9] as number) | 0,
    acl: row[at + 10] as number,
  };
}

/** The rows of a tree that no txn has touched. server-semantics 1.1. */
export function fillFreshTree(database: SqliteDatabase, logId: string): void {
  database.prepare(treeSql.aclInsert).run(encode(aclRead), aclText(encode(aclRead)));
  const insert = database.prepare(treeSql.insert);
  for (const path of ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"]) {
    const config = path === "/zookeeper/config";
    insert.run(path, new Uint8Array(0), 0, 0, 0, 0, 0, 0, 0, config ? -1 : 0, 0, config ? 1 : aclIdOpen);
  }
  const put = database.prepare(metaSql.put);
  put.run("zxid", 0);
  put.run("total", 0);
  put.run("log_id", logId);
}

/** Snapshots that have replaced the table so far. */
export function generationOf(value: SqliteValue | undefined): number {
  return typeof value === "number" ? value : 0;
}

export class TreeFile {
  readonly path: string;
  readonly #database: SqliteDatabase;
  readonly #find: SqliteStatement;
  readonly #insert: SqliteStatement;
  readonly #update: SqliteStatement;
  readonly #updateData: SqliteStatement;
  readonly #delete: SqliteStatement;
  readonly #below: SqliteStatement;
  readonly #ownedBy: SqliteStatement;
  readonly #sessionPut: SqliteStatement;
  readonly #sessionDelete: SqliteStatement;
  readonly #aclFind: SqliteStatement;
  readonly #aclInsert: SqliteStatement;
  readonly #metaPut: SqliteStatement;
  readonly #checkpoint: SqliteStatement;
  readonly #checkpointNoop: SqliteStatement;
  readonly #aclIds = new Map<string, number>();

  /** The table is the tree as of this zxid, after so many txns. */
  zxid: number;
  total: number;

  constructor(database: SqliteDatabase, path: string) {
    this.path = path;
    this.#database = database;
    this.#find = database.prepare(treeSql.find);
    this.#insert = database.prepare(treeSql.insert);
    this.#update = database.prepare(treeSql.update);
    this.#updateData = database.prepare(treeSql.updateData);
    this.#delete = database.prepare(treeSql.delete);
    this.#below = database.prepare(treeSql.below);
    this.#ownedBy = database.prepare(treeSql.ownedBy);
    this.#sessionPut = database.prepare(treeSql.sessionPut);
    this.#sessionDelete = database.prepare(treeSql.sessionDelete);
    this.#aclFind = database.prepare(treeSql.aclFind);
    this.#aclInsert = database.prepare(treeSql.aclInsert);
    this.#metaPut = database.prepare(metaSql.put);
    this.#checkpoint = database.prepare("pragma wal_checkpoint(passive)");
    this.#checkpointNoop = database.prepare("pragma wal_checkpoint(noop)");
    this.zxid = this.#metaNumber("zxid");
    this.total = this.#metaNumber("total");
    if (Number(database.prepare(treeSql.aclCount).get()?.[0]) > aclsUnusedLook) {
      database.exec(treeSql.aclPurge);
    }
  }

  prepare(sql: string): SqliteStatement {
    return this.#database.prepare(sql);
  }

  meta(name: string): SqliteValue | undefined {
    return this.#database.prepare(metaSql.get).get(name)?.[0];
  }

  putMeta(name: string, value: SqliteValue): void {
    this.#metaPut.run(name, value);
  }

  #metaNumber(name: string): number {
    const value = this.meta(name);
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw storageError("damaged", `read ${this.path}`, `its meta table holds no ${name}`);
  }

  begin(): void {
    this.#database.exec("begin immediate");
  }

  /** Ends the transaction; the table is then the tree as of `zxid`. */
  commit(zxid: number, total: number): void {
    this.#metaPut.run("zxid", zxid);
    this.#metaPut.run("total", total);
    this.#database.exec("commit");
    this.zxid = zxid;
    this.total = total;
  }

  rollback(): void {
    try {
      this.#database.exec("rollback");
    } catch (error) {
      // A full disk ends the transaction by itself.
      if (!(error instanceof Error) || !error.message.includes("no transaction is active")) throw error;
    }
    // What was interned since the transaction began is gone again.
    this.#aclIds.clear();
  }

  find(path: string): ZnodeStat | null {
    const row = this.#find.get(path);
    return row === undefined ? null : statOf(row, 1);
  }

  insert(path: string, data: Uint8Array | null, s: ZnodeStat): void {
    this.#insert.run(
      path,
      data,
      s.czxid,
      s.mzxid,
      s.pzxid,
      s.ctime,
      s.mtime,
      s.version,
      s.cversion,
      s.aversion,
      int64Of(s.ownerHi, s.ownerLo),
      s.acl,
    );
  }

  /** `data` undefined leaves it as it is. */
  update(path: string, data: Uint8Array | null | undefined, s: ZnodeStat): void {
    if (data === undefined) {
      this.#update.run(s.mzxid, s.pzxid, s.mtime, s.version, s.cversion, s.aversion, s.acl, path);
    } else {
      this.#updateData.run(data, s.mzxid, s.pzxid, s.mtime, s.version, s.cversion, s.aversion, s.acl, path);
    }
  }

  delete(path: string): void {
    this.#delete.run(path);
  }

  /** The paths of all that is below a path. */
  below(path: string): string[] {
    return this.#below.all(path, path).map((row) => row[0] as string);
  }

  ownedBy(hi: number, lo: number): string[] {
    return this.#ownedBy.all(int64Of(hi, lo)).map((row) => row[0] as string);
  }

  putSession(hi: number, lo: number, timeoutMs: number): void {
    this.#sessionPut.run(int64Of(hi, lo), timeoutMs);
  }

  deleteSession(hi: number, lo: number): void {
    this.#sessionDelete.run(int64Of(hi, lo));
  }

  /** The id of an encoded list, made where it is new. Called within a transaction. */
  aclId(acls: Uint8Array): number {
    // A null or empty vector guards nothing.
    if (acls.length <= 4 || bytesEqual(acls, aclOpenBytes)) return aclIdOpen;
    const key = latin1.decode(acls);
    const known = this.#aclIds.get(key);
    if (known !== undefined) return known;
    let id = this.#aclFind.get(acls)?.[0];
    if (id === undefined) {
      this.#aclInsert.run(acls, aclText(acls));
      id = this.#aclFind.get(acls)?.[0];
    }
    if (this.#aclIds.size >= aclsRemembered) this.#aclIds.clear();
    this.#aclIds.set(key, id as number);
    return id as number;
  }

  /**
   * Moves what is in the WAL to the file. Complete: all that was committed before is durable.
   * Not so while a reader is in the middle of something older.
   */
  checkpoint(): { readonly complete: boolean; readonly pages: number } {
    const row = this.#checkpoint.get();
    const [busy, pages, moved] = [Number(row?.[0]), Number(row?.[1]), Number(row?.[2])];
    return { complete: busy === 0 && pages === moved, pages };
  }

  /** Pages in the WAL that are not in the file yet. Touches nothing. */
  pagesWaiting(): number {
    const row = this.#checkpointNoop.get();
    return Number(row?.[1]) - Number(row?.[2]);
  }

  close(): void {
    this.#database.close();
  }
}
