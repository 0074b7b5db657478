/**
 * Log mark: `log.mark` beside `log.db`, which says how far the log had come.
 *
 * SQLite takes a damaged frame of its WAL for the end of it, silently: what follows was never written,
 * for all that it knows. The mark knows better. It is written, 56 bytes in place, after each commit and
 * before the commit is told, and is synced in the next quarter of a second; so it never claims what is
 * not durable, costs a few microseconds, and is exact after the end of a process. After a power cut it
 * may be some commits behind: then a damage of just those is taken for writes that never came to the disk.
 *
 * Two slots take turns, each in a sector of its own: a cut in the middle of one leaves the other.
 */
import { crc32 } from "../runtime/shared/crc32.ts";
import type { FileInPlace, FilesPort } from "../runtime/ports.ts";
import { bytesOf } from "../core/base/bytes.ts";
import { parentDirectory } from "./database_files.ts";

/** Where a log ends, and what is promised in it. */
export interface LogEnd {
  readonly generation: number;
  readonly last: number;
  /** Txns ever appended. */
  readonly total: number;
  /** Checksum of the last row. */
  readonly crc: number;
  /** -1 where nobody has promised anything yet. */
  readonly accepted: number;
  readonly current: number;
}

export interface Mark extends LogEnd {
  /** Of the log's id. */
  readonly log: number;
  /** Without fsync the log may have lost what was marked, and a power cut is no damage. */
  readonly synced: boolean;
  /** The files were found damaged while they were in use: look at all of them. */
  readonly suspect: boolean;
}

const magic = 0x7a6d726b;
const slotBytes = 512;
const markBytes = 64;

export class LogMark {
  readonly #files: FilesPort;
  readonly #path: string;
  #log = 0;
  readonly #synced: boolean;
  readonly #bytes = new Uint8Array(markBytes);
  readonly #view = new DataView(this.#bytes.buffer);
  #file: FileInPlace | null = null;
  #sequence = 1;
  #isDirty = false;
  suspect = false;
  /** As it was found; null where there is none. */
  found: Mark | null;
  /** There is one, and nothing in it can be read. */
  readonly isUnreadable: boolean = false;

  constructor(files: FilesPort, path: string, synced: boolean) {
    this.#files = files;
    this.#path = path;
    this.#synced = synced;
    if (files.info(path) === null) {
      this.found = null;
      return;
    }
    const bytes = files.read(path);
    const marks = [0, slotBytes].map((at) => readSlot(bytes, at)).filter((slot) => slot !== null);
    const newest = marks.sort((a, b) => b.sequence - a.sequence)[0];
    this.found = newest?.mark ?? null;
    this.isUnreadable = newest === undefined && bytes.some((byte) => byte !== 0);
    this.#sequence = (newest?.sequence ?? 0) + 1;
  }

  /** The log that it is of. */
  set logId(id: string) {
    this.#log = crc32(bytesOf(id));
  }

  get isOfThisLog(): boolean {
    return this.found?.log === this.#log;
  }

  /** The log ends there, durably. */
  put(end: LogEnd): void {
    const view = this.#view;
    view.setUint32(0, magic);
    view.setUint32(4, this.#log);
    view.setUint32(8, (this.#synced ? 1 : 0) | (this.suspect ? 2 : 0));
    view.setUint32(12, end.generation);
    view.setFloat64(16, this.#sequence);
    view.setFloat64(24, end.last);
    view.setFloat64(32, end.total);
    view.setUint32(40, end.crc);
    view.setInt32(44, end.accepted);
    view.setInt32(48, end.current);
    view.setUint32(52, crc32(this.#bytes.subarray(0, 52)));
    this.#file ??= this.#open();
    this.#file.write(this.#bytes, this.#sequence++ % 2 * slotBytes);
    this.#isDirty = true;
  }

  #open(): FileInPlace {
    const files = this.#files;
    const isNew = files.info(this.#path) === null;
    files.makePrivate(this.#path);
    const file = files.openInPlace(this.#path);
    if (isNew) {
      // All of its length now: later writes then change nothing but their own sector.
      file.write(new Uint8Array(2 * slotBytes), 0);
      file.sync();
      files.syncDirectory(parentDirectory(this.#path));
    }
    return file;
  }

  /** What it says of is given up. */
  forget(): void {
    this.found = null;
  }

  sync(): void {
    if (this.#isDirty && this.#synced) this.#file?.sync();
    this.#isDirty = false;
  }

  close(): void {
    this.sync();
    this.#file?.close();
    this.#file = null;
  }
}

function readSlot(
  bytes: Uint8Array,
  at: number,
): { readonly sequence: number; readonly mark: Mark } | null {
  if (bytes.length < at + markBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, markBytes);
  if (view.getUint32(0) !== magic || view.getUint32(52) !== crc32(bytes.subarray(at, at + 52))) return null;
  const flags = view.getUint32(8);
  return {
    sequence: view.getFloat64(16),
    mark: {
      log: view.getUint32(4),
      synced: (flags & 1) !== 0,
      suspect: (flags & 2) !== 0,
      generation: view.getUint32(12),
      last: view.getFloat64(24),
      total: view.getFloat64(32),
      crc: view.getUint32(40),
      accepted: view.getInt32(44),
      current: view.getInt32(48),
    },
  };
}

/** What the log lacks of what the mark says, in words; null where it lacks nothing. */
export function lackOf(log: LogEnd, mark: Mark): string | null {
  const hex = (zxid: number) => `0x${zxid.toString(16)}`;
  const ends = `it ends at zxid ${hex(log.last)}, and log.mark says that`;
  if (mark.generation > log.generation) {
    return `${ends} a snapshot as of zxid ${hex(mark.last)} or before was stored behind it`;
  }
  if (mark.generation === log.generation) {
    if (mark.total > log.total) {
      const missing = mark.total - log.total;
      return `${ends} zxid ${hex(mark.last)} was durable: ${missing} acknowledged txn${
        missing === 1 ? " is" : "s are"
      } missing`;
    }
    if (mark.total === log.total && mark.total > 0 && (mark.last !== log.last || mark.crc !== log.crc)) {
      return `${ends} zxid ${hex(mark.last)} was durable there, with another checksum`;
    }
  }
  if (mark.accepted > log.accepted || mark.current > log.current) {
    return `it holds the epochs ${log.accepted} and ${log.current}, and log.mark says that ${mark.accepted} and ` +
      `${mark.current} were stored`;
  }
  return null;
}
