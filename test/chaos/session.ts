/**
 * Session: a client that keeps its session over whatever happens to servers, and holds every server it
 * meets to what it promises one client.
 *
 * Written on frames and not on our client library, so that both do not share a mistake. Replies come
 * in the order of requests; their zxids never fall, over reconnects and moves too; the session that
 * is taken up again is the one that was asked for. A request ends with a reply or as lost, never with
 * an exception; one that is lost may have happened.
 *
 * Watches that are set are asked for again with the first frame of a new connection.
 */
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readMultiReply } from "../../src/core/wire/replies.ts";
import { connectFrame, noBody, requestFrame, setWatchesBody } from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import { WireConnection } from "../support/wire_connection.ts";
import { decodeConnectReply, decodeEvent, decodeReply, type WireEvent } from "../support/wire_session.ts";
import type { Judge } from "./judge.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Reply {
  readonly kind: "reply";
  /** Of a multi that failed: why. */
  readonly err: number;
  readonly zxid: bigint;
  readonly body: Uint8Array;
  readonly sentMs: number;
}

export type Answer = Reply | { readonly kind: "lost" };

interface Pending {
  readonly xid: number;
  readonly op: number;
  readonly sentMs: number;
  readonly resolve: (answer: Answer) => void;
  readonly seen: ((answer: Reply) => void) | undefined;
}

const connectMsMax = 700;
const handshakeMsMax = 2000;
const watchMs = 50;
/** Between attempts to connect: short, so that what is measured is the servers' own time. */
const pauseMs = 15;

/** After a client stood still, until its session counts as kept alive by what it asks. */
const trustMs = 1500;

const lost: Answer = { kind: "lost" };

export class ChaosSession {
  readonly name: string;
  readonly judge: Judge;
  /** 0 while there is none. */
  id = 0n;
  timeoutMs: number;
  zxidSeen = 0n;
  /** When a request was sent that a quorum then answered: the session lived that long at least. */
  confirmedMs = -Infinity;
  /** Called for each watch event, before any frame behind it is looked at. */
  onEvent: (event: WireEvent) => void = () => {};
  /** The data watches that the server holds for this session, as far as known. */
  readonly watches = new Set<string>();
  readonly #addresses: readonly Address[];
  readonly #random: Random;
  readonly #timeoutMsWanted: number;
  #password: Uint8Array = new Uint8Array(16);
  #connection: WireConnection | null = null;
  #pending: Pending[] = [];
  #xid = 0;
  #heardMs = 0;
  #sentMs = 0;
  #at = 0;
  #dozeEndMs = 0;
  #trustedFromMs = 0;
  #closing = false;
  #wakers: (() => void)[] = [];
  #running: Promise<void>;

  constructor(
    start: {
      readonly name: string;
      readonly judge: Judge;
      readonly addresses: readonly Address[];
      readonly random: Random;
      readonly timeoutMs: number;
    },
  ) {
    this.name = start.name;
    this.judge = start.judge;
    this.#addresses = start.addresses;
    this.#random = start.random;
    this.#timeoutMsWanted = start.timeoutMs;
    this.timeoutMs = start.timeoutMs;
    this.#at = start.random.below(start.addresses.length);
    this.#running = this.#run();
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  /** Waits for a connection; false when there is none in time. */
  async connected(limitMs: number): Promise<boolean> {
    const until = performance.now() + limitMs;
    while (this.#connection === null && !this.#closing) {
      const left = until - performance.now();
      if (left <= 0) return false;
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([
        new Promise<void>((resolve) => this.#wakers.push(resolve)),
        new Promise<void>((resolve) => timer = setTimeout(resolve, left)),
      ]);
      clearTimeout(timer);
    }
    return this.#connection !== null;
  }

  /** `seen` is called with a reply before any frame behind it is looked at. */
  request(op: number, body: Uint8Array = noBody, seen?: (answer: Reply) => void): Promise<Answer> {
    const connection = this.#connection;
    if (connection === null) return Promise.resolve(lost);
    return this.#send(connection, ++this.#xid, op, body, seen);
  }

  /** Cuts the connection as a network would; the session is taken up again elsewhere. */
  cut(): void {
    this.#connection?.destroy();
  }

  /** Says nothing for so long, as a client whose process stands still, and then goes on as if nothing was. */
  async doze(ms: number): Promise<void> {
    this.judge.dozes++;
    this.#dozeEndMs = performance.now() + ms;
    await sleep(ms);
    // A follower tells the leader of its sessions twice a tick: what was answered just now may be all
    // that happened since before the doze, and not told yet.
    this.#trustedFromMs = this.judge.nowMs + trustMs;
    // What it has heard last seems to be of just now, so the old connection is tried first.
    this.#heardMs = performance.now();
  }

  /** Leaves without a word: the session is left to its timeout. */
  async abandon(): Promise<void> {
    this.#closing = true;
    this.cut();
    await this.#running;
  }

  /** Ends the session in order, if a server can be reached. */
  async close(): Promise<void> {
    if (this.#connection !== null) {
      const closed = this.request(OpCode.CloseSession);
      await Promise.race([closed, sleep(3000)]);
    }
    await this.abandon();
  }

  #send(
    connection: WireConnection,
    xid: number,
    op: number,
    body: Uint8Array,
    seen?: (answer: Reply) => void,
  ): Promise<Answer> {
    return new Promise((resolve) => {
      this.#pending.push({ xid, op, sentMs: this.judge.nowMs, resolve, seen });
      this.#sentMs = performance.now();
      connection.write(requestFrame(xid, op, body));
    });
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      if (performance.now() < this.#dozeEndMs) {
        await sleep(watchMs);
        continue;
      }
      const address = this.#addresses[this.#at++ % this.#addresses.length] as Address;
      let connection: WireConnection;
      try {
        connection = await WireConnection.open(address.port, connectMsMax, address.host);
      } catch {
        // Nobody there, or nobody who answers: the next one, soon.
        await sleep(pauseMs);
        continue;
      }
      if (await this.#shakeHands(connection)) await this.#serve(connection);
      connection.destroy();
      await sleep(this.#random.below(pauseMs));
    }
  }

  async #shakeHands(connection: WireConnection): Promise<boolean> {
    const asked = this.id;
    connection.write(connectFrame({
      timeoutMs: this.#timeoutMsWanted,
      sessionId: asked,
      password: this.#password,
      lastZxidSeen: this.zxidSeen,
      readOnly: false,
    }));
    const ready = await connection.waitUntil(
      () => connection.frames.length > 0 || connection.closed,
      handshakeMsMax,
    );
    const frame = ready ? connection.frames.shift() : undefined;
    if (frame === undefined) return false;
    const reply = decodeConnectReply(frame);
    if (reply === null) {
      this.#complain("an answer to a handshake that is none");
      return false;
    }
    if (reply.timeoutMs <= 0 || reply.sessionId === 0n) {
      this.#expire();
      return false;
    }
    if (asked !== 0n && reply.sessionId !== asked) {
      this.#complain(
        `session 0x${asked.toString(16)} was asked for, 0x${reply.sessionId.toString(16)} given`,
      );
    }
    this.id = reply.sessionId;
    this.timeoutMs = reply.timeoutMs;
    this.#password = Uint8Array.from(reply.password);
    if (asked !== 0n) this.judge.reconnects++;
    return true;
  }

  #expire(): void {
    // The leader hears of a session with the pings of whom it is connected to, so up to two ticks may
    // be missing to what the client knows; see `expiryMarginMs`.
    const quietMs = this.judge.nowMs - this.confirmedMs;
    if (this.id !== 0n && quietMs < this.timeoutMs - expiryMarginMs(this.timeoutMs)) {
      this.#complain(
        `session 0x${this.id.toString(16)} of ${this.timeoutMs} ms expired ${
          quietMs.toFixed(0)
        } ms after a request that a quorum answered`,
      );
    }
    this.judge.expired++;
    this.id = 0n;
    this.#password = new Uint8Array(16);
    this.zxidSeen = 0n;
    this.confirmedMs = -Infinity;
    this.watches.clear();
  }

  async #serve(connection: WireConnection): Promise<void> {
    this.#heardMs = performance.now();
    connection.onFrame = (frame) => this.#received(connection, frame);
    for (const frame of connection.frames.splice(0)) this.#received(connection, frame);
    if (this.watches.size > 0) {
      const body = setWatchesBody(this.zxidSeen, [[...this.watches], [], []]);
      void this.#send(connection, -8, OpCode.SetWatches, body);
    }
    this.#connection = connection;
    this.#wake();
    while (!connection.closed && !this.#closing) {
      await connection.waitUntil(() => connection.closed || this.#closing, watchMs);
      const now = performance.now();
      if (now < this.#dozeEndMs) continue;
      // A client gives a server up after two thirds of its session, so that there is time for another.
      if (now - this.#heardMs > this.timeoutMs * 2 / 3) break;
      if (now - this.#sentMs > this.timeoutMs / 4) void this.#send(connection, -2, OpCode.Ping, noBody);
    }
    this.#connection = null;
    connection.onFrame = () => {};
    connection.destroy();
    const pending = this.#pending.splice(0);
    for (const one of pending) {
      if (one.xid > 0) this.judge.lost++;
      one.resolve(lost);
    }
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  #received(connection: WireConnection, frame: Uint8Array): void {
    if (connection !== this.#connection && this.#connection !== null) return;
    this.#heardMs = performance.now();
    const event = decodeEvent(frame);
    if (event !== null) {
      this.judge.watchEvents++;
      this.watches.delete(event.path);
      this.onEvent(event);
      return;
    }
    const reply = decodeReply(frame);
    const pending = this.#pending[0];
    if (reply === null || pending === undefined || reply.xid !== pending.xid) {
      this.#complain(`a reply with xid ${reply?.xid} while ${pending?.xid} was waited for`);
      connection.destroy();
      return;
    }
    this.#pending.shift();
    if (pending.op === OpCode.Ping) return pending.resolve(lost);
    if (reply.zxid < this.zxidSeen && pending.op !== OpCode.SetWatches) {
      this.#complain(
        `zxid 0x${reply.zxid.toString(16)} in the reply to op ${pending.op} (error ${reply.err}), after 0x${
          this.zxidSeen.toString(16)
        } had been seen`,
      );
    }
    if (reply.zxid > this.zxidSeen) this.zxidSeen = reply.zxid;
    const err = pending.op === OpCode.Multi ? failureOf(reply.err, reply.body) : reply.err;
    if (sessionEnds.has(err)) {
      // Not done, and told so; the connection ends and the handshake tells what became of the session.
      pending.resolve(lost);
      connection.destroy();
      return;
    }
    this.judge.answers++;
    if (isWriting(pending.op) && err === 0) {
      if (pending.sentMs >= this.#trustedFromMs) this.confirmedMs = pending.sentMs;
      this.judge.writeAcked(pending.sentMs);
    }
    const { sentMs } = pending;
    const answer: Reply = { kind: "reply", err, zxid: reply.zxid, body: reply.body, sentMs };
    pending.seen?.(answer);
    pending.resolve(answer);
  }

  #complain(sentence: string): void {
    this.judge.violation(`${this.name}: ${sentence}`);
  }
}

/** Errors after which a server closes the connection; the request was not done. */
const sessionEnds: ReadonlySet<number> = new Set([
  ErrorCode.SessionExpired,
  ErrorCode.SessionMoved,
  ErrorCode.ConnectionLoss,
]);

function isWriting(op: number): boolean {
  return op === OpCode.Create || op === OpCode.Create2 || op === OpCode.SetData || op === OpCode.Delete ||
    op === OpCode.Multi;
}

/** The error that made a multi fail: it stands in the results, also that the session is over. */
function failureOf(err: number, body: Uint8Array): number {
  for (const one of readMultiReply(new Reader(body))) {
    if (one.kind !== "error" || one.code === ErrorCode.Ok) continue;
    if (one.code !== ErrorCode.RuntimeInconsistency) return one.code;
  }
  return err;
}

/**
 * What may be missing to a session's time as the leader counts it. A follower tells it of sessions
 * twice a tick, and the last of these may be lost with the follower; the client asks often.
 */
export function expiryMarginMs(timeoutMs: number): number {
  return Math.min(1500, timeoutMs / 2);
}
