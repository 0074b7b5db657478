/**
 * Wire session: a minimal client for tests, with nothing between the test and the bytes.
 *
 * It shakes hands, numbers its requests and pairs each reply with the oldest request that has none:
 * replies come in request order, and a reply with another xid is a failure of the server. Watch
 * events go to `events`.
 */
import { Reader } from "../../src/core/wire/reader.ts";
import { connectFrame, type ConnectOptions, noBody, requestFrame } from "./bodies.ts";
import { within } from "./places.ts";
import { WireConnection } from "./wire_connection.ts";

export interface ConnectReply {
  readonly protocolVersion: number;
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  readonly password: Uint8Array;
  /** Undefined: the byte was not there. */
  readonly readOnly: boolean | undefined;
}

export interface WireReply {
  readonly xid: number;
  readonly zxid: bigint;
  readonly err: number;
  readonly body: Uint8Array;
}

export interface WireEvent {
  readonly zxid: bigint;
  readonly type: number;
  readonly state: number;
  readonly path: string;
}

export function decodeConnectReply(frame: Uint8Array): ConnectReply | null {
  const r = new Reader(frame);
  const protocolVersion = r.i32();
  const timeoutMs = r.i32();
  const sessionId = r.i64();
  const password = r.buffer() ?? new Uint8Array(0);
  const readOnly = r.left > 0 ? r.bool() : undefined;
  if (r.failed || r.left > 0) return null;
  return { protocolVersion, timeoutMs, sessionId, password, readOnly };
}

export function decodeReply(frame: Uint8Array): WireReply | null {
  const r = new Reader(frame);
  const xid = r.i32();
  const zxid = r.i64();
  const err = r.i32();
  return r.failed ? null : { xid, zxid, err, body: frame.subarray(16) };
}

/** The watch event in a frame, or null when it is something else. */
export function decodeEvent(frame: Uint8Array): WireEvent | null {
  const r = new Reader(frame);
  const xid = r.i32();
  const zxid = r.i64();
  const err = r.i32();
  const type = r.i32();
  const state = r.i32();
  const path = r.string();
  if (r.failed || r.left > 0 || xid !== -1 || err !== 0 || path === null) return null;
  return { zxid, type, state, path };
}

/**
 * The password that belongs to a session id: java.util.Random's first 16 bytes. client-protocol 2.4.
 */
export function passwordOf(sessionId: bigint): Uint8Array<ArrayBuffer> {
  const mask = (1n << 48n) - 1n;
  let state = ((sessionId ^ 0xb3415c00n) ^ 0x5deece66dn) & mask;
  const bytes = new Uint8Array(16);
  for (let word = 0; word < 4; word++) {
    state = (state * 0x5deece66dn + 0xbn) & mask;
    const w = Number((state >> 16n) & 0xffffffffn);
    for (let i = 0; i < 4; i++) bytes[word * 4 + i] = w >>> (8 * i);
  }
  return bytes;
}

interface Waiting {
  readonly xid: number;
  readonly resolve: (reply: WireReply) => void;
  readonly reject: (error: Error) => void;
}

export class WireSession {
  readonly connection: WireConnection;
  readonly connectReply: ConnectReply;
  readonly events: WireEvent[] = [];
  /** The first thing wrong with what the server sent; null while all is well. */
  fault: Error | null = null;
  readonly #waiting: Waiting[] = [];
  #waitingAt = 0;
  #xid = 0;

  private constructor(connection: WireConnection, connectReply: ConnectReply) {
    this.connection = connection;
    this.connectReply = connectReply;
    for (const frame of connection.frames.splice(0)) this.#received(frame);
    connection.onFrame = (frame) => this.#received(frame);
    connection.onClosed = () => this.#failAll(new Error("Connection closed by the server"));
    if (connection.closed) this.#failAll(new Error("Connection closed by the server"));
  }

  /** Opens a session, or takes one up again; throws when the server refuses. */
  static async connect(port: number, options: ConnectOptions = {}, limitMs = 5000): Promise<WireSession> {
    const connection = await WireConnection.open(port, limitMs);
    connection.write(connectFrame({ readOnly: false, ...options }));
    const frame = await connection.take(limitMs);
    const reply = frame === null ? null : decodeConnectReply(frame);
    if (reply === null || reply.timeoutMs <= 0) {
      connection.destroy();
      throw new Error(`Cannot open a session at port ${port}: ${frame === null ? "closed" : "refused"}`);
    }
    return new WireSession(connection, reply);
  }

  get id(): bigint {
    return this.connectReply.sessionId;
  }

  /** Sends one request; the reply, whatever its code. Rejects when the connection ends first. */
  request(op: number, body: Uint8Array = noBody, xid?: number): Promise<WireReply> {
    const ours = xid ?? ++this.#xid;
    return new Promise((resolve, reject) => {
      if (this.connection.closed) return reject(new Error("Connection is closed"));
      this.#waiting.push({ xid: ours, resolve, reject });
      this.connection.write(requestFrame(ours, op, body));
    });
  }

  /** The same with a time limit. */
  ask(op: number, body: Uint8Array = noBody, limitMs = 10_000): Promise<WireReply> {
    return within(limitMs, `request ${op}`, this.request(op, body));
  }

  /** Its reply comes with an xid of its own, whatever was asked. client-protocol 3.2. */
  ping(limitMs = 10_000): Promise<WireReply> {
    return within(limitMs, "ping", this.request(11, noBody, -2));
  }

  /** Ends the session with a closeSession request. */
  async close(limitMs = 5000): Promise<void> {
    if (!this.connection.closed) await this.ask(-11, noBody, limitMs);
    this.connection.destroy();
  }

  /** Cuts the connection and leaves the session to its timeout. */
  drop(): void {
    this.connection.destroy();
  }

  #received(frame: Uint8Array): void {
    const event = decodeEvent(frame);
    if (event !== null) {
      this.events.push(event);
      return;
    }
    const reply = decodeReply(frame);
    const waiting = this.#waiting[this.#waitingAt];
    if (reply === null || waiting === undefined || reply.xid !== waiting.xid) {
      this.fault ??= new Error(
        `Reply ${
          reply === null ? "without a header" : `xid ${reply.xid}`
        } while waiting for xid ${waiting?.xid}`,
      );
      this.connection.destroy();
      return;
    }
    this.#waitingAt++;
    if (this.#waitingAt === 1024) {
      this.#waiting.splice(0, this.#waitingAt);
      this.#waitingAt = 0;
    }
    waiting.resolve(reply);
  }

  #failAll(error: Error): void {
    const waiting = this.#waiting.splice(0).slice(this.#waitingAt);
    this.#waitingAt = 0;
    for (const one of waiting) one.reject(this.fault ?? error);
  }
}
