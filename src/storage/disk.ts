/**
 * Disk: the two files, found or made, and held against each other.
 *
 * `log.db` is made first and opened first, because its lock guards the whole directory. Each tree
 * table names the log it belongs to (`log_id`), so that files of different servers, or a log that was
 * left behind in another directory, are noticed before a write is acknowledged; and the generation, so
 * that a table from before a snapshot is noticed too.
 */
import type { FilesPort } from "../runtime/ports.ts";
import {
  makeDatabase,
  makeDirectoryDurable,
  openDatabase,
  removeHalfMade,
  whileMaking,
} from "./database_files.ts";
import type { DiskPorts } from "./database_files.ts";
import { storageError, storageErrorOf } from "./errors.ts";
import { LogFile, logKind } from "./log_file.ts";
import type { Epochs } from "./log_file.ts";
import { checkServer, epochsAtStart, noteServer } from "./promises.ts";
import { settleReplacement } from "./replacement.ts";
import { metaSql } from "./schema.ts";
import type { StorageOptions } from "./storage.ts";
import { fillFreshTree, generationOf, TreeFile, treeKind } from "./tree_file.ts";

export interface Disk {
  readonly log: LogFile;
  readonly tree: TreeFile;
  readonly epochs: Epochs;
  readonly notes: readonly string[];
}

export function openDisk(ports: DiskPorts, options: StorageOptions): Disk {
  const { files } = ports;
  const notes: string[] = [];
  const logPath = `${prepareDirectory(files, options.dataLogDir, options.mustExist)}/log.db`;
  const treePath = `${prepareDirectory(files, options.dataDir, options.mustExist)}/tree.db`;
  const log = openLog(ports, options, logPath, treePath, notes);
  try {
    const serverId = options.serverId ?? null;
    log.standsAlone = serverId === null;
    checkServer(log, serverId);
    settleReplacement(files, log, treePath, notes);
    const tree = openTree(ports, log, treePath, notes);
    try {
      compare(log, tree);
      const epochs = epochsAtStart(log);
      noteServer(log, serverId);
      return { log, tree, epochs, notes };
    } catch (error) {
      tree.close();
      throw error;
    }
  } catch (error) {
    log.close();
    throw error;
  }
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
  logPath: string,
  treePath: string,
  notes: string[],
): LogFile {
  const { files } = ports;
  const kind = logKind(options.sync);
  if (files.info(logPath) === null) {
    if (options.mustExist) {
      throw storageError("access", `open ${logPath}`, "there is no such file", adviceMustExist);
    }
    whileMaking(ports, logPath, () => {
      if (files.info(logPath) !== null) return;
      if (files.info(treePath) !== null) checkTreeAlone(ports, logPath, treePath, notes);
      if (removeHalfMade(files, logPath)) {
        notes.push(`${logPath}.new of a start that ended half-way was replaced`);
      }
      makeDatabase(ports, logPath, kind, (database) => {
        database.prepare(metaSql.put).run("log_id", crypto.randomUUID());
      });
    });
  }
  const database = openDatabase(ports, logPath, kind);
  try {
    return new LogFile(database, logPath);
  } catch (error) {
    database.close();
    throw storageErrorOf(error, `read ${logPath}`);
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
  const database = openDatabase(ports, treePath, treeKind);
  try {
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
    database.close();
    throw storageErrorOf(error, `read ${treePath}`);
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
