/**
 * Side: one of the two servers, with a connection and a session for each slot.
 *
 * Every frame becomes a line in its slot's transcript. Replies come in the order of the requests,
 * so a frame that is no watch event belongs to the oldest request without a reply.
 */
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { connectFrame, type ConnectOptions, noBody, requestFrame } from "../../support/bodies.ts";
import { decodeConnectReply } from "../../support/wire_session.ts";
import { WireConnection } from "../../support/wire_connection.ts";
import { connectLine, eventLine, Facts, replyLine } from "./canonical.ts";
import type { Request } from "./step.ts";

interface Slot {
  connection: WireConnection | null;
  sessionId: bigint;
  password: Uint8Array;
  readonly expected: Request[];
  lines: string[];
}

export class Side {
  readonly name: string;
  readonly facts = new Facts();
  /** Changes a line before it is kept: a planted difference, to see that it is found. */
  tamper: (line: string) => string = (line) => line;
  readonly #port: number;
  readonly #slots: Slot[] = [];
  readonly #replyMsMax: number;

  constructor(name: string, port: number, slots: number, replyMsMax = 10_000) {
    this.name = name;
    this.#port = port;
    this.#replyMsMax = replyMsMax;
    for (let i = 0; i < slots; i++) {
      this.#slots.push({
        connection: null,
        sessionId: 0n,
        password: new Uint8Array(16),
        expected: [],
        lines: [],
      });
    }
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index];
    if (slot === undefined) throw new Error(`No slot ${index}`);
    return slot;
  }

  /** The lines since the last call. */
  takeLines(index: number): string[] {
    const slot = this.#slot(index);
    const lines = slot.lines;
    slot.lines = [];
    return lines;
  }

  isOpen(index: number): boolean {
    const { connection } = this.#slot(index);
    return connection !== null && !connection.closed;
  }

  /** Shakes hands on a new connection. A refusal is a line like any other; true: the session is there. */
  async connect(index: number, options: ConnectOptions, reattach: boolean): Promise<boolean> {
    const slot = this.#slot(index);
    const connection = await WireConnection.open(this.#port);
    const asked = reattach ? { sessionId: slot.sessionId, password: slot.password, ...options } : options;
    connection.write(connectFrame(asked));
    const frame = await connection.take(this.#replyMsMax);
    slot.lines.push(this.tamper(connectLine(frame, asked.sessionId ?? 0n, this.facts)));
    const reply = frame === null ? null : decodeConnectReply(frame);
    if (reply === null || reply.sessionId === 0n) {
      const closed = await connection.untilClosed(this.#replyMsMax);
      slot.lines.push(closed ? "then closed" : "then left open");
      connection.destroy();
      return false;
    }
    slot.connection = connection;
    slot.expected.length = 0;
    slot.sessionId = reply.sessionId;
    slot.password = reply.password;
    connection.onFrame = (received) => this.#received(slot, received);
    return true;
  }

  #received(slot: Slot, frame: Uint8Array): void {
    const event = eventLine(frame);
    if (event !== null) {
      slot.lines.push(this.tamper(event));
      return;
    }
    const request = slot.expected.shift();
    slot.lines.push(
      request === undefined
        ? `reply that nobody asked for`
        : this.tamper(replyLine(request, frame, this.facts)),
    );
  }

  /** Sends in one write and waits until each has its reply, or the connection has ended. */
  async ask(index: number, requests: readonly Request[]): Promise<void> {
    const slot = this.#slot(index);
    const { connection } = slot;
    if (connection === null) throw new Error(`Slot ${index} has no connection`);
    const frames = requests.map((request) => requestFrame(request.xid, request.op, request.body));
    const all = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0));
    let at = 0;
    for (const frame of frames) {
      all.set(frame, at);
      at += frame.length;
    }
    slot.expected.push(...requests);
    connection.write(all);
    const settled = await connection.waitUntil(
      () => slot.expected.length === 0 || connection.closed,
      this.#replyMsMax,
    );
    if (!settled) slot.lines.push(`${slot.expected.length} replies did not come`);
    else if (connection.closed && slot.expected.length > 0) slot.lines.push("closed without a reply");
  }

  /** Waits until the server has closed. */
  async untilClosed(index: number, ms: number): Promise<void> {
    const { connection, lines } = this.#slot(index);
    const closed = connection === null || await connection.untilClosed(ms);
    lines.push(closed ? "closed" : "still open");
  }

  async raw(index: number, bytes: Uint8Array): Promise<void> {
    this.#slot(index).connection?.write(bytes);
    await this.untilClosed(index, this.#replyMsMax);
  }

  cut(index: number): void {
    this.#slot(index).connection?.destroy();
  }

  connectionOf(index: number): WireConnection | null {
    return this.#slot(index).connection;
  }

  /** Forgets whose session it was; the next connect opens a new one. */
  forget(index: number): void {
    const slot = this.#slot(index);
    slot.connection?.destroy();
    slot.connection = null;
    slot.sessionId = 0n;
  }

  /** A ping on each connection: all events so far are in the transcripts when it returns. */
  async barrier(): Promise<void> {
    const ping: Request = { op: OpCode.Ping, xid: -2, body: noBody, path: null, subs: null, text: "ping" };
    await Promise.all(
      this.#slots.map((slot, index) =>
        slot.connection !== null && !slot.connection.closed ? this.ask(index, [ping]) : undefined
      ),
    );
  }

  close(): void {
    for (const slot of this.#slots) slot.connection?.destroy();
  }
}
