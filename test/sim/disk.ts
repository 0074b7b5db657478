/**
 * Disk: what one member would find after a power cut, and the command under way.
 *
 * A command takes time and changes what is durable at its end, as a whole. A crash meets a command
 * half-way: it took effect or it did not, both are legal, and chance decides (an append whose last
 * page was torn is one that did not). What `replaceBegin` began is nothing until `replaceEnd`.
 *
 * Some of the planted mistakes live here, such as a disk that says `durable` too early.
 */
import { unreachable } from "../../src/core/base/assert.ts";
import { counterOf, epochOf, type Zxid } from "../../src/core/base/zxid.ts";
import type { DiskCommand, LogChunk, LogRead, LogTail } from "../../src/core/zab/disk.ts";
import type { Loader } from "../../src/core/peer/loader.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import { StoredTable } from "./stored_table.ts";
import { hex, hold } from "./violation.ts";
import type { World } from "./world.ts";

interface LoggedTxn {
  readonly zxid: number;
  /** With its length before it. */
  readonly bytes: Uint8Array;
}

export type DiskDone = { readonly kind: "durable"; readonly last: Zxid } | { readonly kind: "stored" };

const zxidAtInTxn = 4 + 12;

function i32At(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(at);
}

function zxidAt(bytes: Uint8Array, at: number): number {
  return i32At(bytes, at) * 0x1_0000_0000 + (i32At(bytes, at + 4) >>> 0);
}

export class Disk {
  readonly #world: World;
  readonly #sid: number;
  readonly #forgets: boolean;
  /** In place of the rows and sessions below. */
  readonly #table: StoredTable | null;
  #rows: Uint8Array[] = [];
  #sessions: number[] = [];
  /** The table is the tree as of here; the log goes on behind it. */
  #zxidTable = 0;
  #txns: LoggedTxn[] = [];
  /** So many of the log would survive; fewer than all only with a disk that lies. */
  #landed = 0;
  #committedAppended = 0;
  /** What the table may follow up to, and with luck has. */
  #committedHint = 0;
  accepted = 0;
  current = 0;
  #begun: { rows: Uint8Array[]; sessions: number[] } | null = null;
  #underWay: DiskCommand | null = null;
  /** Nothing of what was begun before a crash ends after it. */
  #generation = 0;
  slowness = 1;
  isFull = false;

  constructor(world: World, sid: number, forgets: boolean) {
    this.#world = world;
    this.#sid = sid;
    this.#forgets = forgets;
    this.#format();
    const { plan, chance } = world;
    this.#table = plan.sidWithTable === sid ? new StoredTable(chance, plan.plant, this.#zxidTable) : null;
  }

  close(): void {
    this.#table?.close();
  }

  #format(): void {
    const { epochStart, counterStart } = this.#world.plan;
    this.#rows = [];
    this.#sessions = [];
    this.#txns = [];
    this.#landed = 0;
    this.#zxidTable = this.#forgets ? 0 : epochStart * 0x1_0000_0000 + counterStart;
    this.#committedAppended = this.#committedHint = this.#zxidTable;
    this.accepted = this.current = this.#forgets ? 0 : epochStart;
  }

  // ------------------------------------------------------------------------------------ what is

  get isBusy(): boolean {
    return this.#underWay !== null;
  }

  /** A learner that stopped between its leader's txns and its epoch is of the epoch of its last txn. */
  get epochAtStart(): number {
    return Math.max(this.current, epochOf(this.#lastSeen as Zxid));
  }

  /** The last zxid that would survive. */
  get last(): number {
    return this.#landed === 0 ? this.#zxidTable : (this.#txns[this.#landed - 1] as LoggedTxn).zxid;
  }

  get #lastSeen(): number {
    return this.#txns.at(-1)?.zxid ?? this.#zxidTable;
  }

  /** Would this very txn survive a power cut? */
  has(zxid: number, txn: Uint8Array): boolean {
    if (zxid <= this.#zxidTable) return true;
    const at = this.#countUpTo(zxid) - 1;
    const found = this.#txns[at];
    if (found === undefined || at >= this.#landed || found.zxid !== zxid) return false;
    return sameTail(found.bytes, txn);
  }

  #countUpTo(zxid: number): number {
    let low = 0;
    let high = this.#txns.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#txns[middle] as LoggedTxn).zxid <= zxid) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // --------------------------------------------------------------------------------------- commands

  /** Begins a command; `done` is called at its end, unless the member dies first. */
  execute(command: DiskCommand, done: (result: DiskDone) => void, fill: () => void): void {
    const { timeline, chance, plan } = this.#world;
    this.#underWay = command;
    this.#world.coverage.count(`disk ${command.kind}`);
    const generation = this.#generation;
    const ms = chance.longTail(plan.diskMsMin, plan.diskMsMax) * this.slowness;
    const lies = plan.plant === "ackBeforeDurable" && command.kind === "append";
    timeline.after(lies ? plan.diskMsMin : ms, () => {
      if (generation !== this.#generation) return;
      this.#underWay = null;
      if (this.isFull && command.kind === "append") return this.#world.member(this.#sid).diskFailed();
      this.#apply(command);
      if (!lies) this.#landed = this.#txns.length;
      else {
        const count = this.#txns.length;
        timeline.after(ms + 200, () => {
          if (generation === this.#generation) {
            this.#landed = Math.min(Math.max(this.#landed, count), this.#txns.length);
          }
        });
      }
      if (command.kind === "reload") fill();
      done(command.kind === "append" ? { kind: "durable", last: command.last } : { kind: "stored" });
    });
  }

  #apply(command: DiskCommand): void {
    switch (command.kind) {
      case "append":
        return this.#append(command.bytes, command.first, command.last, command.txns, command.committed);
      case "epochs":
        return this.#putEpochs(command.accepted, command.current);
      case "truncate":
        return this.#truncate(command.after);
      case "replaceBegin":
        this.#begun = { rows: [], sessions: [] };
        return;
      case "replaceRows":
        hold(this.#begun !== null, "disk order", () => `${this.#sid} replaces rows before it began`);
        this.#begun?.rows.push(command.bytes);
        return;
      case "replaceSessions":
        hold(this.#begun !== null, "disk order", () => `${this.#sid} replaces sessions before it began`);
        if (this.#world.plan.plant !== "snapshotLosesSessions") this.#begun?.sessions.push(...command.list);
        return;
      case "replaceEnd":
        this.#replace(command.zxid, command.tail ?? null);
        return;
      case "reload":
        return;
      default:
        unreachable(command);
    }
  }

  #append(bytes: Uint8Array, first: number, last: number, txns: number, committed: number): void {
    let at = 0;
    let count = 0;
    let before = this.#lastSeen;
    const start = before;
    while (at < bytes.length) {
      const end = at + 4 + i32At(bytes, at);
      const zxid = zxidAt(bytes, at + zxidAtInTxn);
      if (count === 0) {
        hold(zxid === first, "disk order", () => `first of a batch is ${hex(zxid)}, not ${hex(first)}`);
      }
      if (this.#world.plan.plant !== "skipTrunc") {
        const follows = epochOf(zxid as Zxid) === epochOf(before as Zxid)
          ? zxid === before + 1
          : zxid > before && counterOf(zxid as Zxid) === 1;
        hold(follows, "log without gaps", () => `${this.#sid} appends ${hex(zxid)} behind ${hex(before)}`);
      }
      // A log that was not truncated keeps what it has.
      if (zxid > before) {
        this.#txns.push({ zxid, bytes: bytes.subarray(at, end) });
        before = zxid;
      }
      count++;
      at = end;
    }
    hold(count === txns, "disk order", () => `a batch of ${count} txns says ${txns}`);
    hold(
      before === last || this.#world.plan.plant === "skipTrunc",
      "disk order",
      () => `a batch from ${hex(start)} says it ends at ${hex(last)}`,
    );
    hold(
      committed >= this.#committedAppended || !this.#world.isStrict,
      "committed never goes back",
      () => `${this.#sid} says ${hex(committed)} after ${hex(this.#committedAppended)}`,
    );
    this.#committedAppended = committed;
  }

  #putEpochs(accepted: number, current: number): void {
    hold(
      accepted >= this.accepted && current >= this.current && accepted >= current,
      "epochs never go back",
      () => `${this.#sid} stores ${accepted}, ${current} over ${this.accepted}, ${this.current}`,
    );
    this.accepted = accepted;
    this.current = current;
  }

  #truncate(after: number): void {
    if (this.#world.plan.plant === "skipTrunc") return;
    hold(
      after >= this.#zxidTable && after >= this.committedKnown && after >= this.#committedHint,
      "what is committed is never truncated",
      () =>
        `${this.#sid} truncates to ${hex(after)}, committed is ${
          hex(Math.max(this.committedKnown, this.#committedHint))
        }`,
    );
    const keep = this.#countUpTo(after);
    const lost = this.#txns.splice(keep);
    this.#landed = Math.min(this.#landed, keep);
    this.#world.history.lost(this.#sid, lost);
  }

  #replace(zxid: number, tail: LogTail | null): void {
    const { rows, sessions } = this.#begun ?? { rows: [], sessions: [] };
    hold(this.#begun !== null, "disk order", () => `${this.#sid} ends a replacement before it began`);
    const lost = this.#txns.slice(this.#countUpTo(zxid));
    this.#begun = null;
    this.#rows = rows;
    this.#sessions = sessions;
    this.#table?.replace(rows, sessions, zxid);
    this.#zxidTable = zxid;
    this.#txns = [];
    this.#landed = 0;
    this.#committedAppended = this.#committedHint = zxid;
    if (tail !== null && this.#world.plan.plant !== "snapshotLosesTail") {
      this.#world.coverage.count("snapshots stored with a tail");
      this.#append(tail.bytes, tail.first, tail.last, tail.txns, tail.committed);
      this.#landed = this.#txns.length;
    }
    this.#world.history.lost(this.#sid, lost);
  }

  // ------------------------------------------------------------------------------------------ crash

  crash(): void {
    this.#generation++;
    const command = this.#underWay;
    this.#underWay = null;
    const { plant } = this.#world.plan;
    if (plant === "diskLosesTail") this.#landed = Math.max(0, this.#landed - 1);
    this.#txns.length = this.#landed;
    if (plant === "epochForgotten") {
      this.current = this.#world.plan.epochStart;
      this.accepted = this.epochAtStart;
    }
    if (
      command !== null && this.#world.chance.happens(0.5) && this.#world.plan.plant !== "ackBeforeDurable"
    ) {
      this.#world.coverage.count("crash kept the command");
      this.#apply(command);
      this.#landed = this.#txns.length;
    }
    this.#begun = null;
    if (this.#forgets) this.#format();
  }

  /** The table may follow up to here. */
  committed(zxid: number): void {
    this.#committedHint = Math.max(this.#committedHint, zxid);
  }

  /** Committed for all that this disk was told. */
  get committedKnown(): number {
    return Math.min(Math.max(this.#committedAppended, this.#zxidTable), this.last);
  }

  // --------------------------------------------------------------------------------------- reading

  /** Memory alone has nothing to read again. */
  forgetIfItForgets(): void {
    if (!this.#forgets) return;
    const { accepted, current } = this;
    this.#format();
    this.accepted = accepted;
    this.current = current;
  }

  /** What the next start is told to be committed: the table may have followed the hints, or not. */
  fill(loader: Loader): { readonly zxidLast: Zxid; readonly zxidCommitted: Zxid } {
    const followed = this.#world.chance.happens(0.5) ? Math.min(this.#committedHint, this.last) : 0;
    const committed = Math.max(this.committedKnown, followed);
    this.#committedHint = committed;
    const table = this.#table;
    if (table === null) this.#fillRows(loader);
    else {
      this.#world.coverage.count("starts from a real table");
      table.follow(this.#txns, committed);
      table.fill(loader);
    }
    loader.treeComplete((table?.zxid ?? this.#zxidTable) as Zxid, committed as Zxid);
    const out = new Writer(4096);
    for (const { bytes } of this.#txns) {
      out.raw(bytes);
      if (!this.#world.chance.happens(0.1)) continue;
      loader.batch(out.copy());
      out.clear();
    }
    if (out.length > 0) loader.batch(out.copy());
    return { zxidLast: this.#lastSeen as Zxid, zxidCommitted: committed as Zxid };
  }

  #fillRows(loader: Loader): void {
    for (const rows of this.#rows) loader.rows(rows);
    for (let i = 0; i < this.#sessions.length; i += 3) {
      const [hi, lo, timeoutMs] = this.#sessions.slice(i, i + 3) as [number, number, number];
      loader.session(hi, lo, timeoutMs);
    }
  }

  /** Reads beside the commands, and answers some time later. */
  readLog(read: LogRead, done: (chunk: LogChunk) => void): void {
    const { timeline, chance, plan } = this.#world;
    const generation = this.#generation;
    timeline.after(chance.longTail(plan.diskMsMin, plan.diskMsMax) * this.slowness, () => {
      if (generation === this.#generation) done(this.#chunk(read.after, read.upTo));
    });
  }

  #chunk(after: number, upTo: number): LogChunk {
    const { logRetainTxns, logChunkBytes } = this.#world.plan;
    const kept = Math.max(0, this.#countUpTo(this.#committedHint) - logRetainTxns);
    const from = kept === 0 ? this.#zxidTable : (this.#txns[kept - 1] as LoggedTxn).zxid;
    const nothing = { bytes: new Uint8Array(0), last: after as Zxid, bytesBehind: 0, previous: 0 as Zxid };
    if (after < from) return { found: "missing", ...nothing };
    const at = this.#countUpTo(after);
    const before = at === 0 ? this.#zxidTable : (this.#txns[at - 1] as LoggedTxn).zxid;
    const out = new Writer(1024);
    let last = after;
    let bytesBehind = 0;
    for (const { zxid, bytes } of this.#txns.slice(at)) {
      bytesBehind += bytes.length;
      if (zxid > upTo || out.length >= logChunkBytes) continue;
      out.raw(bytes);
      last = zxid;
    }
    return {
      found: before === after ? "exact" : "between",
      previous: before as Zxid,
      bytes: out.copy(),
      last: last as Zxid,
      bytesBehind,
    };
  }
}

/** Is `txn` what follows the length word? */
function sameTail(logged: Uint8Array, txn: Uint8Array): boolean {
  if (logged.length !== txn.length + 4) return false;
  for (let i = 0; i < txn.length; i++) if (logged[i + 4] !== txn[i]) return false;
  return true;
}
