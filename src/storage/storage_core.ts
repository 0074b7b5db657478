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
import type { Zxid } from "../core/base/zxid.ts";
import type { LogTail } from "../core/zab/disk.ts";
import type { ClockPort } from "../runtime/ports.ts";
import { asideOf, removeDatabase } from "./database_files.ts";
import type { DiskPorts } from "./database_files.ts";
import { mendDisk, openDisk, openTree } from "./disk.ts";
import type { Disk } from "./disk.ts";
import { Rot, rot, storageError, storageErrorOf } from "./errors.ts";
import { Leisure } from "./leisure.ts";
import { pieceMissing, readPiece } from "./log_reader.ts";
import type { LogPiece } from "./log_reader.ts";
import { chunksUnderWayMax } from "./messages.ts";
import type { FromWorker, StoredCommand, ToWorker } from "./messages.ts";
import { epochsAtStart } from "./promises.ts";
import { recoveryParts } from "./recovery.ts";
import type { RecoveryPart } from "./recovery.ts";
import { Replacement, takeNextTree } from "./replacement.ts";
import type { StorageError, StorageOptions } from "./storage.ts";

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

/** Bytes of the log that the table may be behind while the log is never quiet. */
const behindBytesMax = 64 << 20;
/**
 * The same for a member of an ensemble: a peer that starts again is waited for by nobody, the others
 * serve. And following the log costs more than the log itself, on each of the peers. A start reads
 * what is behind at about 100 MB a second.
 */
const behindBytesMaxMember = 128 << 20;

/** Share of a commit's time that goes to the table afterwards, by how far it is behind. */
function shareOf(bytesBehind: number, lagMs: number, bytesMax: number): number {
  if (bytesBehind < bytesMax) return lagMs < lagMsMax ? 0 : 0.25;
  if (bytesBehind < 512 << 20) return 0.25;
  return bytesBehind < 2 ** 31 ? 0.5 : 1;
}

function triedBy(command: StoredCommand): string {
  switch (command.kind) {
    case "epochs":
      return `store the epochs ${command.accepted} and ${command.current}`;
    case "truncate":
      return `truncate the log behind zxid 0x${command.after.toString(16)}`;
    case "replaceEnd":
      return `store a snapshot as of zxid 0x${command.zxid.toString(16)}`;
    default:
      return "store a snapshot";
  }
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
  #replacement: Replacement | null = null;
  readonly #reads: (ToWorker & { readonly kind: "readLog" })[] = [];
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
      case "refused":
        return this.#guard("read the storage", () => {
          const { tree } = this.#opened().disk;
          this.#mend(rot("table", `read ${tree.path}`, message.reason));
          this.#recover();
        });
      case "append":
        return this.#guard(
          `append to the log at zxid 0x${message.first.toString(16)}`,
          () => this.#append(message),
        );
      case "committed":
        return this.#commit(message.zxid);
      case "execute":
        return this.#guard(triedBy(message.command), () => this.#execute(message.command));
      case "reload":
        return this.#guard("read the storage again", () => this.#reload());
      case "readLog":
        this.#reads.push(message);
        if (this.#reads.length === 1) this.#readSoon();
        return;
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
      if (code === "damaged" && this.#recovery === null) this.#suspect();
      this.#post({ kind: "failed", code, message });
    }
  }

  /** It was found in the midst of something: the next start looks at all of both files, and mends. */
  #suspect(): void {
    try {
      this.#disk?.log.suspect();
    } catch {
      // What is told is the first failure.
    }
  }

  #open(options: StorageOptions): void {
    this.#options = options;
    const disk = openDisk(this.#ports, options);
    this.#use(disk);
    this.#recover();
  }

  #use(disk: Disk): void {
    this.#disk = disk;
    this.#leisure = new Leisure(disk.log, disk.tree, this.#options as StorageOptions, this.#ports.clock);
    this.#recovery = recoveryParts(disk, 0, disk.notes);
    this.#caughtUpAtMs = this.#appendedAtMs = this.#ports.clock.monotonicMs();
  }

  /** What is damaged is made again, from the log or by asking the others; then all is read once more. */
  #mend(error: StorageError): void {
    const { disk, options } = this.#opened();
    disk.tree.close();
    disk.log.close();
    this.#use(mendDisk(this.#ports, options, error, disk.epochs.accepted));
    this.#post({ kind: "again" });
  }

  #recover(): void {
    while (this.#recovery !== null && this.#chunksUnderWay < chunksUnderWayMax) {
      let next: IteratorResult<RecoveryPart>;
      try {
        next = this.#recovery.next();
      } catch (error) {
        this.#mend(storageErrorOf(error, "read the storage"));
        continue;
      }
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
    const { disk, leisure } = this.#opened();
    const start = clock.monotonicMs();
    disk.log.append(message.bytes, message.first, message.last, message.txns, message.committed);
    const end = clock.monotonicMs();
    const ms = end - start;
    this.#post({ kind: "durable", last: message.last, ms });
    this.#appendedAtMs = end;
    if (leisure.bytesBehind === 0) this.#caughtUpAtMs = end;
    leisure.bytesBehind += message.bytes.length;
    this.#commit(message.committed);
    if (disk.log.pagesWaiting >= logPagesMax) disk.log.checkpoint();
    const bytesMax = disk.log.standsAlone ? behindBytesMax : behindBytesMaxMember;
    const share = shareOf(leisure.bytesBehind, end - this.#caughtUpAtMs, bytesMax);
    if (share > 0) this.#slice(ms * share);
  }

  #opened(): { readonly disk: Disk; readonly leisure: Leisure; readonly options: StorageOptions } {
    const [disk, leisure, options] = [this.#disk, this.#leisure, this.#options];
    if (disk === null || leisure === null || options === null) throw new Error("the storage is not open");
    return { disk, leisure, options };
  }

  #execute(command: StoredCommand): void {
    const { disk } = this.#opened();
    switch (command.kind) {
      case "epochs":
        disk.log.putEpochs({ accepted: command.accepted, current: command.current });
        if (disk.lacks !== null && command.current > 0) {
          this.#disk = { ...disk, lacks: null };
          for (const path of [disk.log.path, disk.tree.path]) {
            removeDatabase(this.#ports.files, asideOf(path));
          }
        }
        break;
      case "truncate":
        this.#truncate(command.after);
        break;
      case "replaceBegin":
        this.#dropReplacement();
        this.#replacement = new Replacement(this.#ports, disk.tree.path);
        break;
      case "replaceRows":
        this.#begun().rows(command.bytes);
        break;
      case "replaceSessions":
        this.#begun().sessions(command.list);
        break;
      case "replaceEnd":
        this.#replace(command.zxid, command.tail ?? null);
        break;
      default:
        return unreachable(command);
    }
    this.#post({ kind: "stored" });
    this.#appendedAtMs = this.#ports.clock.monotonicMs();
  }

  #begun(): Replacement {
    if (this.#replacement === null) throw new Error("no snapshot was begun");
    return this.#replacement;
  }

  #truncate(after: number): void {
    const { disk, leisure } = this.#opened();
    const { log, tree } = disk;
    if (after < tree.zxid) {
      throw storageError(
        "damaged",
        `truncate ${log.path} behind zxid 0x${after.toString(16)}`,
        `the table is at 0x${tree.zxid.toString(16)} already, and it holds only what was committed`,
      );
    }
    this.#dropPass();
    log.truncate(after);
    log.goOnBehind(tree.zxid, tree.total);
    leisure.committed = Math.min(leisure.committed, after);
    leisure.bytesBehind = log.bytesBehind(tree.zxid);
  }

  /** The steps of replacement.ts. */
  #replace(zxid: number, tail: LogTail | null): void {
    const { disk, leisure, options } = this.#opened();
    const { log, tree } = disk;
    const generation = log.generation + 1;
    this.#dropPass();
    this.#begun().complete(zxid, log.total, String(log.meta("log_id")), generation);
    this.#replacement = null;
    log.empty(zxid, log.total, generation, tail);
    tree.close();
    takeNextTree(this.#ports.files, log, tree.path);
    const next = openTree(this.#ports, log, tree.path, []);
    this.#disk = { ...disk, tree: next };
    this.#leisure = new Leisure(log, next, options, this.#ports.clock);
    this.#leisure.follows(leisure);
    if (tail !== null) this.#leisure.bytesBehind = tail.bytes.length;
    this.#caughtUpAtMs = this.#ports.clock.monotonicMs();
    this.#tellStats();
  }

  #dropReplacement(): void {
    this.#replacement?.drop();
    this.#replacement = null;
  }

  /** What is half-way rolls back; the log has it. */
  #dropPass(): void {
    if (this.#pass !== null) this.#disk?.tree.rollback();
    this.#pass = null;
  }

  #reload(): void {
    const { disk, leisure } = this.#opened();
    this.#dropReplacement();
    this.#dropPass();
    this.#recovery = recoveryParts(
      { ...disk, epochs: epochsAtStart(disk.log) },
      leisure.committed,
      [],
    );
    this.#recover();
  }

  /** A turn for each: an append that came meanwhile is first. */
  #readSoon(): void {
    this.#ports.clock.after(0, () => this.#guard("read the log", () => this.#readNext()));
  }

  #readNext(): void {
    const wanted = this.#reads.shift();
    if (wanted === undefined) return;
    const piece = this.#piece(wanted.after as Zxid, wanted.upTo as Zxid);
    this.#post({ kind: "logPiece", read: wanted.read, piece }, [piece.bytes.buffer]);
    if (this.#reads.length > 0) this.#readSoon();
  }

  /** What is damaged and is in the table is needed by nobody here: a learner gets a snapshot instead. */
  #piece(after: Zxid, upTo: Zxid): LogPiece {
    const { log, tree } = this.#opened().disk;
    try {
      return readPiece(log, after, upTo);
    } catch (error) {
      if (!(error instanceof Rot) || !log.dropUpTo(tree.zxid)) throw error;
      const message = `${error.fact}. The table has it: the log now begins behind zxid 0x${
        tree.zxid.toString(16)
      }`;
      this.#post({ kind: "note", message });
      return pieceMissing(after);
    }
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
    log.syncMark();
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
    // While it is being read, the table stays as it is.
    if (leisure === null || this.#recovery !== null) return false;
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
    while (this.#reads.length > 0) this.#readNext();
    // What is half-way rolls back when the file closes; the log has it.
    this.#pass = null;
    this.#dropReplacement();
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
