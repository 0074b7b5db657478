/**
 * Client listener: sockets on one side, frames on the other.
 *
 * A line is one client's socket. It splits what arrives into frames without copying, hands each to
 * its owner, and sends what the core wrote, once per turn. Here the network's limits are kept: how
 * many connections, how long a frame, how long silence before the first, how many bytes unread.
 *
 * The first four bytes of a line may be a four-letter word instead of a length (client-protocol 1.4).
 */
import { frameBytesMax as frameBytesMaxDefault } from "../core/base/limits.ts";
import { addressText } from "../core/base/ip.ts";
import type { Connection } from "../core/peer/connection.ts";
import type { TcpHandler, TcpSocket } from "../runtime/ports.ts";

export interface LineLimits {
  readonly frameBytesMax: number;
  readonly connectionsPerAddressMax: number;
  readonly connectionsMax: number;
  readonly sessionlessMsMax: number;
}

/** An answer slice by slice; the last is returned. */
export type Answer = Iterator<Uint8Array, Uint8Array, undefined>;
/** A socket that has more than this is given no more: what waits is kept better, and counted, in the core. */
const socketBytesMax = 16 << 10;

/** Who takes what the lines bring. */
export interface LineOwner {
  readonly limits: LineLimits;
  /** May more requests be taken from this connection now? */
  mayRead(line: ClientLine): boolean;
  opened(line: ClientLine): Connection;
  /** The line keeps bytes back until it is released. */
  held(line: ClientLine): void;
  frame(line: ClientLine, bytes: Uint8Array, start: number, end: number): void;
  /** The line is gone. */
  closed(line: ClientLine): void;
  /** All frames of one arrival were given: time to send what they caused. */
  turn(): void;
  /** Bytes that a word needs, or 0 where these four are none. */
  wordBytes(bytes: Uint8Array): number;
  answerWord(bytes: Uint8Array, line: ClientLine): Answer;
  /** Calls back when others have had their turn. */
  later(call: () => void): void;
  warn(event: string, message: string, line: ClientLine): void;
  count(what: "rejected" | "dropped" | "sessionless"): void;
  countBytes(received: number, sent: number): void;
}

/** Addresses to how many lines they have; shared by the plain and the TLS port. */
export class LineCounts {
  readonly byAddress = new Map<string, number>();
  total = 0;

  add(address: string): void {
    this.total++;
    this.byAddress.set(address, (this.byAddress.get(address) ?? 0) + 1);
  }

  remove(address: string): void {
    this.total--;
    const left = (this.byAddress.get(address) ?? 1) - 1;
    if (left > 0) this.byAddress.set(address, left);
    else this.byAddress.delete(address);
  }
}

export class ClientLine implements TcpHandler {
  readonly address: string;
  readonly port: number;
  readonly secure: boolean;
  readonly acceptedMs: number;
  readonly #socket: TcpSocket;
  readonly #owner: LineOwner;
  readonly #counts: LineCounts;
  connection: Connection | null = null;
  /** The first frame was complete. */
  #spoke = false;
  #word = false;
  /** The rest of a word's answer. */
  #left: Answer | null = null;
  #gone = false;
  #ending = false;
  /** When a tick first found that nothing more is to come from us. */
  #overMs: number | null = null;
  /** A frame that is not whole yet: `#partial[0, #partialLength)` of `#partialWhole` bytes. */
  #partial: Uint8Array | null = null;
  #partialLength = 0;
  #partialWhole = 0;
  /** Arrived, but not to be read before there is room again. */
  #held: Uint8Array | null = null;
  #paused = false;

  constructor(socket: TcpSocket, owner: LineOwner, counts: LineCounts, secure: boolean, nowMs: number) {
    this.#socket = socket;
    this.#owner = owner;
    this.#counts = counts;
    this.secure = secure;
    this.acceptedMs = nowMs;
    this.address = addressText(socket.remoteAddress);
    this.port = socket.remotePort;
    counts.add(this.address);
  }

  get gone(): boolean {
    return this.#gone;
  }

  get spoke(): boolean {
    return this.#spoke;
  }

  get heldBytes(): number {
    return this.#held?.length ?? 0;
  }

  /** It could go on if there were room: what arrived is held, or in the core reads wait. */
  get isHeld(): boolean {
    return this.#held !== null || (this.connection !== null && this.connection.order.isReady);
  }

  /**
   * Asked at each tick. A line that never said anything, or that we are through with and that the
   * other side does not hang up, is not kept for ever.
   */
  isOverdue(nowMs: number, msMax: number): boolean {
    if (!this.#spoke) return nowMs - this.acceptedMs >= msMax;
    if (!this.#word && !this.#ending) return false;
    this.#overMs ??= nowMs;
    return nowMs - this.#overMs >= msMax;
  }

  // ------------------------------------------------------------------------------------ arrivals

  data(bytes: Uint8Array): void {
    this.#owner.countBytes(bytes.length, 0);
    // What follows a word, or comes while we hang up, is read and forgotten: unread bytes would make
    // the kernel reset the line and the client lose the answer.
    if (this.#word || this.#ending) return;
    if (this.#held !== null) {
      this.#held = joined(this.#held, bytes);
      return;
    }
    this.#split(bytes);
    this.#owner.turn();
  }

  #split(bytes: Uint8Array): void {
    let at = 0;
    const { length } = bytes;
    if (this.#partial !== null) at = this.#fillPartial(bytes);
    while (at < length && !this.#ending && !this.#word) {
      if (!this.#owner.mayRead(this)) return this.#hold(at === 0 ? bytes : bytes.subarray(at));
      if (length - at < 4) return this.#keep(bytes, at, 4);
      const size = lengthAt(bytes, at);
      const wordBytes = this.#wordBytes(bytes, at);
      if (wordBytes > length - at) return this.#keep(bytes, at, wordBytes);
      if (wordBytes > 0) return this.#answer(bytes.slice(at, at + wordBytes));
      if (size < 0 || size > this.#owner.limits.frameBytesMax) return this.#refuseLength(size);
      if (length - at - 4 < size) return this.#keep(bytes, at, 4 + size);
      this.#give(bytes, at + 4, at + 4 + size);
      at += 4 + size;
    }
  }

  /** Puts what is missing behind the partial frame; returns where the next frame begins. */
  #fillPartial(bytes: Uint8Array): number {
    let at = 0;
    for (;;) {
      const count = Math.min(this.#partialWhole - this.#partialLength, bytes.length - at);
      this.#append(bytes, at, at + count);
      at += count;
      if (this.#partialLength < this.#partialWhole) return at;
      const partial = this.#partial as Uint8Array;
      const whole = this.#partialWhole;
      const wordBytes = this.#wordBytes(partial, 0);
      if (wordBytes > whole) {
        this.#partialWhole = wordBytes;
        continue;
      }
      if (wordBytes > 0) {
        this.#partial = null;
        this.#answer(partial.slice(0, wordBytes));
        return bytes.length;
      }
      if (whole > 4) {
        this.#partial = null;
        this.#give(partial, 4, whole);
        return at;
      }
      const size = lengthAt(partial, 0);
      if (size < 0 || size > this.#owner.limits.frameBytesMax) {
        this.#partial = null;
        this.#refuseLength(size);
        return bytes.length;
      }
      if (size === 0) {
        this.#partial = null;
        this.#give(partial, 4, 4);
        return at;
      }
      // A word may come byte by byte, and so may a frame.
      this.#partialWhole = 4 + size;
    }
  }

  #keep(bytes: Uint8Array, at: number, whole: number): void {
    this.#partial = new Uint8Array(0);
    this.#partialLength = 0;
    this.#partialWhole = whole;
    this.#append(bytes, at, bytes.length);
  }

  /** Room grows with what has come, not with what was announced: a length alone costs nothing. */
  #append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.#partialLength + end - start;
    let partial = this.#partial as Uint8Array;
    if (length > partial.length) {
      const room = new Uint8Array(Math.min(this.#partialWhole, Math.max(2 * length, 64)));
      room.set(partial.subarray(0, this.#partialLength));
      this.#partial = partial = room;
    }
    partial.set(bytes.subarray(start, end), this.#partialLength);
    this.#partialLength = length;
  }

  #give(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#spoke) {
      this.#spoke = true;
      this.connection = this.#owner.opened(this);
    }
    this.#owner.frame(this, bytes, start, end);
  }

  #refuseLength(size: number): void {
    const { frameBytesMax } = this.#owner.limits;
    const why = size < 0 ? "less than 0" : `greater than jute.maxbuffer=${frameBytesMax}`;
    this.#owner.count("dropped");
    this.#owner.warn(
      "frame_length",
      `Len error. A message from /${this.address}:${this.port} with advertised length of ${size} is either a malformed message or too large to process (length is ${why})`,
      this,
    );
    this.destroy();
  }

  // --------------------------------------------------------------------------------------- words

  /** Bytes of the word that begins here, or 0: a word is the first thing that is said, or none. */
  #wordBytes(bytes: Uint8Array, at: number): number {
    return this.#spoke ? 0 : this.#owner.wordBytes(bytes.subarray(at, at + 4));
  }

  #answer(asked: Uint8Array): void {
    this.#word = true;
    this.#spoke = true;
    // A word's line is a connection among the others that it tells of.
    this.connection = this.#owner.opened(this);
    this.#left = this.#owner.answerWord(asked, this);
    this.#pour();
  }

  /** Sends one slice of the answer. The next is made once this one has left. */
  readonly #pour = (): void => {
    if (this.#left === null) return;
    const { done, value } = this.#left.next();
    if (value.length > 0) {
      this.#owner.countBytes(0, value.length);
      this.#socket.write(value);
    }
    this.#overMs = null;
    if (done === true) {
      this.#left = null;
      this.#socket.end();
    } else if (this.#socket.unsentBytes === 0) this.#owner.later(this.#pour);
  };

  #endAnswer(): void {
    this.#left?.return?.();
    this.#left = null;
  }

  // --------------------------------------------------------------------------------- back-pressure

  #hold(bytes: Uint8Array): void {
    this.#held = bytes.slice();
    if (!this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
    this.#owner.held(this);
  }

  /** There may be room again: goes on with what was held. True: it could. */
  release(): boolean {
    const held = this.#held;
    if (held === null || !this.#owner.mayRead(this)) return false;
    this.#held = null;
    this.#split(held);
    if (this.#held === null && this.#paused && !this.#ending) {
      this.#paused = false;
      this.#socket.resume();
    }
    return true;
  }

  drained(): void {
    this.#pour();
    this.flush();
    if (this.isHeld) this.#owner.turn();
  }

  // --------------------------------------------------------------------------------------- sending

  /** Sends what the core wrote since the last turn, as far as the socket takes it. */
  flush(bytesMax = socketBytesMax): void {
    const { connection } = this;
    if (connection === null) return;
    const { flow } = connection;
    if (this.#gone) return flow.drop();
    const socket = this.#socket;
    flow.settle(socket.unsentBytes);
    while (socket.unsentBytes <= bytesMax) {
      const bytes = flow.take();
      if (bytes === null) return;
      this.#owner.countBytes(0, bytes.length);
      socket.write(bytes);
      flow.settle(socket.unsentBytes);
    }
  }

  /** Hangs up after what was sent has left. */
  end(): void {
    if (this.#ending) return;
    this.flush(Infinity);
    this.#ending = true;
    this.#held = null;
    if (this.#paused) this.#socket.resume();
    this.#endAnswer();
    this.#socket.end();
  }

  destroy(): void {
    this.#ending = true;
    this.#held = null;
    this.#socket.destroy();
  }

  // ------------------------------------------------------------------------------------- the end

  ended(): void {
    if (this.#word) return;
    // Half a word and then silence, or a client that closed its side: that is the end of it.
    this.destroy();
  }

  closed(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#counts.remove(this.address);
    this.#partial = null;
    this.#held = null;
    this.#endAnswer();
    this.#owner.closed(this);
    this.#owner.turn();
  }
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** A new socket's line; where it is one too many it is closed at once, without a byte. */
export function acceptLine(
  socket: TcpSocket,
  owner: LineOwner,
  counts: LineCounts,
  secure: boolean,
  nowMs: number,
): ClientLine {
  const line = new ClientLine(socket, owner, counts, secure, nowMs);
  const { connectionsPerAddressMax, connectionsMax } = owner.limits;
  const same = counts.byAddress.get(line.address) ?? 0;
  if (connectionsPerAddressMax > 0 && same > connectionsPerAddressMax) {
    owner.warn(
      "connections_per_address",
      `Too many connections from /${line.address} - max is ${connectionsPerAddressMax}`,
      line,
    );
  } else if (connectionsMax > 0 && counts.total > connectionsMax) {
    owner.warn("connections_total", `Too many connections ${counts.total} - max is ${connectionsMax}`, line);
  } else return line;
  owner.count("rejected");
  line.destroy();
  return line;
}

export const lineLimitsDefault: LineLimits = {
  frameBytesMax: frameBytesMaxDefault,
  connectionsPerAddressMax: 60,
  connectionsMax: 0,
  sessionlessMsMax: 10_000,
};
