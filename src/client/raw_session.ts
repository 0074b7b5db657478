/**
 * RawSession: frames in, frames out, and nothing in between.
 *
 * For tests that must say exactly which bytes travel: handshakes with any id, password and with or
 * without the readOnly byte, frames that lie, half a frame and then silence. It never sends anything
 * by itself, no ping and no closeSession. Every wait has a limit and tells what it waited for.
 */
import { bytesEqual, bytesOf, textOf } from "../core/base/bytes.ts";
import { Reader } from "../core/wire/reader.ts";
import { type ConnectReply, readConnectReply, readReplyHeader } from "../core/wire/replies.ts";
import { writeConnectRequest, writeRequestHeader } from "../core/wire/requests.ts";
import { Writer } from "../core/wire/writer.ts";
import type { TcpHandler, TcpSocket } from "../runtime/ports.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import { replyBytesMax } from "./limits.ts";
import { afterMs } from "./timers.ts";
import type { ClientRuntime } from "./types.ts";

export interface RawTarget {
  readonly host: string;
  readonly port: number;
  /** Of every wait, unless a call says otherwise. */
  readonly limitMs?: number;
}

export interface RawHandshake {
  readonly timeoutMs?: number;
  readonly sessionId?: bigint;
  readonly password?: Uint8Array | null;
  readonly zxidSeen?: number;
  /** Null leaves the byte out. Default false. */
  readonly readOnly?: boolean | null;
}

export interface RawFrame {
  readonly xid: number;
  readonly zxid: number;
  readonly err: number;
  readonly body: Uint8Array;
}

type RawRuntime = Pick<ClientRuntime, "tcp">;

const rawLimitMsDefault = 5_000;

export class RawSession implements TcpHandler {
  readonly #limitMs: number;
  readonly #frames: Uint8Array[] = [];
  readonly #texts: Uint8Array[] = [];
  #splitter: FrameSplitter | null = new FrameSplitter(replyBytesMax);
  #socket: TcpSocket | null = null;
  #ended = false;
  #closed = false;
  #cause: Error | null = null;
  #wake: () => void = () => {};

  private constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  static async open(runtime: RawRuntime, target: RawTarget): Promise<RawSession> {
    const { host, port, limitMs = rawLimitMsDefault } = target;
    const session = new RawSession(limitMs);
    session.#socket = await runtime.tcp.connect({ host, port, timeoutMs: limitMs }, session);
    return session;
  }

  // ------------------------------------------------------------------------------------ sending

  /** Bytes as they are, with no length in front. */
  sendBytes(bytes: Uint8Array): void {
    this.#socket?.write(bytes.slice());
  }

  sendFrame(payload: Uint8Array): void {
    const writer = new Writer(4 + payload.length);
    writer.i32(payload.length);
    writer.raw(payload);
    this.#socket?.write(writer.copy());
  }

  sendRequest(xid: number, op: number, write: (writer: Writer) => void = () => {}): void {
    const writer = new Writer();
    writeRequestHeader(writer, xid, op);
    write(writer);
    this.sendFrame(writer.view());
  }

  sendHandshake(handshake: RawHandshake = {}): void {
    const {
      timeoutMs = 10_000,
      sessionId = 0n,
      password = new Uint8Array(16),
      zxidSeen = 0,
      readOnly = false,
    } = handshake;
    const writer = new Writer();
    writeConnectRequest(writer, { protocolVersion: 0, zxidSeen, timeoutMs, sessionId, password, readOnly });
    this.sendFrame(writer.view());
  }

  /** Closes our side in order; what the server still sends can be read. */
  endSending(): void {
    this.#socket?.end();
  }

  /** Leaves at once; the session lives on at the server. */
  destroy(): void {
    this.#socket?.destroy();
  }

  // ---------------------------------------------------------------------------------- receiving

  /** Null when the server closed instead of answering. */
  async handshake(
    handshake: RawHandshake = {},
    limitMs: number = this.#limitMs,
  ): Promise<ConnectReply | null> {
    this.sendHandshake(handshake);
    const payload = await this.nextPayload(limitMs);
    if (payload === null) return null;
    const reader = new Reader(payload);
    const reply = readConnectReply(reader);
    if (reader.failed) {
      throw new Error(`Cannot read a handshake of ${payload.length} bytes: it ends too early`);
    }
    return reply;
  }

  /** The next payload, without its length; null when the server closed. */
  async nextPayload(limitMs: number = this.#limitMs): Promise<Uint8Array | null> {
    await this.#until(() => this.#frames.length > 0 || this.#ended, limitMs, "a frame");
    return this.#frames.shift() ?? null;
  }

  /** The next payload as header and body; null when the server closed. */
  async next(limitMs: number = this.#limitMs): Promise<RawFrame | null> {
    const payload = await this.nextPayload(limitMs);
    if (payload === null) return null;
    const reader = new Reader(payload);
    const header = readReplyHeader(reader);
    if (reader.failed) {
      throw new Error(`Cannot read a reply of ${payload.length} bytes: shorter than its header`);
    }
    return { ...header, body: payload.subarray(reader.at) };
  }

  /** Sends and waits for the next frame, whatever it is. */
  request(xid: number, op: number, write: (writer: Writer) => void = () => {}): Promise<RawFrame | null> {
    this.sendRequest(xid, op, write);
    return this.next();
  }

  /** A four-letter word: the text up to the end of the connection. */
  async word(text: string, limitMs: number = this.#limitMs): Promise<string> {
    this.#splitter = null;
    this.sendBytes(bytesOf(text));
    await this.#until(() => this.#ended, limitMs, `the answer to ${text}`);
    const all = new Writer();
    for (const bytes of this.#texts) all.raw(bytes);
    return textOf(all.view());
  }

  /** Frames that arrived and were not asked for yet. */
  get unread(): number {
    return this.#frames.length;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Resolves when the server has closed; rejects after the limit. Frames before the end stay readable. */
  async untilEnd(limitMs: number = this.#limitMs): Promise<void> {
    await this.#until(() => this.#ended, limitMs, "the end of the connection");
  }

  /** True when nothing arrives and nothing closes for so long. */
  async isSilentFor(ms: number): Promise<boolean> {
    if (this.#frames.length > 0 || this.#ended) return false;
    return !(await this.#wait(() => this.#frames.length > 0 || this.#ended, ms));
  }

  async #until(happened: () => boolean, limitMs: number, what: string): Promise<void> {
    if (await this.#wait(happened, limitMs)) return;
    const partial = this.#splitter?.partialBytes ?? 0;
    throw new Error(
      `Waited ${limitMs} ms for ${what}: nothing came${partial > 0 ? `, but for ${partial} bytes` : ""}`,
    );
  }

  async #wait(happened: () => boolean, limitMs: number): Promise<boolean> {
    let isLate = false;
    const stop = afterMs(limitMs, () => {
      isLate = true;
      this.#wake();
    });
    while (!happened() && !isLate) await new Promise<void>((resolve) => this.#wake = resolve);
    stop();
    return happened();
  }

  // ----------------------------------------------------------------------------------- handler

  data(bytes: Uint8Array): void {
    if (this.#splitter === null) this.#texts.push(bytes);
    else {
      const wrong = this.#splitter.push(bytes, (payload) => {
        this.#frames.push(payload);
        return true;
      });
      if (wrong !== null) {
        this.#cause = new Error(`the server announced a frame of ${wrong} bytes`);
        this.#socket?.destroy();
      }
    }
    this.#wake();
  }

  ended(): void {
    this.#ended = true;
    this.#wake();
  }

  drained(): void {}

  closed(cause: Error | null): void {
    this.#ended = true;
    this.#closed = true;
    this.#cause ??= cause;
    this.#wake();
  }

  /** Whether the connection is over on both sides, and the error behind it where there was one. */
  get closeCause(): { readonly isClosed: boolean; readonly cause: Error | null } {
    return { isClosed: this.#closed, cause: this.#cause };
  }
}

/** What a new session sends as its password. */
export const passwordNone: Uint8Array = new Uint8Array(16);

export function isPasswordNone(password: Uint8Array | null): boolean {
  return password !== null && bytesEqual(password, passwordNone);
}
