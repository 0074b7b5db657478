/**
 * The main thread's side of storage: it sends commands to the worker and hears when they are durable.
 *
 * Nothing here waits for the disk. One command is under way at a time, because the next batch is formed
 * from what arrives meanwhile; the core keeps to that, and it is asserted. Reads of the log go beside.
 */
import { assert, unreachable } from "../core/base/assert.ts";
import type { Zxid } from "../core/base/zxid.ts";
import type { Runtime, WorkerHandle } from "../runtime/ports.ts";
import type { LogChunk } from "../core/zab/disk.ts";
import { pieceMissing } from "./log_reader.ts";
import type { FromWorker, StoredCommand, ToWorker, WorkerStats } from "./messages.ts";
import { StorageError } from "./storage.ts";
import type { Recovered, RecoverySink, Storage, StorageOptions, StorageStats } from "./storage.ts";

/** A committed zxid rides on the next append; without one it is told after this. */
const committedMsMax = 200;
/** The worker gives itself five seconds to catch up; beyond this it is ended. */
const closeMsMax = 15_000;

type StorageRuntime = Pick<Runtime, "worker" | "clock">;

export function openStorage(runtime: StorageRuntime, options: StorageOptions): Storage {
  return new WorkerStorage(runtime, options);
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

class WorkerStorage implements Storage {
  readonly #runtime: StorageRuntime;
  readonly #options: StorageOptions;
  #worker: WorkerHandle | null = null;
  #sink: RecoverySink | null = null;
  #recovering: Waiting<Recovered> | null = null;
  #closing: Waiting<void> | null = null;
  /** The sink could not take what was read; what comes is dropped until all comes again. */
  #refused = false;
  #startedAtMs = 0;
  #ended = false;
  /** Invariant: at most one command is with the worker. */
  #underWay = false;
  readonly #reads = new Map<number, Waiting<LogChunk> & { readonly after: Zxid }>();
  #readLast = 0;
  #committed = 0;
  #committedTold = 0;
  #tellCommitted: (() => void) | null = null;
  #commits = 0;
  #txns = 0;
  #txnsUnderWay = 0;
  #commitMsTotal = 0;
  #commitMsMax = 0;
  #stats: WorkerStats = {
    logBytes: 0,
    treeBytes: 0,
    zxidTree: 0,
    zxidLogFirst: 0,
    checkpoints: 0,
    checkpointMsLast: 0,
    checkpointAtMs: 0,
  };

  onDurable: (last: Zxid) => void = () => {};
  onStored: () => void = () => {};
  onNote: (message: string) => void = () => {};
  onFailure: (error: StorageError) => void = () => {};

  constructor(runtime: StorageRuntime, options: StorageOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  recover(sink: RecoverySink): Promise<Recovered> {
    assert(this.#worker === null, "storage is recovered once");
    this.#sink = sink;
    this.#startedAtMs = this.#runtime.clock.monotonicMs();
    const worker = this.#runtime.worker.spawn(new URL("./worker.ts", import.meta.url), "storage");
    this.#worker = worker;
    worker.onMessage((message) => this.#hear(message as FromWorker));
    worker.onError((error) => {
      this.#fail(
        new StorageError("io", `Cannot go on without the storage worker: ${error.message}. Start again`),
      );
    });
    return new Promise((resolve, reject) => {
      this.#recovering = { resolve, reject };
      this.#send({ kind: "open", options: this.#options });
    });
  }

  append(
    batch: Uint8Array<ArrayBuffer>,
    first: Zxid,
    last: Zxid,
    txns: number,
    committed: Zxid = this.#committed as Zxid,
  ): void {
    if (this.#ended) return;
    assert(!this.#underWay, "one command is carried out at a time");
    assert(first <= last && txns > 0 && batch.length > 0, "a batch holds txns, in order");
    this.#underWay = true;
    this.#txnsUnderWay = txns;
    this.#committed = Math.max(this.#committed, committed);
    this.#committedTold = this.#committed;
    this.#send({ kind: "append", bytes: batch, first, last, txns, committed: this.#committed }, [
      batch.buffer,
    ]);
  }

  execute(command: StoredCommand): void {
    if (this.#ended) return;
    assert(!this.#underWay, "one command is carried out at a time");
    this.#underWay = true;
    const transfer: ArrayBuffer[] = [];
    switch (command.kind) {
      case "epochs":
        assert(command.current <= command.accepted, "no epoch is followed that was not accepted");
        break;
      case "truncate":
        this.#committed = Math.min(this.#committed, command.after);
        break;
      case "replaceEnd":
        this.#committed = command.zxid;
        if (command.tail) transfer.push(command.tail.bytes.buffer);
        break;
      case "replaceRows":
        transfer.push(command.bytes.buffer);
        break;
      case "replaceSessions":
        transfer.push(command.list.buffer);
        break;
      default:
    }
    this.#send({ kind: "execute", command }, transfer);
  }

  reload(sink: RecoverySink): Promise<Recovered> {
    assert(!this.#underWay && this.#recovering === null, "one command is carried out at a time");
    if (this.#ended) return Promise.reject(endedError());
    this.#sink = sink;
    this.#startedAtMs = this.#runtime.clock.monotonicMs();
    return new Promise((resolve, reject) => {
      this.#recovering = { resolve, reject };
      this.#send({ kind: "reload" });
    });
  }

  readLog(after: Zxid, upTo: Zxid): Promise<LogChunk> {
    if (this.#ended) return Promise.reject(endedError());
    const read = ++this.#readLast;
    return new Promise((resolve, reject) => {
      this.#reads.set(read, { resolve, reject, after });
      this.#send({ kind: "readLog", read, after, upTo });
    });
  }

  committed(zxid: Zxid): void {
    this.#committed = Math.max(this.#committed, zxid);
    this.#tellCommitted ??= this.#runtime.clock.after(committedMsMax, () => {
      this.#tellCommitted = null;
      if (this.#committedTold === this.#committed || this.#ended) return;
      this.#committedTold = this.#committed;
      this.#send({ kind: "committed", zxid: this.#committed });
    });
  }

  stats(): StorageStats {
    const { zxidTree, zxidLogFirst, ...rest } = this.#stats;
    return {
      ...rest,
      zxidTree: zxidTree as Zxid,
      zxidLogFirst: zxidLogFirst as Zxid,
      commits: this.#commits,
      txns: this.#txns,
      commitMsTotal: this.#commitMsTotal,
      commitMsMax: this.#commitMsMax,
    };
  }

  close(): Promise<void> {
    this.#tellCommitted?.();
    this.#tellCommitted = null;
    if (this.#worker === null || this.#ended) {
      this.#end();
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      this.#closing = { resolve, reject };
      this.#send({ kind: "committed", zxid: this.#committed });
      this.#send({ kind: "close" });
      // The log has all that matters, so a worker that hangs in its disk is not waited for.
      this.#runtime.clock.after(closeMsMax, () => {
        this.#end();
        resolve();
      });
    });
  }

  #send(message: ToWorker, transfer?: ArrayBuffer[]): void {
    this.#worker?.post(message, transfer);
  }

  #hear(message: FromWorker): void {
    if (this.#ended) return;
    switch (message.kind) {
      case "durable":
        this.#underWay = false;
        this.#commits++;
        this.#txns += this.#txnsUnderWay;
        this.#commitMsTotal += message.ms;
        this.#commitMsMax = Math.max(this.#commitMsMax, message.ms);
        return this.onDurable(message.last as Zxid);
      case "stored":
        this.#underWay = false;
        return this.onStored();
      case "logPiece":
        this.#reads.get(message.read)?.resolve(message.piece);
        this.#reads.delete(message.read);
        return;
      case "again":
        this.#refused = false;
        this.#sink?.again?.();
        return;
      case "rows":
      case "batch":
      case "sessions":
      case "treeComplete":
        return this.#hearRecovery(message);
      case "recovered":
        return this.#hearRecovered(message);
      case "stats":
        this.#stats = message.stats;
        return;
      case "note":
        return this.onNote(message.message);
      case "failed":
        return this.#fail(new StorageError(message.code, message.message));
      case "closed":
        this.#end();
        this.#closing?.resolve();
        return;
      default:
        return unreachable(message);
    }
  }

  #hearRecovery(
    message: FromWorker & { readonly kind: "rows" | "batch" | "sessions" | "treeComplete" },
  ): void {
    if (this.#refused) return;
    try {
      if (message.kind === "rows") this.#sink?.rows(message.bytes);
      else if (message.kind === "batch") this.#sink?.batch(message.bytes);
      else if (message.kind === "sessions") this.#hearSessions(message.list);
      else this.#sink?.treeComplete(message.zxid as Zxid, message.committed as Zxid, message.digest);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#sink?.again !== undefined && message.kind !== "batch") {
        this.#refused = true;
        return this.#send({ kind: "refused", reason });
      }
      // Whoever waits for the recovery hears of it.
      this.#end();
      return this.#recovering?.reject(error instanceof Error ? error : new Error(reason));
    }
    if (message.kind !== "rows" && message.kind !== "batch") return;
    // Behind whatever else came meanwhile: the ports are open, and asked how far the load is.
    this.#runtime.clock.soon(() => this.#send({ kind: "taken" }));
  }

  #hearSessions(list: Int32Array): void {
    for (let i = 0; i + 2 < list.length; i += 3) {
      this.#sink?.session(list[i] as number, list[i + 1] as number, list[i + 2] as number);
    }
  }

  #hearRecovered(message: FromWorker & { readonly kind: "recovered" }): void {
    const recovering = this.#recovering;
    this.#sink = null;
    this.#recovering = null;
    const tookMs = this.#runtime.clock.monotonicMs() - this.#startedAtMs;
    recovering?.resolve({
      zxidLast: message.zxidLast as Zxid,
      zxidTree: message.zxidTree as Zxid,
      zxidCommitted: message.zxidCommitted as Zxid,
      epochAccepted: message.epochAccepted,
      epochCurrent: message.epochCurrent,
      txnsReplayed: message.txnsReplayed,
      znodes: message.znodes,
      tookMs,
      notes: message.notes,
      lacks: message.lacks ?? null,
    });
  }

  #fail(error: StorageError): void {
    if (this.#ended) return;
    for (const { reject } of this.#reads.values()) reject(error);
    this.#reads.clear();
    this.#end();
    if (this.#recovering !== null) this.#recovering.reject(error);
    else if (this.#closing !== null) this.#closing.reject(error);
    else this.onFailure(error);
  }

  #end(): void {
    this.#ended = true;
    this.#worker?.terminate();
    this.#worker = null;
    // Whoever reads for a learner while the server stops has nothing to send any more.
    for (const { resolve, after } of this.#reads.values()) resolve(pieceMissing(after));
    this.#reads.clear();
  }
}

function endedError(): StorageError {
  return new StorageError("io", "Cannot use the storage: it has ended. Start again");
}
