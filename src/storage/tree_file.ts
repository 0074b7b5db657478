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
import { aclCrc, checkMeta, checkPages, dataCrc, putMetaRow, sessionCrc } from "./checksums.ts";
import type { DatabaseKind } from "./database_files.ts";
import { rot } from "./errors.ts";
import { metaSql, treeApplicationId, treeSchema, treeSql, treeUpgrades, treeVersion } from "./schema.ts";
import type { TreeDigest } from "./storage.ts";
import { rowCrc, statOf } from "./tree_stat.ts";
import type { ZnodeStat } from "./tree_stat.ts";

export type { ZnodeStat };

export const treeKind: DatabaseKind = {
  applicationId: treeApplicationId,
  version: treeVersion,
  upgrades: treeUpgrades,
  schema: treeSchema,
  settingsFirst: "pragma cache_size = -4096",
  // A reader may hold the WAL back for a while; once it can, it shrinks again.
  settings: `pragma journal_mode = wal; pragma synchronous = normal; pragma wal_autocheckpoint = 0;
    pragma journal_size_limit = 67108864`,
};

export const aclIdOpen = 0;
/** Distinct lists whose ids are remembered; beyond it they are looked up again. */
const aclsRemembered = 4096;
const aclBytesRemembered = 4096;
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

/** The rows of a tree that no txn has touched. server-semantics 1.1. */
export function fillFreshTree(database: SqliteDatabase, logId: string): void {
  database.prepare(treeSql.aclInsert).run(encode(aclRead), aclText(encode(aclRead)));
  const insert = database.prepare(treeSql.insert);
  for (const path of ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"]) {
    const config = path === "/zookeeper/config";
    // Checksums come with the first look at them.
    insert.run(
      path,
      new Uint8Array(0),
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      config ? -1 : 0,
      0,
      config ? 1 : aclIdOpen,
      null,
    );
  }
  const put = database.prepare(metaSql.put);
  const names = { zxid: 0, total: 0, znodes: 4, sessions: 0 };
  for (const [name, value] of Object.entries(names)) putMetaRow(put, name, value);
  putMetaRow(put, "log_id", logId);
}

/** Snapshots that have replaced the table so far. */
export function generationOf(value: SqliteValue | undefined): number {
  return typeof value === "number" ? value : 0;
}

function digestOf(value: SqliteValue | undefined): TreeDigest | null {
  if (typeof value !== "string" || value === "") return null;
  const [hi = 0, lo = 0] = value.split(":").map((half) => parseInt(half, 16));
  return { hi, lo };
}

function digestText(digest: TreeDigest | null): string {
  return digest === null ? "" : `${digest.hi.toString(16)}:${digest.lo.toString(16)}`;
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
  readonly #seal: SqliteStatement;
  readonly #sessionNew: SqliteStatement;
  readonly #sessionPut: SqliteStatement;
  readonly #sessionDelete: SqliteStatement;
  readonly #aclFind: SqliteStatement;
  readonly #aclInsert: SqliteStatement;
  readonly #aclRow: SqliteStatement;
  readonly #aclSeal: SqliteStatement;
  readonly #metaPut: SqliteStatement;
  readonly #checkpoint: SqliteStatement;
  readonly #checkpointNoop: SqliteStatement;
  readonly #aclIds = new Map<string, number>();

  /** The table is the tree as of this zxid, after so many txns. */
  zxid: number;
  total: number;
  /** The tree's digest, where the log told it. */
  digest: TreeDigest | null;
  /** Rows, as of the end of the transaction that is open; what is in `meta` is what a start holds them against. */
  #znodes = 0;
  #sessions = 0;
  readonly #aclBytes = new Map<number, Uint8Array>();
  /** Rows that were found without a checksum, and theirs. */
  #unsealed: [number, number][] = [];

  constructor(database: SqliteDatabase, path: string) {
    this.path = path;
    this.#database = database;
    checkMeta(database, path, "table");
    this.#find = database.prepare(treeSql.find);
    this.#insert = database.prepare(treeSql.insert);
    this.#update = database.prepare(treeSql.update);
    this.#updateData = database.prepare(treeSql.updateData);
    this.#delete = database.prepare(treeSql.delete);
    this.#below = database.prepare(treeSql.below);
    this.#ownedBy = database.prepare(treeSql.ownedBy);
    this.#seal = database.prepare(treeSql.seal);
    this.#sessionNew = database.prepare(treeSql.sessionNew);
    this.#sessionPut = database.prepare(treeSql.sessionPut);
    this.#sessionDelete = database.prepare(treeSql.sessionDelete);
    this.#aclFind = database.prepare(treeSql.aclFind);
    this.#aclInsert = database.prepare(treeSql.aclInsert);
    this.#aclRow = database.prepare(treeSql.aclRow);
    this.#aclSeal = database.prepare(treeSql.aclSeal);
    this.#metaPut = database.prepare(metaSql.put);
    this.#checkpoint = database.prepare("pragma wal_checkpoint(passive)");
    this.#checkpointNoop = database.prepare("pragma wal_checkpoint(noop)");
    this.zxid = this.#metaNumber("zxid");
    this.total = this.#metaNumber("total");
    this.digest = digestOf(this.meta("digest"));
    this.#znodes = Number(this.meta("znodes") ?? 0);
    this.#sessions = Number(this.meta("sessions") ?? 0);
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
    putMetaRow(this.#metaPut, name, value);
  }

  #metaNumber(name: string): number {
    const value = this.meta(name);
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw rot("table", `read ${this.path}`, `its meta table holds no ${name}`);
  }

  begin(): void {
    this.#database.exec("begin immediate");
  }

  /** Ends the transaction; the table is then the tree as of `zxid`, with that digest where it is known. */
  commit(zxid: number, total: number, digest: TreeDigest | null = null): void {
    this.putMeta("zxid", zxid);
    this.putMeta("total", total);
    if (digest !== null || this.digest !== null) this.putMeta("digest", digestText(digest));
    this.#putCounts();
    this.#database.exec("commit");
    this.zxid = zxid;
    this.total = total;
    this.digest = digest;
  }

  #putCounts(): void {
    this.putMeta("znodes", this.#znodes);
    this.putMeta("sessions", this.#sessions);
  }

  /** All was read, so many rows of each. Throws where some are missing; what had no checksum gets it. */
  settle(znodes: number, sessions: number): void {
    const [znodesWritten, sessionsWritten] = [this.meta("znodes"), this.meta("sessions")];
    this.#aclBytes.clear();
    const isKnown = znodesWritten !== undefined && sessionsWritten !== undefined;
    if (isKnown && (znodesWritten !== znodes || sessionsWritten !== sessions)) {
      throw rot(
        "table",
        `read ${this.path}`,
        `found ${znodes} znodes and ${sessions} sessions where ${znodesWritten} and ${sessionsWritten} were written`,
      );
    }
    if (isKnown && this.#unsealed.length === 0) return;
    [this.#znodes, this.#sessions] = [znodes, sessions];
    this.begin();
    for (const [id, crc] of this.#unsealed) this.#seal.run(crc, id);
    this.#putCounts();
    this.#database.exec("commit");
    this.#unsealed = [];
  }

  seal(id: number, crc: number): void {
    this.#unsealed.push([id, crc]);
  }

  checkPages(): void {
    checkPages(this.#database, this.path, "table");
  }

  rollback(): void {
    try {
      this.#database.exec("rollback");
    } catch (error) {
      // A full disk ends the transaction by itself.
      if (!(error instanceof Error) || !error.message.includes("no transaction is active")) throw error;
    }
    // What was interned and counted since the transaction began is gone again.
    this.#aclIds.clear();
    this.#aclBytes.clear();
    this.#znodes = Number(this.meta("znodes") ?? 0);
    this.#sessions = Number(this.meta("sessions") ?? 0);
  }

  find(path: string): ZnodeStat | null {
    const row = this.#find.get(path);
    if (row === undefined) return null;
    const stat = statOf(row, 1);
    const crc = row[12];
    stat.dataCrc = typeof crc === "number" ? rowCrc(path, stat, crc) : null;
    return stat;
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
      rowCrc(path, s, dataCrc(data)),
    );
    this.#znodes++;
  }

  /** `data` undefined leaves it as it is. */
  update(path: string, data: Uint8Array | null | undefined, s: ZnodeStat): void {
    const known = data === undefined ? s.dataCrc ?? null : dataCrc(data);
    const crc = known === null ? null : rowCrc(path, s, known);
    const { mzxid, pzxid, mtime, version, cversion, aversion, acl } = s;
    const rows = data === undefined
      ? this.#update.run(mzxid, pzxid, mtime, version, cversion, aversion, acl, crc, path)
      : this.#updateData.run(data, mzxid, pzxid, mtime, version, cversion, aversion, acl, crc, path);
    if (rows !== 1) {
      throw rot("table", `write ${this.path}`, `the row of ${path} was there and can't be found`);
    }
  }

  delete(path: string): void {
    this.#znodes -= this.#delete.run(path);
  }

  /** The paths of all that is below a path. */
  below(path: string): string[] {
    return this.#below.all(path, path).map((row) => row[0] as string);
  }

  ownedBy(hi: number, lo: number): string[] {
    return this.#ownedBy.all(int64Of(hi, lo)).map((row) => row[0] as string);
  }

  putSession(hi: number, lo: number, timeoutMs: number): void {
    const [id, crc] = [int64Of(hi, lo), sessionCrc(hi, lo, timeoutMs)];
    if (this.#sessionNew.run(id, timeoutMs, crc) === 1) this.#sessions++;
    else this.#sessionPut.run(timeoutMs, crc, id);
  }

  deleteSession(hi: number, lo: number): void {
    this.#sessions -= this.#sessionDelete.run(int64Of(hi, lo));
  }

  /** Triples of id's high half, low half, timeout. */
  sessions(): Int32Array<ArrayBuffer> {
    const statement = this.#database.prepare(treeSql.sessions);
    const rows = statement.all();
    statement.finalize();
    const list = new Int32Array(rows.length * 3);
    rows.forEach((row, i) => {
      const [hi, lo, timeoutMs] = [Number(row[0]) | 0, Number(row[1]) | 0, Number(row[2])];
      if (row[3] === null) this.#sessionPut.run(timeoutMs, sessionCrc(hi, lo, timeoutMs), int64Of(hi, lo));
      else if (row[3] !== sessionCrc(hi, lo, timeoutMs)) {
        throw rot(
          "table",
          `read ${this.path}`,
          `session 0x${int64Of(hi, lo).toString(16)} is not as it was written`,
        );
      }
      list.set([hi, lo, timeoutMs], i * 3);
    });
    return list;
  }

  /** The list of that id, as it was written. */
  acls(id: number): Uint8Array {
    const known = this.#aclBytes.get(id);
    if (known !== undefined) return known;
    const [acls, crc] = this.#aclRow.get(id) ?? [];
    if (!(acls instanceof Uint8Array)) throw rot("table", `read ${this.path}`, `the ACL ${id} is not there`);
    if (crc === null) this.#aclSeal.run(aclCrc(id, acls), id);
    else if (crc !== aclCrc(id, acls)) {
      throw rot("table", `read ${this.path}`, `the ACL ${id} is not as it was written`);
    }
    if (this.#aclBytes.size >= aclBytesRemembered) this.#aclBytes.clear();
    this.#aclBytes.set(id, acls);
    return acls;
  }

  /** The id of an encoded list, made where it is new. Called within a transaction. */
  aclId(acls: Uint8Array): number {
    // A null or empty vector guards nothing.
    if (acls.length <= 4 || bytesEqual(acls, aclOpenBytes)) return aclIdOpen;
    const key = latin1.decode(acls);
    const known = this.#aclIds.get(key);
    if (known !== undefined) return known;
    let id = this.#aclFind.get(acls)?.[0] as number | undefined;
    if (id === undefined) {
      this.#aclInsert.run(acls, aclText(acls));
      id = this.#aclFind.get(acls)?.[0] as number;
      this.#aclSeal.run(aclCrc(id, acls), id);
    }
    if (!bytesEqual(this.acls(id), acls)) {
      throw rot("table", `read ${this.path}`, `the ACL ${id} is not the one that its index says`);
    }
    if (this.#aclIds.size >= aclsRemembered) this.#aclIds.clear();
    this.#aclIds.set(key, id);
    return id;
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
