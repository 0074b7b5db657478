/**
 * Storage that keeps nothing, for an observer that takes all it holds from its leader anew.
 *
 * It has neither table nor log, so a start and a reload find an empty tree, and every learner that
 * asks for its log is told that it does not reach back so far. Answers come in a later turn, as a
 * disk's do.
 */
import { assert } from "../core/base/assert.ts";
import { zxidZero } from "../core/base/zxid.ts";
import type { Zxid } from "../core/base/zxid.ts";
import type { DiskCommand, LogChunk } from "../core/zab/disk.ts";
import { pieceMissing } from "./log_reader.ts";
import type { Recovered, RecoverySink, Storage, StorageError, StorageStats } from "./storage.ts";

export function openMemoryStorage(): Storage {
  return new MemoryStorage();
}

class MemoryStorage implements Storage {
  #underWay = false;
  #closed = false;
  #commits = 0;
  #txns = 0;

  onDurable: (last: Zxid) => void = () => {};
  onStored: () => void = () => {};
  onNote: (message: string) => void = () => {};
  onFailure: (error: StorageError) => void = () => {};

  recover(sink: RecoverySink): Promise<Recovered> {
    sink.treeComplete(zxidZero, zxidZero);
    return Promise.resolve({
      zxidLast: zxidZero,
      zxidTree: zxidZero,
      zxidCommitted: zxidZero,
      epochAccepted: 0,
      epochCurrent: 0,
      txnsReplayed: 0,
      znodes: 0,
      tookMs: 0,
      notes: [],
    });
  }

  reload(sink: RecoverySink): Promise<Recovered> {
    assert(!this.#underWay, "one command is carried out at a time");
    return this.recover(sink);
  }

  append(_batch: Uint8Array<ArrayBuffer>, first: Zxid, last: Zxid, txns: number): void {
    assert(first <= last && txns > 0, "a batch holds txns, in order");
    this.#commits++;
    this.#txns += txns;
    this.#later(() => this.onDurable(last));
  }

  execute(_command: Exclude<DiskCommand, { kind: "append" | "reload" }>): void {
    this.#later(() => this.onStored());
  }

  #later(tell: () => void): void {
    assert(!this.#underWay, "one command is carried out at a time");
    this.#underWay = true;
    queueMicrotask(() => {
      this.#underWay = false;
      if (!this.#closed) tell();
    });
  }

  readLog(after: Zxid): Promise<LogChunk> {
    return Promise.resolve(pieceMissing(after));
  }

  committed(): void {}

  stats(): StorageStats {
    return {
      logBytes: 0,
      treeBytes: 0,
      zxidTree: zxidZero,
      zxidLogFirst: zxidZero,
      commits: this.#commits,
      txns: this.#txns,
      commitMsTotal: 0,
      commitMsMax: 0,
      checkpoints: 0,
      checkpointMsLast: 0,
      checkpointAtMs: 0,
    };
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }
}
