/**
 * Seat: one real peer with a small disk, whose shell, network and time are the test's.
 *
 * After each step the outbox is carried out through the `on…` methods. Disk commands are done at once
 * unless `holdsDisk` is set; then `disk()` does one.
 */
import type { Lengths } from "../../../src/core/base/limits.ts";
import { MajorityQuorum } from "../../../src/core/base/quorum.ts";
import type { Connection } from "../../../src/core/peer/connection.ts";
import type { PeerEvent } from "../../../src/core/peer/events.ts";
import type { Note } from "../../../src/core/peer/outbox.ts";
import { Peer } from "../../../src/core/peer/peer.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { type ConnectReply, readConnectReply, readReplyHeader } from "../../../src/core/wire/replies.ts";
import { writeConnectRequest, writeRequestHeader } from "../../../src/core/wire/requests.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import type { DiskCommand, LogRead } from "../../../src/core/zab/disk.ts";
import type { EnsembleOptions } from "../../../src/core/zab/ensemble.ts";
import type { Link } from "../../../src/core/zab/link.ts";
import { framesOf, peerOptions } from "../peer/driver.ts";
import { SmallDisk } from "./small_disk.ts";

export interface SeatOptions {
  readonly sid: number;
  readonly voters?: readonly number[];
  readonly observers?: readonly number[];
  readonly store?: SmallDisk;
  readonly tickMs?: number;
  readonly digestEnabled?: boolean;
  readonly lengths?: Lengths;
  readonly ensemble?: Partial<EnsembleOptions>;
  readonly wallMs?: number;
  readonly monoMs?: number;
}

type WithoutTime<T> = T extends unknown ? Omit<T, "wallMs" | "monoMs"> : never;
export type SeatEvent = WithoutTime<PeerEvent>;

export const seatTickMs = 1000;

/** One client, at one connection. */
export class SeatClient {
  readonly seat: Seat;
  readonly connection: Connection;
  frames: Uint8Array[] = [];
  closed = false;
  /** It takes nothing of what it is sent. */
  isSlow = false;
  #held: Uint8Array[] = [];
  #xidNext = 1;

  constructor(seat: Seat, connection: Connection) {
    this.seat = seat;
    this.connection = connection;
  }

  raw(bytes: Uint8Array): void {
    if (this.closed) return;
    this.#held.push(bytes);
    this.goOn();
  }

  /** Gives the peer what was sent, as far as it may be taken; the rest waits, as in a socket. */
  goOn(): void {
    const { number: connection } = this.connection;
    while (this.#held.length > 0 && !this.closed && this.seat.peer.mayTake(this.connection)) {
      const bytes = this.#held.shift() as Uint8Array;
      this.seat.step({ kind: "clientFrame", connection, bytes, start: 0, end: bytes.length });
    }
  }

  connect(sessionId = 0n, password: Uint8Array | null = null, timeoutMs = 10_000): void {
    const w = new Writer(64);
    const protocolVersion = 0;
    writeConnectRequest(w, { protocolVersion, zxidSeen: 0, timeoutMs, sessionId, password, readOnly: false });
    this.raw(w.copy());
  }

  /** The ConnectResponse that came; null while there is none. */
  get session(): ConnectReply | null {
    const frame = this.frames[0];
    return frame === undefined ? null : readConnectReply(new Reader(frame));
  }

  send(op: number, body: Uint8Array, xid = this.#xidNext++): number {
    const w = new Writer(128);
    writeRequestHeader(w, xid, op);
    w.raw(body);
    this.raw(w.copy());
    return xid;
  }

  /** The replies so far behind the ConnectResponse: `xid` and error code. */
  get replies(): { readonly xid: number; readonly err: number; readonly zxid: number }[] {
    return this.frames.slice(1).map((frame) => {
      const { xid, err, zxid } = readReplyHeader(new Reader(frame));
      return { xid, err, zxid };
    });
  }

  leave(): void {
    if (this.closed) return;
    this.closed = true;
    this.seat.clients.delete(this.connection);
    this.seat.step({ kind: "clientClosed", connection: this.connection.number });
  }
}

export class Seat {
  readonly sid: number;
  readonly store: SmallDisk;
  readonly peer: Peer;
  wallMs: number;
  monoMs: number;
  readonly notes: Note[] = [];
  readonly votes: { readonly to: number; readonly bytes: Uint8Array }[] = [];
  readonly clients = new Map<Connection, SeatClient>();
  /** Every command that was taken, in order. */
  readonly commands: DiskCommand[] = [];
  holdsDisk = false;
  #underWay: DiskCommand | null = null;

  constructor(options: SeatOptions) {
    const { sid, voters = [1, 2, 3], observers = [], tickMs = seatTickMs } = options;
    this.sid = sid;
    this.store = options.store ?? new SmallDisk();
    this.wallMs = options.wallMs ?? 1_700_000_000_000;
    this.monoMs = options.monoMs ?? 1000;
    const members = [...voters, ...observers];
    this.peer = new Peer({
      ...peerOptions({
        serverId: sid,
        tickMs,
        sessionTimeoutMsMin: tickMs * 2,
        sessionTimeoutMsMax: tickMs * 20,
        digestEnabled: options.digestEnabled ?? true,
        bornWallMs: this.wallMs,
        bornMonoMs: this.monoMs,
        ...options.lengths === undefined ? {} : { lengths: options.lengths },
      }),
      ensemble: {
        sid,
        observer: observers.includes(sid),
        members,
        quorum: new MajorityQuorum(voters),
        configText: [
          ...members.map((one) =>
            `server.${one}=10.0.0.${one}:2888:3888:${observers.includes(one) ? "observer" : "participant"}`
          ),
          "version=0",
        ].join("\n"),
        configVersion: 0,
        initLimit: 10,
        syncLimit: 5,
        leaderServes: true,
        settleMs: 50,
        notificationMsMin: 200,
        notificationMsMax: 1000,
        observerElectionDelayMs: 0,
        historyTxnsMin: 500,
        historyBytesMax: 1 << 20,
        snapshotSizeFactor: 0.33,
        snapSyncsMax: 10,
        diffSyncsMax: 100,
        observerMasters: false,
        ...options.ensemble,
      },
    });
  }

  /** Reads the disk and takes part. */
  begin(): void {
    this.peer.begin(this.store.fill(this.peer.loader()), this.monoMs);
    this.turn();
  }

  step(event: SeatEvent): void {
    this.peer.step({ ...event, wallMs: this.wallMs, monoMs: this.monoMs });
    this.turn();
  }

  tick(ms = 0): void {
    this.wallMs += ms;
    this.monoMs += ms;
    this.step({ kind: "tick" });
  }

  // ---------------------------------------------------------------------------------- the shell

  onLinkBytes(_link: Link, _bytes: Uint8Array): void {}
  onLinkClosing(_link: Link): void {}
  onVote(to: number, bytes: Uint8Array): void {
    this.votes.push({ to, bytes });
  }
  onNote(note: Note): void {
    this.notes.push(note);
  }
  onClientBytes(client: SeatClient, bytes: Uint8Array): void {
    client.frames.push(...framesOf(bytes));
  }
  onClientClosing(client: SeatClient): void {
    client.closed = true;
    this.clients.delete(client.connection);
  }
  onDisk(command: DiskCommand): void {
    this.#underWay = command;
    if (!this.holdsDisk) this.disk();
  }
  onLogRead({ read, after, upTo }: LogRead): void {
    this.step({ kind: "logChunk", read, chunk: this.store.chunk(after, upTo) });
  }

  /** The command that the disk has is done. Returns its kind, or null where there is none. */
  disk(): DiskCommand["kind"] | null {
    const command = this.#underWay;
    if (command === null) return null;
    this.#underWay = null;
    const done = this.store.apply(command);
    if (command.kind === "reload") this.store.fill(this.peer.reloader());
    this.step(done);
    return command.kind;
  }

  get diskBusy(): DiskCommand["kind"] | null {
    return this.#underWay?.kind ?? null;
  }

  /** As the loop does after each event. */
  turn(): void {
    const { outbox } = this.peer;
    for (const note of outbox.notes.splice(0)) this.onNote(note);
    for (const { to, bytes } of outbox.votes.splice(0)) this.onVote(to, bytes);
    for (const link of outbox.linksDirty.splice(0)) {
      link.dirty = false;
      const bytes = link.out.copy();
      link.out.clear();
      if (bytes.length > 0) this.onLinkBytes(link, bytes);
    }
    for (const link of outbox.linksClosing.splice(0)) this.onLinkClosing(link);
    for (const connection of outbox.dirty.splice(0)) {
      connection.dirty = false;
      const client = this.clients.get(connection);
      if (client?.isSlow === true) continue;
      const bytes = connection.flow.takeAll();
      if (client !== undefined) this.onClientBytes(client, bytes);
      if (connection.order.isReady) this.step({ kind: "clientDrained", connection: connection.number });
    }
    for (const connection of outbox.closing.splice(0)) {
      const client = this.clients.get(connection);
      if (client !== undefined) this.onClientClosing(client);
    }
    const reads = outbox.logReads.splice(0);
    if (this.#underWay === null) {
      const command = this.peer.takeDisk();
      if (command !== null) {
        this.commands.push(command);
        this.onDisk(command);
      }
    }
    for (const read of reads) this.onLogRead(read);
    for (const client of this.clients.values()) client.goOn();
  }

  // ---------------------------------------------------------------------------------- clients

  client(): SeatClient {
    const connection = this.peer.open("10.1.0.1", 40_000, false, this.monoMs);
    const client = new SeatClient(this, connection);
    this.clients.set(connection, client);
    return client;
  }

  /** Events of the notes so far, for what an operator was told. */
  get told(): string[] {
    return this.notes.map(({ event }) => event);
  }

  note(event: string): Note {
    const note = this.notes.findLast((one) => one.event === event);
    if (note === undefined) throw new Error(`Nobody was told of ${event}: ${this.told.join(", ")}`);
    return note;
  }
}
