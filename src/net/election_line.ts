/**
 * Election line: one socket of the election port, from either side.
 *
 *     accepted ──initial message──► introduced ─► frames
 *     dialed ─────────────────────► introduced ─► frames
 *
 * Always true: nothing is told after `drop`, and `lineClosed` once, unless it was dropped.
 */
import { bytesEmpty } from "../core/base/bytes.ts";
import { type InitialMessage, notificationBytesMax, parseInitial } from "../core/wire/votes.ts";
import type { TcpSocket } from "../runtime/ports.ts";
import { type Address, hostPort } from "./address.ts";
import type { DialHandler } from "./dial.ts";
import { FrameCutter } from "./frame_cutter.ts";

/** What a dialer said of itself. */
export type Introduction = InitialMessage & { readonly kind: "initial" };

export interface LineEvents {
  /** A line that was dialed is there. */
  lineOpened(line: ElectionLine, address: Address): void;
  introduced(line: ElectionLine, introduction: Introduction): void;
  lineFrame(line: ElectionLine, bytes: Uint8Array): void;
  /** What came cannot be understood; the line is closed next. */
  lineRefused(line: ElectionLine, why: string): void;
  lineDrained(line: ElectionLine): void;
  lineClosed(line: ElectionLine): void;
  turn(): void;
}

export class ElectionLine implements DialHandler {
  readonly #events: LineEvents;
  #socket: TcpSocket | null = null;
  /** The other side's sid; null until it is known. */
  sid: number | null;
  remote = "";
  /** Some frame came in: there is somebody who understands us. */
  heard = false;
  openedMs = 0;
  /** We have said all: what still comes is read and forgotten. */
  #ending = false;
  #gone = false;
  /** What came of the initial message; null once it was whole, and on a line that we dialed. */
  #initial: Uint8Array | null;
  readonly #cutter = new FrameCutter(notificationBytesMax);

  constructor(events: LineEvents, sid: number | null) {
    this.#events = events;
    this.sid = sid;
    this.#initial = sid === null ? bytesEmpty : null;
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** The socket of an accepted line; a dialed one is told by `opened`. */
  attach(socket: TcpSocket): void {
    this.#socket = socket;
    this.remote = hostPort({ host: socket.remoteAddress, port: socket.remotePort });
  }

  opened(socket: TcpSocket, address: Address): void {
    if (this.#gone) return socket.destroy();
    this.attach(socket);
    this.#events.lineOpened(this, address);
  }

  get isBehind(): boolean {
    return this.#socket !== null && this.#socket.unsentBytes > 0;
  }

  /** The array belongs to the line from now on. */
  write(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  /** Sends what was written, then hangs up. The other side is expected to do so too. */
  end(): void {
    this.#ending = true;
    this.#socket?.end();
  }

  /** Closes at once and tells nobody. */
  drop(): void {
    this.#gone = true;
    this.#socket?.destroy();
  }

  data(bytes: Uint8Array): void {
    if (this.#gone || this.#ending) return;
    const rest = this.#initial === null ? bytes : this.#introduce(this.#initial, bytes);
    if (!this.#gone && rest !== null && rest.length > 0) this.#cut(rest);
    this.#events.turn();
  }

  /** Returns what came behind the initial message; null while it is not whole. */
  #introduce(before: Uint8Array, bytes: Uint8Array): Uint8Array | null {
    const all = new Uint8Array(before.length + bytes.length);
    all.set(before);
    all.set(bytes, before.length);
    const initial = parseInitial(all);
    if (initial.kind === "more") {
      this.#initial = all;
      return null;
    }
    this.#initial = null;
    if (initial.kind === "refused") {
      this.#refuse(initial.reason);
      return null;
    }
    this.#events.introduced(this, initial);
    return all.subarray(initial.length);
  }

  #cut(bytes: Uint8Array): void {
    const wrong = this.#cutter.take(bytes, (frame) => {
      this.heard = true;
      this.#events.lineFrame(this, frame);
      return !this.#gone;
    });
    if (wrong === null) return;
    this.#refuse(`Cannot read a vote of ${wrong} bytes, expected 1 to ${notificationBytesMax}`);
  }

  #refuse(why: string): void {
    this.#events.lineRefused(this, why);
    this.#close();
    this.#socket?.destroy();
  }

  ended(): void {
    // Nobody sends votes and hears none: a side that closed its half has gone, as in the original.
    this.#socket?.destroy();
  }

  drained(): void {
    if (!this.#gone) this.#events.lineDrained(this);
  }

  closed(): void {
    if (this.#gone) return;
    this.#close();
    this.#events.turn();
  }

  #close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#events.lineClosed(this);
  }
}
