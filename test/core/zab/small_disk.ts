/**
 * Small disk: what a member would find after a power cut, kept in lists.
 *
 * A command takes effect at once and as a whole when `apply` is called; who plays the shell decides
 * when that is.
 */
import { unreachable } from "../../../src/core/base/assert.ts";
import type { Zxid } from "../../../src/core/base/zxid.ts";
import type { Loader } from "../../../src/core/peer/loader.ts";
import type { Begun } from "../../../src/core/peer/peer.ts";
import { txnHeaderAt } from "../../../src/core/wire/txns.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import type { DiskCommand, LogChunk } from "../../../src/core/zab/disk.ts";

type DiskDone = { readonly kind: "durable"; readonly last: Zxid } | { readonly kind: "stored" };

interface Logged {
  readonly zxid: number;
  readonly bytes: Uint8Array;
}

export class SmallDisk {
  accepted = 0;
  current = 0;
  /** The table is the tree as of here; the log goes on behind it. */
  zxidTable = 0;
  committed = 0;
  txns: Logged[] = [];
  /** The log no longer reaches behind this zxid, though the txns are in the table or here. */
  logFloor = 0;
  #rows: Uint8Array[] = [];
  #sessions: number[] = [];
  #begun: { rows: Uint8Array[]; sessions: number[] } | null = null;

  get last(): number {
    return this.txns.at(-1)?.zxid ?? this.zxidTable;
  }

  /** As a member that was in epoch `current` and logged these txns, each whole and without its length. */
  static of(current: number, txns: readonly Uint8Array[], committed: number, accepted = current): SmallDisk {
    const disk = new SmallDisk();
    disk.current = current;
    disk.accepted = accepted;
    disk.txns = txns.map((bytes) => ({ zxid: txnHeaderAt(bytes, 0, bytes.length).zxid, bytes }));
    disk.committed = committed;
    return disk;
  }

  apply(command: DiskCommand): DiskDone {
    switch (command.kind) {
      case "append":
        this.#append(command.bytes);
        this.committed = Math.max(this.committed, command.committed);
        if (this.last !== command.last) {
          throw new Error(`An append ends at ${this.last}, not ${command.last}`);
        }
        return { kind: "durable", last: command.last };
      case "epochs":
        this.accepted = command.accepted;
        this.current = command.current;
        break;
      case "truncate":
        if (command.after < this.zxidTable) throw new Error("A cut below the table");
        this.txns = this.txns.filter(({ zxid }) => zxid <= command.after);
        break;
      case "replaceBegin":
        this.#begun = { rows: [], sessions: [] };
        break;
      case "replaceRows":
        this.#begun?.rows.push(command.bytes);
        break;
      case "replaceSessions":
        this.#begun?.sessions.push(...command.list);
        break;
      case "replaceEnd":
        if (this.#begun === null) throw new Error("A replacement ends that never began");
        this.#rows = this.#begun.rows;
        this.#sessions = this.#begun.sessions;
        this.#begun = null;
        this.txns = [];
        this.zxidTable = this.committed = this.logFloor = command.zxid;
        if (command.tail != null) this.#append(command.tail.bytes);
        break;
      case "reload":
        break;
      default:
        unreachable(command);
    }
    return { kind: "stored" };
  }

  #append(bytes: Uint8Array): void {
    for (const txn of txnsIn(bytes)) {
      this.txns.push({ zxid: txnHeaderAt(txn, 0, txn.length).zxid, bytes: txn.slice() });
    }
  }

  /** What was begun and not ended is gone. */
  crash(): void {
    this.#begun = null;
  }

  fill(loader: Loader): Begun {
    for (const rows of this.#rows) loader.rows(rows);
    for (let i = 0; i < this.#sessions.length; i += 3) {
      loader.session(...this.#sessions.slice(i, i + 3) as [number, number, number]);
    }
    const committed = Math.max(Math.min(this.committed, this.last), this.zxidTable) as Zxid;
    loader.treeComplete(this.zxidTable as Zxid, committed);
    const out = new Writer(1024);
    for (const { bytes } of this.txns) out.buffer(bytes);
    if (out.length > 0) loader.batch(out.copy());
    return {
      zxidLast: this.last as Zxid,
      zxidCommitted: committed,
      epochAccepted: this.accepted,
      epochCurrent: this.current,
    };
  }

  chunk(after: number, upTo: number): LogChunk {
    const before = this.txns.findLast(({ zxid }) => zxid <= after)?.zxid ?? this.zxidTable;
    const behind = this.txns.filter(({ zxid }) => zxid > after);
    const out = new Writer(1024);
    let last = after;
    if (after >= this.logFloor) {
      for (const { zxid, bytes } of behind) {
        if (zxid > upTo) break;
        out.buffer(bytes);
        last = zxid;
      }
    }
    return {
      found: after < this.logFloor ? "missing" : before === after ? "exact" : "between",
      previous: before as Zxid,
      bytes: out.copy(),
      last: last as Zxid,
      bytesBehind: behind.reduce((sum, { bytes }) => sum + bytes.length + 4, 0),
    };
  }
}

/** The txns of `repeated i32 length, txn`. */
export function txnsIn(bytes: Uint8Array): Uint8Array[] {
  const txns: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 0; at < bytes.length;) {
    const size = view.getInt32(at);
    txns.push(bytes.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return txns;
}
