/**
 * Replacement: a snapshot from a leader takes the place of table and log.
 *
 * ```
 * replaceBegin, rows, sessions    tree.db.next is filled, without journal and without fsync
 * replaceEnd    1  tree.db.next   closed, synced, its name too
 *               2  log.db         ONE transaction: no rows, generation + 1, `tree_next`
 *               3  tree.db        closed, its WAL removed; the directory synced
 *               4  rename         tree.db.next → tree.db; the directory synced
 *               5  log.db         `tree_next` is gone
 * ```
 *
 * Step 2 is the moment. Before it a start removes `tree.db.next`, whatever is in it; after it a start
 * goes on with step 3. A table whose generation is not the log's is of another time, and refused.
 */
import { textOf } from "../core/base/bytes.ts";
import { Reader } from "../core/wire/reader.ts";
import type { FilesPort, SqliteDatabase } from "../runtime/ports.ts";
import { putMetaRow } from "./checksums.ts";
import { parentDirectory, removeDatabase, removeJournals } from "./database_files.ts";
import type { DiskPorts } from "./database_files.ts";
import { storageError } from "./errors.ts";
import { metaTreeNext } from "./log_file.ts";
import type { LogFile } from "./log_file.ts";
import { metaSql } from "./schema.ts";
import { TreeFile, treeKind } from "./tree_file.ts";
import type { ZnodeStat } from "./tree_file.ts";

function nextPathOf(treePath: string): string {
  return `${treePath}.next`;
}

/** Layout of `RecoverySink.rows`. False: they are cut short. */
export function insertRows(tree: TreeFile, bytes: Uint8Array): boolean {
  const r = new Reader(bytes);
  while (r.left > 0) {
    const pathLength = r.span();
    const path = textOf(bytes, r.at - Math.max(0, pathLength), r.at);
    const data = r.buffer();
    const [czxid, mzxid, ctime, mtime] = [
      r.i64AsNumber(),
      r.i64AsNumber(),
      r.i64AsNumber(),
      r.i64AsNumber(),
    ];
    const [version, cversion, aversion] = [r.i32(), r.i32(), r.i32()];
    const [ownerHi, ownerLo] = [r.i32(), r.i32()];
    const pzxid = r.i64AsNumber();
    const acls = r.buffer();
    if (r.failed || pathLength < 1) return false;
    const acl = tree.aclId(acls ?? new Uint8Array(0));
    const stat: ZnodeStat = {
      czxid,
      mzxid,
      pzxid,
      ctime,
      mtime,
      version,
      cversion,
      aversion,
      ownerHi,
      ownerLo,
      acl,
    };
    tree.insert(path, data, stat);
  }
  return true;
}

/** The table that is being made. */
export class Replacement {
  readonly #ports: DiskPorts;
  readonly #path: string;
  readonly #database: SqliteDatabase;
  readonly #tree: TreeFile;
  #closed = false;

  constructor(ports: DiskPorts, treePath: string) {
    this.#ports = ports;
    this.#path = nextPathOf(treePath);
    removeDatabase(ports.files, this.#path);
    ports.files.makePrivate(this.#path);
    const database = ports.sqlite.open({ path: this.#path, readonly: false, mustExist: false });
    this.#database = database;
    try {
      // Until it has its name, nobody needs it. Paths in random order want their index in memory.
      database.exec("pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive");
      database.exec("pragma cache_size = -65536");
      database.exec(treeKind.schema);
      database.exec("begin");
      const put = database.prepare(metaSql.put);
      for (const name of ["zxid", "total", "znodes", "sessions"]) putMetaRow(put, name, 0);
      this.#tree = new TreeFile(database, this.#path);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  rows(bytes: Uint8Array): void {
    if (insertRows(this.#tree, bytes)) return;
    throw storageError("io", `write ${this.#path}`, "the rows of the snapshot are cut short", adviceOwn);
  }

  /** Triples of id's high half, low half, timeout. */
  sessions(list: Int32Array): void {
    for (let i = 0; i + 2 < list.length; i += 3) {
      this.#tree.putSession(list[i] as number, list[i + 1] as number, list[i + 2] as number);
    }
  }

  /** Step 1. */
  complete(zxid: number, total: number, logId: string, generation: number): void {
    this.#tree.putMeta("log_id", logId);
    this.#tree.putMeta("generation", generation);
    this.#tree.commit(zxid, total, null);
    this.#database.exec("pragma journal_mode = wal");
    this.#close();
    this.#ports.files.syncFile(this.#path);
    this.#ports.files.syncDirectory(parentDirectory(this.#path));
  }

  /** It is not wanted any more. */
  drop(): void {
    this.#close();
    removeDatabase(this.#ports.files, this.#path);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tree.close();
  }
}

const adviceOwn = "This is a mistake of the server's own: please report it";

/** Steps 3 to 5, from wherever a cut left them. The old table is closed. */
export function takeNextTree(files: FilesPort, log: LogFile, treePath: string): void {
  const directory = parentDirectory(treePath);
  const nextPath = nextPathOf(treePath);
  if (files.info(nextPath) !== null) {
    removeJournals(files, treePath);
    // Were the new name durable before this, the old file's WAL would be replayed into the new file.
    files.syncDirectory(directory);
    files.rename(nextPath, treePath);
  }
  files.syncDirectory(directory);
  log.dropMeta(metaTreeNext);
}

/** At start, before the table is opened: a replacement is finished or was never begun. */
export function settleReplacement(files: FilesPort, log: LogFile, treePath: string, notes: string[]): void {
  if (log.meta(metaTreeNext) !== undefined) {
    takeNextTree(files, log, treePath);
    notes.push(`a snapshot was complete when the server ended: ${treePath} was replaced by it`);
  } else if (removeDatabase(files, nextPathOf(treePath))) {
    notes.push(`${nextPathOf(treePath)} of a snapshot that was never complete was removed`);
  }
}
