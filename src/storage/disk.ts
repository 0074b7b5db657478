/**
 * Disk: the two files, found or made, and held against each other.
 *
 * `log.db` is made first and opened first, because its lock guards the whole directory. Each tree
 * table names the log it belongs to (`log_id`), so that files of different servers, or a log that was
 * left behind in another directory, are noticed before a write is acknowledged; and the generation, so
 * that a table from before a snapshot is noticed too.
 */
import { epochOf } from "../core/base/zxid.ts";
import type { Zxid } from "../core/base/zxid.ts";
import type { FilesPort, SqliteDatabase } from "../runtime/ports.ts";
import { putMetaRow } from "./checksums.ts";
import {
  asideOf,
  makeDatabase,
  makeDirectoryDurable,
  openDatabase,
  parentDirectory,
  removeHalfMade,
  setAside,
  whileMaking,
} from "./database_files.ts";
import type { DiskPorts } from "./database_files.ts";
import { Rot, rot, rotOf, storageError, storageErrorOf } from "./errors.ts";
import { LogFile, logKind, metaLacks } from "./log_file.ts";
import type { Epochs } from "./log_file.ts";
import { lackOf, LogMark } from "./log_mark.ts";
import { checkServer, epochsAtStart, noteServer } from "./promises.ts";
import { settleReplacement } from "./replacement.ts";
import { metaSql } from "./schema.ts";
import { StorageError } from "./storage.ts";
import type { StorageOptions } from "./storage.ts";
import { fillFreshTree, generationOf, TreeFile, treeKind } from "./tree_file.ts";

export interface Disk {
  readonly log: LogFile;
  readonly tree: TreeFile;
  readonly epochs: Epochs;
  readonly notes: readonly string[];
  /** As in `Recovered`. */
  readonly lacks: string | null;
}

export function openDisk(ports: DiskPorts, options: StorageOptions): Disk {
  const { files } = ports;
  const paths = {
    log: `${prepareDirectory(files, options.dataLogDir, options.mustExist)}/log.db`,
    tree: `${prepareDirectory(files, options.dataDir, options.mustExist)}/tree.db`,
  };
  try {
    return openFiles(ports, options, paths, null);
  } catch (error) {
    return mendDisk(ports, options, storageErrorOf(error, `read ${paths.log}`), 0);
  }
}

interface Paths {
  readonly log: string;
  readonly tree: string;
}

/**
 * What can be done where a file is not as it was written; the files are closed. A member takes all that
 * it holds from its peers, and remembers in the log that it has to (`lacks`). Who stands alone makes
 * the table again where the log still holds everything. Nothing is removed: it is set aside.
 */
export function mendDisk(
  ports: DiskPorts,
  options: StorageOptions,
  error: StorageError,
  accepted: number,
): Disk {
  if (!(error instanceof Rot)) throw error;
  const { files } = ports;
  const paths = {
    log: `${files.absolute(options.dataLogDir)}/log.db`,
    tree: `${files.absolute(options.dataDir)}/tree.db`,
  };
  if (options.hasPeers === true) return startOver(ports, options, paths, error, accepted);
  if (error.file === "log") throw error;
  const log = openLog(ports, options, paths, [], null);
  const isWhole = log.startsAtBirth();
  log.close();
  if (!isWhole) throw error;
  setAside(files, paths.tree);
  const disk = openFiles(ports, options, paths, null);
  const note = `${error.fact}. It was made again from the whole log; the old one is ${asideOf(paths.tree)}`;
  return { ...disk, notes: [note, ...disk.notes] };
}

function startOver(
  ports: DiskPorts,
  options: StorageOptions,
  paths: Paths,
  error: Rot,
  acceptedSeen: number,
): Disk {
  const { files } = ports;
  // Until the new log says so itself, the mark of the old one says that this directory is no new member's.
  const mark = markOf(ports, options, paths);
  const { found } = mark;
  const accepted = Math.max(acceptedSeen, found?.accepted ?? 0, epochOf((found?.last ?? 0) as Zxid));
  if (found === null) mark.put({ generation: 0, last: 1, total: 1, crc: 0, accepted, current: 0 });
  mark.close();
  for (const path of [paths.tree, paths.log]) setAside(files, path);
  return openFiles(ports, options, paths, { reason: error.fact, accepted });
}

/** `lacking`: nothing that was here is of use, and a new log has to say so before anything else. */
function openFiles(
  ports: DiskPorts,
  options: StorageOptions,
  paths: Paths,
  lacking: { readonly reason: string; readonly accepted: number } | null,
): Disk {
  const { files } = ports;
  const notes: string[] = [];
  const mark = markOf(ports, options, paths);
  const log = openLog(ports, options, paths, notes, mark);
  try {
    const serverId = options.serverId ?? null;
    log.standsAlone = serverId === null;
    checkServer(log, serverId);
    if (lacking !== null) log.putLacks(lacking.reason, lacking.accepted);
    const isSuspect = lacking === null && checkEnd(log, mark, notes);
    settleReplacement(files, log, paths.tree, notes);
    const tree = openTree(ports, log, paths.tree, notes);
    try {
      if (isSuspect) {
        log.checkPages();
        tree.checkPages();
      }
      compare(log, tree);
      const epochs = epochsAtStart(log);
      noteServer(log, serverId);
      log.putMark();
      log.syncMark();
      const lacks = log.meta(metaLacks);
      return { log, tree, epochs, notes, lacks: lacks === undefined ? null : String(lacks) };
    } catch (error) {
      tree.close();
      throw error;
    }
  } catch (error) {
    log.close();
    throw error;
  }
}

/** Does the log hold all that `log.mark` says? True: the files are to be looked at, page by page. */
function checkEnd(log: LogFile, mark: LogMark, notes: string[]): boolean {
  if (mark.isUnreadable) notes.push("log.mark could not be read: it is made again");
  const { found } = mark;
  if (found === null) return false;
  const lack = mark.isOfThisLog
    ? lackOf(log.end, found)
    : found.total > 0 || found.accepted > 0
    ? `log.mark belongs to another log, which ended at zxid 0x${found.last.toString(16)}`
    : null;
  if (lack === null) return found.suspect;
  if (!found.synced) {
    notes.push(`${log.path}: ${lack}. With sync=off a power cut may do that`);
    return found.suspect;
  }
  throw rot(
    "log",
    `read ${log.path}`,
    lack,
    "Restore the directory from a backup. To go on without them, for good: remove log.mark and start again",
  );
}

function markOf(ports: DiskPorts, options: StorageOptions, paths: Paths): LogMark {
  return new LogMark(ports.files, `${parentDirectory(paths.log)}/log.mark`, options.sync === "full");
}

function prepareDirectory(files: FilesPort, path: string, mustExist: boolean): string {
  const absolute = files.absolute(path);
  try {
    const info = files.info(absolute);
    if (info === null) {
      if (mustExist) {
        throw storageError("access", `use ${absolute}`, "there is no such directory", adviceMustExist);
      }
      makeDirectoryDurable(files, absolute);
    } else if (!info.isDirectory) {
      throw storageError("access", `use ${absolute}`, "found a file, not a directory");
    }
  } catch (error) {
    throw storageErrorOf(error, `use ${absolute}`);
  }
  return absolute;
}

const adviceMustExist = "Name the directory that holds the data, or allow that a new one is made";

function openLog(
  ports: DiskPorts,
  options: StorageOptions,
  { log: logPath, tree: treePath }: Paths,
  notes: string[],
  mark: LogMark | null,
): LogFile {
  const { files } = ports;
  const kind = logKind(options.sync);
  if (files.info(logPath) === null) {
    if (options.mustExist) {
      throw storageError("access", `open ${logPath}`, "there is no such file", adviceMustExist);
    }
    whileMaking(ports, logPath, () => {
      if (files.info(logPath) !== null) return;
      if (files.info(treePath) !== null) {
        checkTreeAlone(ports, logPath, treePath, notes);
        mark?.forget();
      }
      if (removeHalfMade(files, logPath)) {
        notes.push(`${logPath}.new of a start that ended half-way was replaced`);
      }
      makeDatabase(ports, logPath, kind, (database) => {
        putMetaRow(database.prepare(metaSql.put), "log_id", crypto.randomUUID());
      });
    });
  }
  let database: SqliteDatabase | null = null;
  try {
    database = openDatabase(ports, logPath, kind);
    return new LogFile(database, logPath, mark);
  } catch (error) {
    database?.close();
    // Where a mark says that the file is ours, one that can't be read at all is no stranger's.
    if (mark?.found == null && error instanceof StorageError && error.code === "foreign") throw error;
    throw rotOf("log", error, `read ${logPath}`);
  }
}

/** A tree table without its log is short of what was acknowledged last; going on has to be asked for. */
function checkTreeAlone(ports: DiskPorts, logPath: string, treePath: string, notes: string[]): void {
  const tree = new TreeFile(openDatabase(ports, treePath, treeKind), treePath);
  try {
    if (tree.meta("log_id") !== undefined) {
      throw storageError(
        "damaged",
        `open ${logPath}`,
        `there is no such file, but ${treePath} belongs to one and ends at zxid 0x${tree.zxid.toString(16)}`,
        `Name the right log directory or restore log.db. To go on without it, and lose what was written since: ` +
          `sqlite3 ${treePath} "delete from meta where name = 'log_id'"`,
      );
    }
    notes.push(`${treePath} is used without a log, as of zxid 0x${tree.zxid.toString(16)}`);
  } finally {
    tree.close();
  }
}

export function openTree(ports: DiskPorts, log: LogFile, treePath: string, notes: string[]): TreeFile {
  const logId = String(log.meta("log_id"));
  if (removeHalfMade(ports.files, treePath)) {
    notes.push(`${treePath}.new of a start that ended half-way was replaced`);
  }
  if (ports.files.info(treePath) === null) {
    if (!log.startsAtBirth()) {
      throw storageError(
        "damaged",
        `open ${treePath}`,
        log.first === 0
          ? `there is no such file, and the log goes on behind zxid 0x${log.base.toString(16)}`
          : `there is no such file, and the log begins at zxid 0x${log.first.toString(16)} only`,
      );
    }
    if (log.last !== 0) {
      notes.push(`${treePath} was not there: it is made again from the whole log`);
    }
    makeDatabase(ports, treePath, treeKind, (database) => fillFreshTree(database, logId));
  }
  let database: SqliteDatabase | null = null;
  try {
    database = openDatabase(ports, treePath, treeKind);
    const tree = new TreeFile(database, treePath);
    const named = tree.meta("log_id");
    if (named === undefined) {
      tree.putMeta("generation", log.generation);
      tree.putMeta("log_id", logId);
    } else if (named !== logId) {
      throw storageError(
        "damaged",
        `open ${treePath}`,
        `it belongs to another log than ${log.path}`,
        "Put the two files of one server together; they are named in dataDir and dataLogDir",
      );
    }
    const generation = generationOf(tree.meta("generation"));
    if (generation !== log.generation) {
      throw storageError(
        "damaged",
        `open ${treePath}`,
        `it is the table after ${generation} snapshots, the log goes on after ${log.generation}`,
      );
    }
    return tree;
  } catch (error) {
    database?.close();
    if (log.total === 0 && error instanceof StorageError && error.code === "foreign") throw error;
    throw rotOf("table", error, `read ${treePath}`);
  }
}

/** The log must go on where the table ends, or before. */
function compare(log: LogFile, tree: TreeFile): void {
  const next = log.batchesAfter(tree.zxid)[0];
  if (next !== undefined && next.total - next.txns > tree.total) {
    throw storageError(
      "damaged",
      `read ${log.path}`,
      `it goes on at zxid 0x${next.first.toString(16)}, but ${tree.path} ends ${
        next.total - next.txns - tree.total
      } ` +
        `txns earlier, at 0x${tree.zxid.toString(16)}`,
    );
  }
  // With sync=off a power cut may take more of the log than of the table.
  log.goOnBehind(tree.zxid, tree.total);
}
