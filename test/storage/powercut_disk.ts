/**
 * A disk that remembers what was synced: read from a trace, it says what a power cut may leave.
 *
 * Pessimistic where file systems differ. Writes that were not synced are lost, kept, or torn, each
 * block by itself; a file's name is durable only once its directory was synced, whatever happened to
 * the file; changes of names are lost from some point on, or at random.
 */
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Random } from "../support/random.ts";

export interface TraceRecord {
  readonly kind: string;
  readonly inode: number;
  readonly offset: number;
  readonly name: string;
  readonly data: Uint8Array;
}

export function readTrace(bytes: Uint8Array): TraceRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const list: TraceRecord[] = [];
  for (let at = 0; at + 25 <= bytes.length;) {
    const nameBytes = view.getUint32(at + 17, true);
    const dataBytes = view.getUint32(at + 21, true);
    const nameAt = at + 25;
    list.push({
      kind: String.fromCharCode(bytes[at] as number),
      inode: Number(view.getBigUint64(at + 1, true)),
      offset: Number(view.getBigInt64(at + 9, true)),
      name: decoder.decode(bytes.subarray(nameAt, nameAt + nameBytes)),
      data: bytes.subarray(nameAt + nameBytes, nameAt + nameBytes + dataBytes),
    });
    at = nameAt + nameBytes + dataBytes;
  }
  return list;
}

class FileOnDisk {
  durable = new Uint8Array(0);
  pending: { readonly kind: "write" | "truncate"; readonly offset: number; readonly data: Uint8Array }[] = [];

  sync(): void {
    for (const { kind, offset, data } of this.pending) this.durable = apply(this.durable, kind, offset, data);
    this.pending = [];
  }

  afterCut(random: Random, keepPercent: number): Uint8Array {
    const torn = random.percent(50);
    const block = random.percent(50) ? 512 : 4096;
    let bytes: Uint8Array<ArrayBuffer> = this.durable.slice();
    for (const { kind, offset, data } of this.pending) {
      if (kind === "truncate") {
        if (random.percent(keepPercent)) bytes = apply(bytes, kind, offset, data);
        continue;
      }
      if (!torn) {
        if (random.percent(keepPercent)) bytes = apply(bytes, kind, offset, data);
        continue;
      }
      for (let at = 0; at < data.length; at += block) {
        if (random.percent(keepPercent)) {
          bytes = apply(bytes, kind, offset + at, data.subarray(at, at + block));
        }
      }
    }
    return bytes;
  }
}

function apply(
  bytes: Uint8Array<ArrayBuffer>,
  kind: string,
  offset: number,
  data: Uint8Array,
): Uint8Array<ArrayBuffer> {
  if (kind === "truncate") {
    const cut = new Uint8Array(offset);
    cut.set(bytes.subarray(0, offset));
    return cut;
  }
  let into = bytes;
  if (offset + data.length > bytes.length) {
    into = new Uint8Array(offset + data.length);
    into.set(bytes);
  }
  into.set(data, offset);
  return into;
}

type NameChange =
  | { readonly kind: "create"; readonly name: string; readonly file: FileOnDisk }
  | { readonly kind: "unlink"; readonly name: string }
  | { readonly kind: "rename"; readonly name: string; readonly to: string };

/** One directory. */
export class DiskModel {
  readonly #byInode = new Map<number, FileOnDisk>();
  readonly #names = new Map<string, FileOnDisk>();
  #pending: NameChange[] = [];
  /** The last acknowledged txn. */
  acknowledged = 0;
  /** Epochs that were stored, by number. */
  epochs = 0;
  /** There may be txns that have to go again. */
  wrong = false;

  play(record: TraceRecord): void {
    const file = this.#byInode.get(record.inode);
    const name = basename(record.name);
    switch (record.kind) {
      case "C": {
        const made = new FileOnDisk();
        this.#byInode.set(record.inode, made);
        this.#pending.push({ kind: "create", name, file: made });
        return;
      }
      case "W":
        file?.pending.push({ kind: "write", offset: record.offset, data: record.data });
        return;
      case "T":
        file?.pending.push({ kind: "truncate", offset: record.offset, data: record.data });
        return;
      case "S":
        file?.sync();
        return;
      case "L":
        // What is read until the cut is what was written; what is there after it is not.
        if (file !== undefined) file.pending = [];
        return;
      case "U":
        this.#pending.push({ kind: "unlink", name });
        return;
      case "R":
        this.#pending.push({ kind: "rename", name, to: basename(new TextDecoder().decode(record.data)) });
        return;
      case "D":
        for (const change of this.#pending) applyName(this.#names, change);
        this.#pending = [];
        return;
      case "A":
        this.acknowledged = record.offset;
        return;
      case "E":
        this.epochs = record.offset;
        return;
      case "F":
        return;
      case "X":
        this.wrong = record.offset === 1;
        return;
      default:
        throw new Error(`Cannot play a record of kind ${record.kind}`);
    }
  }

  /** Writes into `directory` what a cut at this moment may leave. Returns a line that tells how. */
  cut(random: Random, directory: string): string {
    const names = new Map(this.#names);
    const mode = random.pick(["none", "all", "prefix", "some"] as const);
    const upTo = mode === "prefix" ? random.below(this.#pending.length + 1) : this.#pending.length;
    this.#pending.forEach((change, i) => {
      const kept = mode === "all" || (mode === "prefix" && i < upTo) ||
        (mode === "some" && random.percent(50));
      if (kept) applyName(names, change);
    });
    const keepPercent = random.pick([0, 20, 50, 80, 100]);
    const told: string[] = [];
    for (const [name, file] of names) {
      // Shared memory is rebuilt from the WAL; what is left of it is whatever was there.
      const bytes = name.endsWith("-shm")
        ? random.bytes(random.below(3) * 16_384)
        : file.afterCut(random, keepPercent);
      writeFileSync(join(directory, name), bytes);
      told.push(`${name} ${bytes.length} (${file.pending.length} unsynced)`);
    }
    return `names ${mode} of ${this.#pending.length}, blocks ${keepPercent} %: ${told.join(", ")}`;
  }
}

function applyName(names: Map<string, FileOnDisk>, change: NameChange): void {
  if (change.kind === "create") names.set(change.name, change.file);
  else if (change.kind === "unlink") names.delete(change.name);
  else {
    const file = names.get(change.name);
    if (file === undefined) return;
    names.delete(change.name);
    names.set(change.to, file);
  }
}
