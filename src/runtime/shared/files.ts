/**
 * Files: the blocking calls of `node:fs`, which both runtimes have.
 *
 * Used at start, at the end and in the worker, never between two requests. What must survive a power
 * cut goes through `writeAtomic`, or is followed by `syncFile` and `syncDirectory`: a name is durable
 * only once its directory was synced.
 */
import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { systemCodeOf } from "../ports.ts";
import type { FileInfo, FileInPlace, FilesPort } from "../ports.ts";

function sync(path: string): void {
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function unlessMissing<T>(call: () => T): T | null {
  try {
    return call();
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return null;
    throw error;
  }
}

function writeAtomic(path: string, bytes: Uint8Array | string): void {
  const temporary = `${path}.new`;
  try {
    const fd = fs.openSync(temporary, "w");
    try {
      fs.writeFileSync(fd, bytes);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  sync(dirname(path));
}

function makePrivate(path: string): void {
  try {
    // Never opened where it is there: closing it would give up the locks of whoever has it open here.
    if (unlessMissing(() => fs.chmodSync(path, 0o600)) === null) fs.closeSync(fs.openSync(path, "a", 0o600));
  } catch (error) {
    // Another user's file, or a file system without modes: whoever set that up said who may read.
    if (systemCodeOf(error) !== "EPERM") throw error;
  }
}

function openInPlace(path: string): FileInPlace {
  const fd = fs.openSync(path, "r+");
  return {
    write(bytes, at) {
      const written = fs.writeSync(fd, bytes, 0, bytes.length, at);
      if (written !== bytes.length) {
        throw new Error(`Cannot write ${path}: ${written} of ${bytes.length} bytes`);
      }
    },
    sync: () => fs.fdatasyncSync(fd),
    close: () => fs.closeSync(fd),
  };
}

function rewrite(path: string): void {
  const fd = fs.openSync(path, "r+");
  try {
    const bytes = new Uint8Array(1 << 20);
    for (let at = 0;;) {
      const count = fs.readSync(fd, bytes, 0, bytes.length, at);
      if (count === 0) break;
      fs.writeSync(fd, bytes, 0, count, at);
      at += count;
    }
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function info(path: string): FileInfo | null {
  return unlessMissing(() => {
    const stat = fs.statSync(path);
    return { bytes: stat.size, isDirectory: stat.isDirectory(), modifiedMs: stat.mtimeMs };
  });
}

function freeBytes(path: string): number | null {
  try {
    const stat = fs.statfsSync(path);
    return Number(stat.bavail) * Number(stat.bsize);
  } catch {
    // Not every file system tells; the number is only ever shown.
    return null;
  }
}

export const files: FilesPort = {
  readText: (path) => fs.readFileSync(path, "utf8"),
  readTextMaybe: (path) => unlessMissing(() => fs.readFileSync(path, "utf8")),
  read: (path) => new Uint8Array(fs.readFileSync(path)),
  writeAtomic,
  write: (path, bytes) => fs.writeFileSync(path, bytes),
  makeDirectory: (path) => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
  makePrivate,
  openInPlace,
  rewrite,
  list: (path) => fs.readdirSync(path).sort(),
  info,
  remove: (path) => fs.rmSync(path, { recursive: true, force: true }),
  rename: (from, to) => fs.renameSync(from, to),
  syncDirectory: sync,
  syncFile: sync,
  absolute: (path) => resolve(path),
  freeBytes,
};
