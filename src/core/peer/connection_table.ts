/**
 * Connection table: who is connected, by number, and how much they are owed.
 *
 * Events can't be held back as requests can. So when what all clients left unread is too much, those
 * are cut off that are furthest behind.
 *
 * A number is small and is used again, because watches and txns in flight name connections by it; so
 * it is given out again only when nothing in flight names it any more.
 *
 * Always true: `outstanding` is the sum over all orders, `waitingBytes` the bytes of what waits there.
 */
import { assert } from "../base/assert.ts";
import { unsentBytesMax, unsentBytesPause, unsentTotalMax, unsentTotalPause } from "../base/limits.ts";
import type { Piece } from "../base/piece.ts";
import type { Listener, Listeners } from "../ops/applier.ts";
import type { WatchTable } from "../watch/table.ts";
import type { Writer } from "../wire/writer.ts";
import type { Waiting } from "./client_order.ts";
import { Connection, ConnectionState } from "./connection.ts";
import type { PeerCounters } from "./counters.ts";
import type { Outbox } from "./outbox.ts";
import { UnsentTotal } from "./outflow.ts";

/** So many watches are taken away in a few milliseconds. */
const watchesRemovedAtOnce = 4000;

export class ConnectionTable implements Listeners {
  /** By number; 0 is nobody. */
  readonly list: (Connection | null)[] = [null];
  count = 0;
  /** Requests without an answer. */
  outstanding = 0;
  /** Bytes of the reads among them, which wait behind writes. */
  waitingBytes = 0;
  /** What clients did not take yet. */
  readonly unsent = new UnsentTotal();
  readonly #numbersFree: number[] = [];
  readonly #outbox: Outbox;
  readonly #counters: PeerCounters;
  readonly #watches: readonly WatchTable[];
  /** Their lines are over, and they have watches left. */
  readonly #leaving: Connection[] = [];

  constructor(outbox: Outbox, counters: PeerCounters, watches: readonly WatchTable[]) {
    this.#outbox = outbox;
    this.#counters = counters;
    this.#watches = watches;
  }

  get(number: number): Connection | null {
    return this.list[number] ?? null;
  }

  open(address: string, port: number, secure: boolean, monoMs: number): Connection {
    const number = this.#numbersFree.pop() ?? this.list.length;
    const connection = new Connection(number, address, port, secure, this.unsent);
    connection.establishedMs = monoMs;
    this.list[number] = connection;
    this.count++;
    return connection;
  }

  // ----------------------------------------------------------------------------------- listening

  listener(number: number): Listener | null {
    const connection = this.get(number);
    return connection === null || connection.state === ConnectionState.Closed ? null : connection;
  }

  hear(number: number, event: Writer, shared: Piece | null): void {
    const connection = this.list[number] as Connection;
    connection.flow.hear(event, shared);
    connection.packetsSent++;
    this.#counters.packetsSent++;
    this.touch(connection);
  }

  // -------------------------------------------------------------------------------------- sending

  /** Something was written to this connection. */
  touch(connection: Connection): void {
    this.#outbox.touch(connection);
    connection.flow.count();
    if (connection.flow.owed > unsentBytesMax) this.#cut(connection);
    if (this.unsent.bytes > unsentTotalMax) this.#cutSlowest();
  }

  /** Has it taken enough of what it asked for to be given more? */
  hasRoom(connection: Connection): boolean {
    const { owed } = connection.flow;
    if (owed + connection.order.replyBytesWaiting > unsentBytesPause) return false;
    return owed === 0 || this.unsent.bytes <= unsentTotalPause;
  }

  #cutSlowest(): void {
    while (this.unsent.bytes > unsentTotalMax) {
      let slowest: Connection | null = null;
      for (const one of this.list) {
        if (one === null || one.state === ConnectionState.Closed) continue;
        if (slowest === null || one.flow.owed > slowest.flow.owed) slowest = one;
      }
      if (slowest === null || slowest.flow.owed === 0) return;
      this.#cut(slowest);
    }
  }

  #cut(connection: Connection): void {
    if (connection.state === ConnectionState.Closed) return;
    const { owed } = connection.flow;
    this.#counters.connectionsSlow++;
    this.#note(
      connection,
      "reader_slow",
      `Closed: the client left ${owed} bytes of replies and events unread, all clients together ${this.unsent.bytes}`,
    );
    this.close(connection);
  }

  /** There are more watches than all may have: whoever has most is cut off. Returns its number, or 0. */
  cutMostWatching(): number {
    let most: Connection | null = null;
    let weightMost = 0;
    for (const one of this.list) {
      if (one === null || one.state === ConnectionState.Closed) continue;
      const weight = this.#weightOf(one);
      if (weight <= weightMost) continue;
      weightMost = weight;
      most = one;
    }
    if (most === null) return 0;
    this.#counters.connectionsWatching++;
    this.#note(
      most,
      "watches_many",
      `Closed: there are too many watches, and with ${weightMost} this client has most of them`,
    );
    this.close(most);
    return most.number;
  }

  #weightOf({ number }: Connection): number {
    return this.#watches.reduce((sum, table) => sum + table.weightOf(number), 0);
  }

  #note(connection: Connection, event: string, message: string): void {
    this.#outbox.note("warn", event, message, { client: `${connection.address}:${connection.port}` });
  }

  // --------------------------------------------------------------------------------------- order

  pushWrite(connection: Connection): void {
    connection.order.pushWrite();
    connection.writesInFlight++;
    this.outstanding++;
  }

  /** One write of this connection is no longer in flight. */
  writeDone(connection: Connection): void {
    connection.writesInFlight--;
    if (connection.state !== ConnectionState.Closed) {
      connection.order.shiftWrite();
      this.outstanding--;
    }
    if (connection.state === ConnectionState.Closed) this.#recycleIfIdle(connection);
  }

  pushWaiting(connection: Connection, waiting: Waiting): void {
    connection.order.pushWaiting(waiting);
    this.outstanding++;
    this.waitingBytes += waiting.end - waiting.start;
  }

  /** The request whose turn it is, if it is one that waited; else null. */
  shiftWaiting(connection: Connection): Waiting | null {
    const waiting = connection.order.shiftWaiting();
    if (waiting === null) return null;
    this.outstanding--;
    this.waitingBytes -= waiting.end - waiting.start;
    return waiting;
  }

  // ------------------------------------------------------------------------------------- the end

  /** Asks the shell to send what is there and then to close. The session lives on. */
  close(connection: Connection): void {
    if (connection.state === ConnectionState.Closed) return;
    // Nobody waits for a client to take what it did not take before.
    if (connection.flow.owed > unsentBytesPause) {
      connection.isCut = true;
      connection.flow.drop();
    }
    this.forget(connection);
    this.#outbox.closing.push(connection);
  }

  /** The line is gone: its watches go with it, its session does not. */
  forget(connection: Connection): void {
    connection.state = ConnectionState.Closed;
    if (!this.#unwatch(connection)) {
      connection.isTidied = false;
      this.#leaving.push(connection);
    }
    const { session } = connection;
    if (session !== null && session.connection === connection.number) session.connection = 0;
    this.count--;
    connection.flow.retire();
    this.outstanding -= connection.order.outstanding;
    connection.order.drop((waiting) => this.waitingBytes -= waiting.end - waiting.start);
    // Commits of what went to the leader find their way by session and cxid, not by this number.
    if (connection.forwarded.length > 0) {
      connection.writesInFlight = 0;
      connection.forwarded = [];
    }
    this.#recycleIfIdle(connection);
  }

  /** Our part in the ensemble ends: every line that had a part in it with it, and nothing in flight names one any more. */
  closeAll(): void {
    for (const connection of this.list) {
      if (connection !== null && connection.state !== ConnectionState.Held) this.close(connection);
    }
    for (const connection of this.list) {
      if (connection === null) continue;
      connection.writesInFlight = 0;
      this.#recycleIfIdle(connection);
    }
  }

  /** Takes some of its watches away: a million at once would keep everybody waiting. True: it has no more. */
  #unwatch({ number }: Connection): boolean {
    let isDone = true;
    for (const table of this.#watches) {
      if (!table.removeConnection(number, watchesRemovedAtOnce)) isDone = false;
    }
    return isDone;
  }

  /** Goes on with what lines left behind; called at each step. */
  tidy(): void {
    const [connection] = this.#leaving;
    if (connection === undefined || !this.#unwatch(connection)) return;
    this.#leaving.shift();
    connection.isTidied = true;
    this.#recycleIfIdle(connection);
  }

  #recycleIfIdle(connection: Connection): void {
    if (connection.state !== ConnectionState.Closed || connection.writesInFlight > 0) return;
    if (!connection.isTidied) return;
    if (this.list[connection.number] !== connection) return;
    assert(connection.order.empty, "a closed connection without writes has nothing waiting");
    this.list[connection.number] = null;
    this.#numbersFree.push(connection.number);
  }
}
