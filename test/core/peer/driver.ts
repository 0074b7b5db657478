/**
 * Driver: a whole peer without a shell, for tests.
 *
 * It plays the server's loop with fake time and a fake disk: batches are taken when the test says so
 * and become durable when the test says so. What a peer sent to each client is kept as frames.
 */
import type { Connection } from "../../../src/core/peer/connection.ts";
import type { Note } from "../../../src/core/peer/outbox.ts";
import { lengthsOf } from "../../../src/core/base/limits.ts";
import { Peer, type PeerOptions } from "../../../src/core/peer/peer.ts";
import type { Loader } from "../../../src/core/peer/loader.ts";
import type { JudgeOptions } from "../../../src/core/ops/judge.ts";
import type { StatStored } from "../../../src/core/tree/stat.ts";
import { I, rootRow } from "../../../src/core/tree/tree.ts";
import type { AppendBatch } from "../../../src/core/zab/ledger.ts";
import type { Zxid } from "../../../src/core/base/zxid.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { type ConnectReply, readConnectReply, readReplyHeader } from "../../../src/core/wire/replies.ts";
import { writeConnectRequest, writeRequestHeader } from "../../../src/core/wire/requests.ts";
import { Writer } from "../../../src/core/wire/writer.ts";

type Loose<T> = { readonly [K in keyof T]?: T[K] };

export type DriverOptions = Loose<Omit<PeerOptions, "judge">> & { readonly judge?: Loose<JudgeOptions> };

export const bornWallMs = 1_700_000_000_000;
export const bornMonoMs = 1_000;

export function peerOptions(options: DriverOptions = {}): PeerOptions {
  return {
    serverId: 1,
    tickMs: 2000,
    sessionTimeoutMsMin: 4000,
    sessionTimeoutMsMax: 40_000,
    digestEnabled: true,
    reaper: { checkMs: 60_000, perMinuteMax: 10_000, neverUsedMs: 0 },
    enforceAuthSchemes: [],
    outstandingMax: 1000,
    watchesPerConnectionMax: 1_000_000,
    watchesMax: 2_000_000,
    bornWallMs,
    bornMonoMs,
    hashSeed: 0,
    lengths: lengthsOf(),
    ...options,
    judge: {
      extendedTypes: true,
      skipAcl: false,
      enforceQuota: false,
      closeSessionTxn: true,
      auth: { superDigest: null, digestEnabled: true },
      ...options.judge,
    },
  };
}

/** One client's side. */
export class DriverLine {
  readonly connection: Connection;
  readonly #driver: Driver;
  #held: Uint8Array[] = [];
  /** The client takes nothing of what it is sent. */
  isSlow = false;
  /** Frames that came and were not taken, without their length. */
  frames: Uint8Array[] = [];
  /** The peer asked for the end. */
  closed = false;
  xidNext = 1;
  session: ConnectReply | null = null;

  constructor(driver: Driver, connection: Connection) {
    this.#driver = driver;
    this.connection = connection;
  }

  raw(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.goOn();
  }

  /** Gives the peer what was sent, as far as it may be taken; the rest waits, as in a socket. */
  goOn(): void {
    const { peer, wallMs, monoMs } = this.#driver;
    const { number: connection } = this.connection;
    while (this.#held.length > 0) {
      // The shell stops giving frames once it heard that the line is to be closed.
      if (this.closed || peer.connections[connection] !== this.connection) this.#held = [];
      else if (!peer.mayTake(this.connection)) break;
      const bytes = this.#held.shift();
      if (bytes === undefined) break;
      peer.step({ kind: "clientFrame", connection, bytes, start: 0, end: bytes.length, wallMs, monoMs });
      this.#driver.drain();
    }
    if (this.#held.length > 0) this.#driver.held.add(this);
    else this.#driver.held.delete(this);
  }

  connectRequest(sessionId = 0n, password: Uint8Array | null = null, timeoutMs = 10_000, zxidSeen = 0): void {
    const w = new Writer(64);
    const protocolVersion = 0;
    writeConnectRequest(w, { protocolVersion, zxidSeen, timeoutMs, sessionId, password, readOnly: false });
    this.raw(w.copy());
  }

  /** Sends a request; returns its xid. */
  send(op: number, body: (w: Writer) => void = () => {}, xid = this.xidNext++): number {
    const w = new Writer(128);
    writeRequestHeader(w, xid, op);
    body(w);
    this.raw(w.copy());
    return xid;
  }

  take(): Uint8Array[] {
    const taken = this.frames;
    this.frames = [];
    return taken;
  }

  /** Sends, lets everything become durable, and returns the reply with this xid. Earlier frames are dropped. */
  ask(op: number, body?: (w: Writer) => void): { err: number; zxid: number; reader: Reader } {
    const xid = this.send(op, body);
    this.#driver.settle();
    for (const frame of this.take()) {
      const reader = new Reader(frame);
      const header = readReplyHeader(reader);
      if (header.xid === xid) return { err: header.err, zxid: header.zxid, reader };
    }
    throw new Error(`No reply to op ${op}${this.closed ? ": the connection was closed" : ""}`);
  }

  /** The client goes away. */
  close(): void {
    const { peer, wallMs, monoMs } = this.#driver;
    this.#driver.lines.delete(this.connection);
    if (this.closed) return;
    this.closed = true;
    if (peer.connections[this.connection.number] !== this.connection) return;
    peer.step({ kind: "clientClosed", connection: this.connection.number, wallMs, monoMs });
    this.#driver.drain();
  }
}

export class Driver {
  readonly peer: Peer;
  wallMs = bornWallMs;
  monoMs = bornMonoMs;
  readonly lines = new Map<Connection, DriverLine>();
  /** Those that sent what was not taken yet. */
  readonly held = new Set<DriverLine>();
  #draining = false;
  /** All that became durable. */
  readonly log: Uint8Array<ArrayBuffer>[] = [];
  readonly notes: Note[] = [];
  #appending: AppendBatch | null = null;

  /** `load` stands for the disk. */
  constructor(options: DriverOptions = {}, load?: (loader: Loader, peer: Peer) => Zxid) {
    this.peer = new Peer(peerOptions(options));
    const zxid = load === undefined ? (0 as Zxid) : load(this.peer.loader(), this.peer);
    this.peer.begin({ zxidLast: zxid }, this.monoMs);
  }

  open(address = "10.0.0.1"): DriverLine {
    const connection = this.peer.open(address, 40_000, false, this.monoMs);
    const line = new DriverLine(this, connection);
    this.lines.set(connection, line);
    return line;
  }

  /** A peer that starts from these batches, and from the znodes of a fresh database as storage has them. */
  static from(log: readonly Uint8Array[], zxid: Zxid, options: DriverOptions = {}): Driver {
    return new Driver(options, (loader, peer) => {
      peer.tree.makeReserved();
      for (const batch of log) loader.batch(batch);
      return zxid;
    });
  }

  /** A line with a session. */
  connect(timeoutMs = 10_000, address?: string): DriverLine {
    const line = this.open(address);
    line.connectRequest(0n, null, timeoutMs);
    this.settle();
    const frame = line.take()[0];
    if (frame === undefined) throw new Error("No ConnectResponse came");
    line.session = readConnectReply(new Reader(frame));
    return line;
  }

  /** A second line for the session of a first. */
  reattach(session: ConnectReply): { line: DriverLine; reply: ConnectReply } {
    const line = this.open();
    line.connectRequest(session.sessionId, session.password);
    const frame = line.take()[0];
    if (frame === undefined) throw new Error("No ConnectResponse came");
    const reply = readConnectReply(new Reader(frame));
    line.session = reply;
    return { line, reply };
  }

  /** Gives the next batch to the disk, unless it is busy. */
  append(): boolean {
    if (this.#appending !== null) return false;
    const command = this.peer.takeDisk();
    if (command !== null && command.kind !== "append") {
      throw new Error(`A peer alone asked for ${command.kind}`);
    }
    this.#appending = command;
    return this.#appending !== null;
  }

  /** The batch that the disk has is durable. */
  durable(): boolean {
    const batch = this.#appending;
    if (batch === null) return false;
    this.#appending = null;
    this.log.push(batch.bytes);
    this.peer.step({ kind: "durable", last: batch.last, wallMs: this.wallMs, monoMs: this.monoMs });
    this.drain();
    return true;
  }

  get appendingLast(): number | null {
    return this.#appending?.last ?? null;
  }

  /** Everything in flight becomes durable, and what that causes too. */
  settle(): void {
    for (let i = 0; i < 1000; i++) {
      const moved = this.append();
      if (!this.durable() && !moved) return;
    }
    throw new Error("Something is always in flight");
  }

  tick(ms = 0): void {
    this.wallMs += ms;
    this.monoMs += ms;
    this.peer.step({ kind: "tick", wallMs: this.wallMs, monoMs: this.monoMs });
    this.drain();
  }

  /** As the loop does after every turn. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    const { peer, wallMs, monoMs } = this;
    const { dirty, closing, notes } = peer.outbox;
    for (let connection = dirty.shift(); connection !== undefined; connection = dirty.shift()) {
      connection.dirty = false;
      const line = this.lines.get(connection);
      if (line?.isSlow === true) continue;
      for (const frame of framesOf(connection.flow.takeAll())) line?.frames.push(frame);
      if (!connection.order.isReady) continue;
      peer.step({ kind: "clientDrained", connection: connection.number, wallMs, monoMs });
    }
    this.#draining = false;
    for (const connection of closing) {
      const line = this.lines.get(connection);
      if (line !== undefined) line.closed = true;
      this.lines.delete(connection);
    }
    closing.length = 0;
    this.notes.push(...notes);
    notes.length = 0;
    for (const line of this.held) if (peer.mayTake(line.connection)) line.goOn();
  }
}

/** The payloads of whole frames. */
export function framesOf(bytes: Uint8Array): Uint8Array[] {
  const reader = new Reader(bytes);
  const frames: Uint8Array[] = [];
  while (reader.left > 0) {
    const frame = reader.buffer();
    if (frame === null || reader.failed) throw new Error("The peer wrote half a frame");
    frames.push(frame);
  }
  return frames;
}

/** The txns of a batch, each without its length. */
export function txnsOf(batch: Uint8Array): Uint8Array[] {
  return framesOf(batch);
}

/** The tree as storage would hand it over: parents first. storage/storage.ts tells the layout. */
export function rowsOf({ tree }: Peer): Uint8Array {
  const w = new Writer(1024);
  const stat: StatStored = {
    czxid: 0,
    mzxid: 0,
    pzxid: 0,
    ctime: 0,
    mtime: 0,
    version: 0,
    cversion: 0,
    aversion: 0,
    ownerHi: 0,
    ownerLo: 0,
  };
  const rows = [rootRow];
  for (const row of rows) {
    tree.readStat(row, stat);
    w.string(tree.pathOf(row));
    w.buffer(tree.dataOf(row));
    for (const value of [stat.czxid, stat.mzxid, stat.ctime, stat.mtime]) w.i64FromNumber(value);
    for (const value of [stat.version, stat.cversion, stat.aversion, stat.ownerHi, stat.ownerLo]) {
      w.i32(value);
    }
    w.i64FromNumber(stat.pzxid);
    const acl = tree.int(row, I.acl);
    w.buffer(acl === 0 ? new Uint8Array(0) : tree.acls.bytes(acl));
    for (let child = tree.int(row, I.childFirst); child !== 0; child = tree.int(child, I.siblingNext)) {
      rows.push(child);
    }
  }
  return w.copy();
}
