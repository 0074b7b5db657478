/**
 * Database files: made so that a power cut at any instant leaves either none or a whole one, and
 * opened so that a file which is not ours is told apart from one that is damaged.
 *
 * A new file is set up under `<name>.new`, closed, synced, renamed, and its directory synced; only
 * then is it used. So a file with the final name is complete, always. A leftover `.new` is from a
 * start that ended half-way: nothing in it was ever acknowledged, and it is replaced.
 *
 * Data files are their owner's alone: what they hold is guarded by ACLs that a look at the file would pass
 * by. SQLite gives the files beside a database the mode that it has.
 *
 * A database that is open here is never opened a second time through the files port: when a process
 * closes any descriptor of a file it gives up all its POSIX locks on it, SQLite's too.
 */
import type { FilesPort, SqliteDatabase, SqlitePort } from "../runtime/ports.ts";
import { storageError, storageErrorOf } from "./errors.ts";

export interface DatabaseKind {
  readonly applicationId: number;
  readonly version: number;
  readonly schema: string;
  /** By version: what makes a file of that version one of the next. */
  readonly upgrades: Readonly<Record<number, string>>;
  /** Run before the file is read: what must hold from its first page on. */
  readonly settingsFirst: string;
  /** Run once it is known to be ours, for some of these write to the file. */
  readonly settings: string;
}

export interface DiskPorts {
  readonly sqlite: SqlitePort;
  readonly files: FilesPort;
}

const suffixes = ["", "-wal", "-shm", "-journal"] as const;

/**
 * Runs `work` while no other process makes files at `path`. Two first starts in one directory would
 * otherwise rename their new files over each other's. The lock is SQLite's, on an empty file.
 */
export function whileMaking<T>(ports: DiskPorts, path: string, work: () => T): T {
  const lockPath = `${path}.making`;
  let lock: SqliteDatabase | null = null;
  try {
    ports.files.makePrivate(lockPath);
    lock = ports.sqlite.open({ path: lockPath, readonly: false, mustExist: false });
    lock.exec("begin exclusive");
  } catch (error) {
    lock?.close();
    throw storageErrorOf(error, `make ${path}`);
  }
  try {
    return work();
  } finally {
    lock.close();
    ports.files.remove(lockPath);
  }
}

/** Makes a directory and all above it, durably. */
export function makeDirectoryDurable(files: FilesPort, path: string): void {
  const made: string[] = [];
  for (let at = path; files.info(at) === null && at !== parentDirectory(at); at = parentDirectory(at)) {
    made.push(at);
  }
  if (made.length === 0) return;
  files.makeDirectory(path);
  for (const each of made) files.syncDirectory(parentDirectory(each));
}

export function parentDirectory(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

/** Removes what an earlier start left half-made. True if there was something. */
export function removeHalfMade(files: FilesPort, path: string): boolean {
  return removeDatabase(files, `${path}.new`);
}

/** Removes a database that nobody has open, and what belongs to it. True if there was something. */
export function removeDatabase(files: FilesPort, path: string): boolean {
  let found = false;
  for (const suffix of suffixes) {
    if (files.info(`${path}${suffix}`) === null) continue;
    found = true;
    files.remove(`${path}${suffix}`);
  }
  return found;
}

/** Takes away the WAL of a file that is to be replaced: a later one would replay it into the new file. */
export function removeJournals(files: FilesPort, path: string): void {
  for (const suffix of suffixes) if (suffix !== "") files.remove(`${path}${suffix}`);
}

/** Makes the database at `path`, which must not be there. `fill` puts the first rows in. */
export function makeDatabase(
  ports: DiskPorts,
  path: string,
  kind: DatabaseKind,
  fill: (database: SqliteDatabase) => void,
): void {
  const { sqlite, files } = ports;
  const temporary = `${path}.new`;
  try {
    files.makePrivate(temporary);
    const database = sqlite.open({ path: temporary, readonly: false, mustExist: false });
    try {
      // No journal and no fsync: until it has its name, nobody needs it.
      database.exec("pragma journal_mode = off; pragma synchronous = off");
      database.exec(kind.schema);
      fill(database);
      database.exec("pragma journal_mode = wal");
    } finally {
      database.close();
    }
    // A stale log of a file that was taken away must not be replayed into the new one.
    removeJournals(files, path);
    files.syncFile(temporary);
    files.rename(temporary, path);
    files.syncDirectory(parentDirectory(path));
  } catch (error) {
    throw storageErrorOf(error, `make ${path}`);
  }
}

/** Opens a database that is there and makes sure that it is ours. */
export function openDatabase(ports: DiskPorts, path: string, kind: DatabaseKind): SqliteDatabase {
  const tried = `open ${path}`;
  const info = ports.files.info(path);
  if (info?.isDirectory === true) {
    throw storageError("access", tried, "found a directory where a file should be");
  }
  if (info?.bytes === 0) {
    throw storageError(
      "damaged",
      tried,
      "the file is empty, which no power cut leaves behind",
      "Restore it from a backup; or, if this server never held anything, remove it and start again",
    );
  }
  let database: SqliteDatabase | null = null;
  try {
    for (const suffix of suffixes) {
      if (ports.files.info(`${path}${suffix}`) !== null) ports.files.makePrivate(`${path}${suffix}`);
    }
    database = ports.sqlite.open({ path, readonly: false, mustExist: true });
    database.exec(kind.settingsFirst);
    const id = pragmaNumber(database, "application_id");
    const version = pragmaNumber(database, "user_version");
    // What is in the WAL may be what the kernel has kept of a write that failed (and that nobody was told
    // of): from memory it would be read, promised, and lost by the next power cut.
    if (ports.files.info(`${path}-wal`) !== null) ports.files.rewrite(`${path}-wal`);
    if (id !== kind.applicationId) {
      throw storageError(
        "foreign",
        tried,
        `found a SQLite database of another program (application_id ${id})`,
      );
    }
    if (version > kind.version || version < 1) {
      throw storageError(
        "foreign",
        tried,
        `found version ${version} of the format, this server knows versions up to ${kind.version}`,
        "Start the version of the server that wrote it",
      );
    }
    database.exec(kind.settings);
    if (version < kind.version) upgrade(database, kind, version);
    return database;
  } catch (error) {
    database?.close();
    throw storageErrorOf(error, tried);
  }
}

/** Takes a database that nobody has open out of the way; what is in it can be read under the new name. */
export function setAside(files: FilesPort, path: string): void {
  const aside = asideOf(path);
  removeDatabase(files, aside);
  files.remove(`${path}-shm`);
  for (const suffix of ["-wal", ""]) {
    if (files.info(`${path}${suffix}`) !== null) files.rename(`${path}${suffix}`, `${aside}${suffix}`);
  }
  files.syncDirectory(parentDirectory(path));
}

export function asideOf(path: string): string {
  return `${path}.damaged`;
}

/** In one transaction: a cut leaves the old version or the new one. */
function upgrade(database: SqliteDatabase, kind: DatabaseKind, version: number): void {
  database.exec("begin immediate");
  for (let from = version; from < kind.version; from++) database.exec(kind.upgrades[from] ?? "");
  database.exec(`pragma user_version = ${kind.version}`);
  database.exec("commit");
}

export function pragmaNumber(database: SqliteDatabase, name: string): number {
  const statement = database.prepare(`pragma ${name}`);
  const value = Number(statement.get()?.[0] ?? 0);
  statement.finalize();
  return value;
}
