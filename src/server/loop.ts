/**
 * Loop: the shell around one peer. Inbox → step → effects.
 *
 * Every callback of the runtime ends in `turn`, which callbacks of one moment share when a member has
 * much to do: what the other members wait for leaves first, then the next batch goes to the disk, so
 * that it works while we send; then each connection's bytes leave in one write; then lines that had to
 * wait may go on. Nothing here decides anything about znodes.
 */
import { behindConnectBytesMax, replyBytesPause } from "../core/base/limits.ts";
import { type Connection, ConnectionState } from "../core/peer/connection.ts";
import type { ClientFrame } from "../core/peer/events.ts";
import type { Peer } from "../core/peer/peer.ts";
import type { ShellCounters } from "../core/peer/status_source.ts";
import type { Zxid } from "../core/base/zxid.ts";
import type { Answer, ClientLine, LineLimits, LineOwner } from "../net/client_listener.ts";
import type { ClockPort } from "../runtime/ports.ts";
import type { Storage } from "../storage/storage.ts";
import type { Logger } from "./logger.ts";
import { NoteLimit } from "./note_limit.ts";

/** Lines that should be gone are looked for this often. */
const lookMs = 500;

/**
 * A member with so many writes in flight lets what arrived together share a turn: fewer and longer
 * packets to the others, whose turns then are longer too. With nine reads to a write that saved each
 * peer a tenth of its time. A client alone does not wait for company.
 */
const sharedTurnTxnsMin = 4;

/**
 * So long may requests be taken that arrived together, of one line or of many; but each line gets one. Whoever asks
 * for more goes on when the others had theirs: a chunk from a socket holds two thousand requests, and some kinds
 * take milliseconds.
 */
const turnMsMax = 8;
/** The clock is read for one request of eight: it costs as much as a tenth of a small read. */
const askClockMask = 7;
/** What turns took is added up from here on, until the runtime has looked at its timers and all sockets. */
const spentMsMin = 1;

export interface Words {
  bytes(head: Uint8Array): number;
  answer(asked: Uint8Array, secure: boolean): Answer;
}

export interface LoopParts {
  readonly peer: Peer;
  readonly storage: Storage;
  readonly clock: ClockPort;
  readonly logger: Logger;
  readonly counters: ShellCounters;
  readonly limits: LineLimits;
  readonly words: Words;
  readonly fatal: (message: string) => void;
}

/** What has to be sent beside the clients' replies. */
export interface OtherLines {
  drain(): void;
}

export class Loop implements LineOwner {
  readonly limits: LineLimits;
  readonly #peer: Peer;
  readonly #storage: Storage;
  readonly #clock: ClockPort;
  readonly #logger: Logger;
  readonly #notes: NoteLimit;
  readonly #counters: ShellCounters;
  readonly #words: Words;
  readonly #lines = new Set<ClientLine>();
  readonly #lineOf = new Map<Connection, ClientLine>();
  readonly #held = new Set<ClientLine>();
  readonly #frame: ClientFrame = {
    kind: "clientFrame",
    connection: 0,
    bytes: new Uint8Array(0),
    start: 0,
    end: 0,
    wallMs: 0,
    monoMs: 0,
  };
  readonly #fatal: (message: string) => void;
  #others: OtherLines | null = null;
  #working = false;
  #serving = false;
  readonly #servingCalls: ((mode: string) => void)[] = [];
  #turning = false;
  #turnComes = false;
  #ticksOn = false;
  #lookAtMs = 0;
  #goesOn = false;
  /** No more requests are taken from here on. */
  #untilMs = 0;
  #asked = 0;
  #spentMs = 0;
  #restComes = false;
  #stopped = false;
  #idleWaiters: (() => void)[] = [];

  constructor(parts: LoopParts) {
    this.#peer = parts.peer;
    this.#storage = parts.storage;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#notes = new NoteLimit(parts.logger);
    this.#counters = parts.counters;
    this.limits = parts.limits;
    this.#words = parts.words;
    this.#fatal = parts.fatal;
    parts.storage.onDurable = (last) => this.#durable(last);
    parts.storage.onStored = () => this.#stored();
  }

  /** The lines to the other members. */
  join(others: OtherLines): void {
    this.#others = others;
  }

  // -------------------------------------------------------------------------------------- lines

  accepted(line: ClientLine): void {
    this.#counters.connectionsAccepted++;
    this.#lines.add(line);
  }

  opened(line: ClientLine): Connection {
    const connection = this.#peer.open(line.address, line.port, line.secure, this.#clock.monotonicMs());
    this.#lineOf.set(connection, line);
    return connection;
  }

  held(line: ClientLine): void {
    this.#held.add(line);
    // Thousands may wait for a leader, so each of them waits with little.
    const isWaiting = line.connection?.state === ConnectionState.Held;
    if (isWaiting && line.heldBytes > behindConnectBytesMax) line.destroy();
  }

  mayRead(line: ClientLine): boolean {
    if (line.connection === null) return true;
    if (this.#frame.monoMs > 0 && (this.#asked++ & askClockMask) === 0) {
      if (this.#clock.monotonicMs() >= this.#untilMs) return false;
    }
    return this.#peer.mayTake(line.connection);
  }

  frame(line: ClientLine, bytes: Uint8Array, start: number, end: number): void {
    const event = this.#frame;
    event.connection = (line.connection as Connection).number;
    event.bytes = bytes;
    event.start = start;
    event.end = end;
    if (event.monoMs === 0) this.#stamp(event);
    this.#peer.step(event);
  }

  #stamp(event: ClientFrame): void {
    event.wallMs = Math.floor(this.#clock.wallMs());
    event.monoMs = this.#clock.monotonicMs();
    this.#asked = 0;
    if (!this.#turning) this.#untilMs = event.monoMs + turnMsMax - this.#spentMs;
  }

  #spend(ms: number): void {
    this.#spentMs += ms;
    if (this.#spentMs < spentMsMin || this.#restComes) return;
    this.#restComes = true;
    this.#clock.soon(this.#rested);
  }

  readonly #rested = (): void => {
    this.#restComes = false;
    this.#spentMs = 0;
  };

  closed(line: ClientLine): void {
    this.#lines.delete(line);
    this.#held.delete(line);
    const { connection } = line;
    if (connection === null) return;
    // The core may have given the number to another already, if it closed this one itself.
    if (this.#lineOf.delete(connection) && this.#peer.connections[connection.number] === connection) {
      this.#peer.step({
        kind: "clientClosed",
        connection: connection.number,
        wallMs: Math.floor(this.#clock.wallMs()),
        monoMs: this.#clock.monotonicMs(),
      });
    }
  }

  warn(event: string, message: string, line: ClientLine): void {
    const fields = { client: `${line.address}:${line.port}` };
    this.#notes.write({ level: "warn", event, message, fields }, this.#clock.monotonicMs());
  }

  /** A connection that did not become a line. */
  refused(why: string): void {
    this.count("rejected");
    this.#notes.write(
      { level: "warn", event: "accept_failed", message: why, fields: {} },
      this.#clock.monotonicMs(),
    );
  }

  count(what: "rejected" | "dropped" | "sessionless"): void {
    if (what === "rejected") this.#counters.connectionsRejected++;
    else if (what === "sessionless") this.#counters.sessionlessExpired++;
    else this.#counters.connectionsDropped++;
  }

  countBytes(received: number, sent: number): void {
    this.#counters.bytesReceived += received;
    this.#counters.bytesSent += sent;
  }

  wordBytes(head: Uint8Array): number {
    return this.#words.bytes(head);
  }

  later(call: () => void): void {
    this.#clock.after(0, call);
  }

  answerWord(asked: Uint8Array, line: ClientLine): Answer {
    const { connection } = line;
    if (connection !== null) connection.packetsReceived++;
    this.#peer.counters.packetsReceived++;
    const answer = this.#words.answer(asked, line.secure);
    this.#peer.counters.packetsSent++;
    return answer;
  }

  // ---------------------------------------------------------------------------------------- turns

  tick(): void {
    const monoMs = this.#clock.monotonicMs();
    this.#peer.step({ kind: "tick", wallMs: Math.floor(this.#clock.wallMs()), monoMs });
    if (monoMs >= this.#lookAtMs) this.#endOverdue(monoMs);
    this.#notes.settle(monoMs);
    this.turn();
    if (this.#peer.isBehind && !this.#ticksOn) {
      this.#ticksOn = true;
      this.#clock.after(0, () => {
        this.#ticksOn = false;
        this.tick();
      });
    }
  }

  #endOverdue(monoMs: number): void {
    this.#lookAtMs = monoMs + lookMs;
    for (const line of this.#lines) {
      if (!line.isOverdue(monoMs, this.limits.sessionlessMsMax)) continue;
      if (!line.spoke) this.count("sessionless");
      line.destroy();
    }
  }

  #stored(): void {
    this.#working = false;
    this.#peer.step({
      kind: "stored",
      wallMs: Math.floor(this.#clock.wallMs()),
      monoMs: this.#clock.monotonicMs(),
    });
    this.turn();
  }

  #durable(last: Zxid): void {
    this.#working = false;
    this.#peer.step({
      kind: "durable",
      last,
      wallMs: Math.floor(this.#clock.wallMs()),
      monoMs: this.#clock.monotonicMs(),
    });
    this.turn();
  }

  /** Told each time clients begin to be served. */
  onServing(call: (mode: string) => void): void {
    this.#servingCalls.push(call);
    if (this.#serving) call(this.#peer.mode);
  }

  /** Carries out what the steps since the last turn asked for, now or with what comes along. */
  turn(): void {
    const { monoMs } = this.#frame;
    if (monoMs > 0 && !this.#turning) this.#spend(this.#clock.monotonicMs() - monoMs);
    this.#frame.monoMs = 0;
    if (this.#turnComes || this.#turning) return;
    if (this.#others === null || this.#peer.inFlight < sharedTurnTxnsMin) return this.#turnNow();
    this.#turnComes = true;
    this.#clock.soon(this.#sharedTurn);
  }

  readonly #sharedTurn = (): void => {
    this.#turnComes = false;
    this.#turnNow();
  };

  #turnNow(): void {
    this.#frame.monoMs = 0;
    if (this.#turning) return;
    this.#turning = true;
    this.#drain();
    if (this.#peer.hasUntimedReads) this.#peer.timeReads(this.#clock.monotonicMs());
    if (this.#held.size > 0 && !this.#goesOn) this.#letGoOn();
    this.#untilMs = 0;
    this.#turning = false;
  }

  /** Held lines go on where there is room; those who ask much when others had their turn. */
  #letGoOn(): void {
    if (this.#untilMs === 0) this.#untilMs = this.#clock.monotonicMs() + turnMsMax;
    while (this.#clock.monotonicMs() < this.#untilMs) if (!this.#releaseHeld()) return;
    this.#goesOn = true;
    this.#clock.soon(this.#heldTurn);
  }

  readonly #heldTurn = (): void => {
    this.#goesOn = false;
    this.#turnNow();
  };

  #drain(): void {
    const { outbox } = this.#peer;
    // Proposals and acknowledgements first: the others' disks work while ours does.
    if (this.#others !== null) {
      this.#others.drain();
      if (outbox.logReads.length > 0) this.#readLogs();
    }
    this.#work();
    const { dirty, closing, notes } = outbox;
    for (const connection of dirty) {
      connection.dirty = false;
      const line = this.#lineOf.get(connection);
      if (line === undefined) {
        connection.flow.drop();
        continue;
      }
      line.flush();
      if (line.isHeld) this.#held.add(line);
    }
    dirty.length = 0;
    for (const connection of closing) {
      const line = this.#lineOf.get(connection);
      this.#lineOf.delete(connection);
      if (connection.isCut) {
        this.count("dropped");
        line?.destroy();
      } else line?.end();
    }
    closing.length = 0;
    if (notes.length > 0) {
      const monoMs = this.#clock.monotonicMs();
      for (const note of notes) this.#notes.write(note, monoMs);
      notes.length = 0;
    }
    if (outbox.committed) {
      outbox.committed = false;
      this.#storage.committed(this.#peer.zxid);
    }
    if (this.#peer.serving !== this.#serving) {
      this.#serving = !this.#serving;
      if (this.#serving) { for (const call of this.#servingCalls) call(this.#peer.mode); }
    }
    if (this.#peer.inFlight === 0) { for (const waiter of this.#idleWaiters.splice(0)) waiter(); }
  }

  #work(): void {
    if (this.#working || this.#stopped) return;
    const command = this.#peer.takeDisk();
    if (command === null) return;
    this.#working = true;
    switch (command.kind) {
      case "append":
        return this.#storage.append(
          command.bytes,
          command.first,
          command.last,
          command.txns,
          command.committed,
        );
      case "reload":
        this.#storage.reload(this.#peer.reloader()).then(
          () => this.#stored(),
          (error: unknown) => this.#fatal(`Cannot read the disk again: ${String(error)}`),
        );
        return;
      default:
        return this.#storage.execute(command);
    }
  }

  #readLogs(): void {
    const { logReads } = this.#peer.outbox;
    for (const { read, after, upTo } of logReads) {
      this.#storage.readLog(after, upTo).then(
        (chunk) => {
          this.#peer.step({
            kind: "logChunk",
            read,
            chunk,
            wallMs: Math.floor(this.#clock.wallMs()),
            monoMs: this.#clock.monotonicMs(),
          });
          this.turn();
        },
        (error: unknown) =>
          this.#logger.error("log_unread", `Cannot read the log for a learner: ${String(error)}`),
      );
    }
    logReads.length = 0;
  }

  /** Lets held lines go on where there is room, each in its turn. True: some did. */
  #releaseHeld(): boolean {
    let moved = false;
    for (const line of [...this.#held]) {
      this.#held.delete(line);
      if (this.#readsGoOn(line) || line.release()) moved = true;
      if (line.isHeld) this.#held.add(line);
      if (moved && this.#clock.monotonicMs() >= this.#untilMs) break;
    }
    this.#frame.monoMs = 0;
    if (moved) this.#drain();
    return moved;
  }

  /** Reads that waited in the core for the client to take what it was sent. True: some went on. */
  #readsGoOn({ connection }: ClientLine): boolean {
    if (connection === null || !connection.order.isReady) return false;
    if (connection.flow.owed > replyBytesPause) return false;
    this.#peer.step({
      kind: "clientDrained",
      connection: connection.number,
      wallMs: Math.floor(this.#clock.wallMs()),
      monoMs: this.#clock.monotonicMs(),
    });
    return true;
  }

  // ------------------------------------------------------------------------------------------ end

  /** No batch goes to the disk any more. */
  stopAppending(): void {
    this.#stopped = true;
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    if (this.#peer.inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  closeLines(): void {
    for (const line of [...this.#lines]) line.end();
  }

  destroyLines(): void {
    for (const line of [...this.#lines]) line.destroy();
  }
}
