/**
 * Quorum line: one socket of the quorum port and the core's `Link` that it carries, from either side.
 *
 * The link's `out` leaves in one write a turn. Where the kernel does not take all of it the buffer
 * belongs to the socket from then on, and the link gets a new one.
 */
import { bytesEmpty } from "../core/base/bytes.ts";
import type { Link } from "../core/zab/link.ts";
import type { TcpSocket } from "../runtime/ports.ts";
import { type Address, hostPort } from "./address.ts";
import type { DialHandler } from "./dial.ts";

export interface QuorumLineEvents {
  /** A line that was dialed is there. */
  lineOpened(line: QuorumLine, address: Address): void;
  lineBytes(line: QuorumLine, link: Link, bytes: Uint8Array): void;
  lineDrained(link: Link): void;
  lineClosed(line: QuorumLine): void;
}

/** A buffer that is kept for the next turn; a greater one, of a snapshot, is not worth its room. */
const keptBytesMax = 1 << 18;

export class QuorumLine implements DialHandler {
  readonly #events: QuorumLineEvents;
  #socket: TcpSocket | null = null;
  link: Link | null = null;
  host = "";
  remote = "";
  receivedBytes = 0;
  #paused = false;
  #ending = false;
  #gone = false;
  #drainPromised = false;

  constructor(events: QuorumLineEvents) {
    this.#events = events;
  }

  get gone(): boolean {
    return this.#gone;
  }

  attach(socket: TcpSocket): void {
    this.#socket = socket;
    this.host = socket.remoteAddress;
    this.remote = hostPort({ host: socket.remoteAddress, port: socket.remotePort });
  }

  opened(socket: TcpSocket, address: Address): void {
    if (this.#gone) return socket.destroy();
    this.attach(socket);
    this.#events.lineOpened(this, address);
  }

  data(bytes: Uint8Array): void {
    if (this.link === null || this.#ending) return;
    this.receivedBytes += bytes.length;
    this.#events.lineBytes(this, this.link, bytes);
  }

  /** Sends what the core wrote. Returns the bytes that wait in this process. */
  flush(): number {
    const { link } = this;
    const socket = this.#socket;
    if (link === null || socket === null || this.#ending) return 0;
    const { out } = link;
    if (out.length > 0) {
      socket.write(out.view(), this.#written);
      link.unsentBytes = socket.unsentBytes;
      if (link.unsentBytes > 0 || out.bytes.length > keptBytesMax) out.bytes = bytesEmpty;
      out.clear();
    } else this.#promiseDrain();
    return link.unsentBytes;
  }

  /** Obeys what the core noted on the link. */
  reconcile(): void {
    const { link } = this;
    if (link === null || this.#ending) return;
    if (link.paused !== this.#paused) {
      this.#paused = link.paused;
      if (link.paused) this.#socket?.pause();
      else this.#socket?.resume();
    }
    this.#promiseDrain();
  }

  /** The core asks whether all has left, and it has: it is told in a turn of its own. */
  #promiseDrain(): void {
    if (this.#drainPromised || this.link?.wantsDrain !== true || this.#socket?.unsentBytes !== 0) return;
    this.#drainPromised = true;
    queueMicrotask(() => {
      this.#drainPromised = false;
      this.#tellDrained();
    });
  }

  readonly #written = (): void => this.#tellDrained();

  drained(): void {
    this.#tellDrained();
  }

  #tellDrained(): void {
    const { link } = this;
    if (link === null || this.#gone || this.#socket === null) return;
    link.unsentBytes = this.#socket.unsentBytes;
    if (!link.wantsDrain || this.#ending || link.unsentBytes > 0 || link.out.length > 0) return;
    link.wantsDrain = false;
    this.#events.lineDrained(link);
  }

  /** Sends what is there, then hangs up. What still comes is read and forgotten. */
  end(): void {
    if (this.#ending) return;
    this.flush();
    this.#ending = true;
    if (this.#paused) this.#socket?.resume();
    this.#socket?.end();
  }

  destroy(): void {
    this.#ending = true;
    this.#socket?.destroy();
  }

  /** Closes at once and tells nobody. */
  drop(): void {
    this.#gone = true;
    this.destroy();
  }

  ended(): void {
    this.#socket?.destroy();
  }

  closed(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#events.lineClosed(this);
  }
}
