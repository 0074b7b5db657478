/**
 * The storage worker, but for its thread: messages in, messages out.
 *
 * An append is committed in the turn in which it arrives, and answered before anything else is done.
 * The rest of the time is leisure. When the log was quiet for a second the table follows to the end,
 * in slices of two milliseconds. When it is never quiet, and the table is far behind, each commit is
 * followed by a slice that is a share of what the commit took: an append then waits for a slice of
 * known size at most, so the latency of writes grows by that share and not more.
 *
 * After the first failure nothing is done any more: what SQLite and the kernel think of the file
 * after a failed write is not to be relied on, only a new start reads what is really there.
 */
import { unreachable } from "../core/base/assert.ts";
import type { ClockPort } from "../runtime/ports.ts";
import type { DiskPorts } from "./database_files.ts";
import { openDisk } from "./disk.ts";
import type { Disk } from "./disk.ts";
import { storageErrorOf } from "./errors.ts";
import { Leisure } from "./leisure.ts";
import { chunksUnderWayMax } from "./messages.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { recoveryParts } from "./recovery.ts";
import type { RecoveryPart } from "./recovery.ts";
import type { StorageOptions } from "./storage.ts";

export interface CorePorts extends DiskPorts {
  readonly clock: ClockPort;
}

/** The log is quiet after this long without an append; then the table follows. */
const quietMs = 1000;
/** While it follows, an append makes it wait this long before it goes on. */
const pauseMs = 20;
const sliceMs = 2;
const tickMs = 250;
/** The table may not lag longer than this, quiet or not. */
const lagMsMax = 60_000;
const closeMsMax = 5000;
/** Pages in the log's WAL that are moved to its file after an append, or in a quiet moment. */
const logPagesMax = 1000;
const logPagesQuiet = 64;

/** Share of a commit's time that goes to the table afterwards, by how far it is behind. */
function shareOf(bytesBehind: number, lagMs: number): number {
  if (bytesBehind < 64 << 20) return lagMs < lagMsMax ? 0 : 0.25;
  if (bytesBehind < 512 << 20) return 0.25;
  return bytesBehind < 2 ** 31 ? 0.5 : 1;
}

export class StorageCore {
  readonly #ports: CorePorts;
  readonly #post: (message: FromWorker, transfer?: ArrayBuffer[]) => void;
  #options: StorageOptions | null = null;
  #disk: Disk | null = null;
  #leisure: Leisure | null = null;
  #recovery: Generator<RecoveryPart, void, void> | null = null;
  #chunksUnderWay = 0;
  #pass: Generator<void, void, void> | null = null;
  #failed = false;
  #appendedAtMs = 0;
  #caughtUpAtMs = 0;
  #sliceWaits = false;
  #stopTicks: (() => void) | null = null;
  #statsText = "";

  constructor(ports: CorePorts, post: (message: FromWorker, transfer?: ArrayBuffer[]) => void) {
    this.#ports = ports;
    this.#post = post;
  }

  handle(message: ToWorker): void {
    if (this.#failed) return;
    switch (message.kind) {
      case "open":
        return this.#guard(
          `open the storage in ${message.options.dataLogDir}`,
          () => this.#open(message.options),
        );
      case "taken":
        this.#chunksUnderWay--;
        return this.#guard("read the storage", () => this.#recover());
      case "append":
        return this.#guard(
          `append to the log at zxid 0x${message.first.toString(16)}`,
          () => this.#append(message),
        );
      case "committed":
        return this.#commit(message.zxid);
      case "close":
        return this.#guard("close the storage", () => this.#close());
      default:
        return unreachable(message);
    }
  }

  /** Runs `work`; its first failure is told, and is the last thing told. */
  #guard(tried: string, work: () => void): void {
    if (this.#failed) return;
    try {
      work();
    } catch (error) {
      this.#failed = true;
      this.#stopTicks?.();
      const { code, message } = storageErrorOf(error, tried);
      this.#post({ kind: "failed", code, message });
    }
  }

  #open(options: StorageOptions): void {
    this.#options = options;
    const disk = openDisk(this.#ports, options);
    this.#disk = disk;
    this.#leisure = new Leisure(disk.log, disk.tree, options, this.#ports.clock);
    this.#recovery = recoveryParts(disk);
    this.#caughtUpAtMs = this.#appendedAtMs = this.#ports.clock.monotonicMs();
    this.#recover();
  }

  #recover(): void {
    while (this.#recovery !== null && this.#chunksUnderWay < chunksUnderWayMax) {
      const next = this.#recovery.next();
      if (next.done === true) {
        this.#recovery = null;
        this.#tellStats();
        return;
      }
      if (next.value.heavy) this.#chunksUnderWay++;
      this.#post(next.value.message, next.value.transfer);
    }
  }

  #append(message: ToWorker & { readonly kind: "append" }): void {
    const { clock } = this.#ports;
    const disk = this.#disk;
    const leisure = this.#leisure;
    if (disk === null || leisure === null) throw new Error("the storage is not open");
    const start = clock.monotonicMs();
    disk.log.append(message.bytes, message.first, message.last, message.txns);
    const end = clock.monotonicMs();
    const ms = end - start;
    this.#post({ kind: "durable", last: message.last, ms });
    this.#appendedAtMs = end;
    if (leisure.bytesBehind === 0) this.#caughtUpAtMs = end;
    leisure.bytesBehind += message.bytes.length;
    this.#commit(message.committed);
    if (disk.log.pagesWaiting >= logPagesMax) disk.log.checkpoint();
    const share = shareOf(leisure.bytesBehind, end - this.#caughtUpAtMs);
    if (share > 0) this.#slice(ms * share);
  }

  #commit(zxid: number): void {
    if (this.#leisure === null) return;
    this.#leisure.committed = Math.max(this.#leisure.committed, zxid);
    this.#stopTicks ??= this.#ports.clock.every(
      tickMs,
      () => this.#guard("keep the storage", () => this.#tick()),
    );
  }

  /** Now and then while there is something to do. */
  #tick(): void {
    const { log } = this.#disk ?? {};
    if (log === undefined || this.#leisure === null) return;
    const quietForMs = this.#ports.clock.monotonicMs() - this.#appendedAtMs;
    if (quietForMs >= pauseMs && log.pagesWaiting >= logPagesQuiet) log.checkpoint();
    this.#tellStats();
    const wants = this.#pass !== null || this.#leisure.isBehind;
    if (wants && quietForMs >= quietMs) this.#sliceSoon(0);
    if (wants || quietForMs < quietMs) return;
    this.#stopTicks?.();
    this.#stopTicks = null;
  }

  #sliceSoon(ms: number): void {
    if (this.#sliceWaits) return;
    this.#sliceWaits = true;
    this.#ports.clock.after(ms, () => {
      this.#sliceWaits = false;
      this.#guard("follow the log with the tree table", () => {
        const quietForMs = this.#ports.clock.monotonicMs() - this.#appendedAtMs;
        if (quietForMs < pauseMs) return this.#sliceSoon(pauseMs);
        if (this.#slice(sliceMs)) this.#sliceSoon(0);
      });
    });
  }

  /** Goes on with the pass for about `ms`. True: there is more. */
  #slice(ms: number): boolean {
    const leisure = this.#leisure;
    if (leisure === null) return false;
    const { clock } = this.#ports;
    const end = clock.monotonicMs() + ms;
    if (this.#pass === null) {
      if (!leisure.isBehind) return false;
      this.#pass = leisure.pass();
    }
    do {
      if (this.#pass.next().done === true) {
        this.#pass = null;
        if (!leisure.isBehind) this.#caughtUpAtMs = clock.monotonicMs();
        return false;
      }
    } while (clock.monotonicMs() < end);
    return true;
  }

  #close(): void {
    const { clock } = this.#ports;
    const end = clock.monotonicMs() + closeMsMax;
    while (this.#slice(sliceMs) && clock.monotonicMs() < end);
    // What is half-way rolls back when the file closes; the log has it.
    this.#pass = null;
    this.#failed = true;
    this.#stopTicks?.();
    this.#disk?.tree.close();
    this.#disk?.log.close();
    this.#post({ kind: "closed" });
  }

  #tellStats(): void {
    const leisure = this.#leisure;
    if (this.#disk === null || leisure === null) return;
    const { files } = this.#ports;
    const { log, tree } = this.#disk;
    const bytesOf = (path: string) =>
      (files.info(path)?.bytes ?? 0) + (files.info(`${path}-wal`)?.bytes ?? 0);
    const stats = {
      logBytes: bytesOf(log.path),
      treeBytes: bytesOf(tree.path),
      zxidTree: tree.zxid,
      zxidLogFirst: log.first,
      checkpoints: leisure.checkpoints,
      checkpointMsLast: leisure.checkpointMsLast,
      checkpointAtMs: leisure.checkpointAtMs,
    };
    const text = JSON.stringify(stats);
    if (text === this.#statsText) return;
    this.#statsText = text;
    this.#post({ kind: "stats", stats });
  }
}
