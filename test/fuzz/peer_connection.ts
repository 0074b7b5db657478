/**
 * Peer connection: one TCP connection to a peer port, as bytes.
 *
 * What comes back is kept up to a megabyte and forgotten beyond it; a hostile peer needs no more to
 * know how far it got.
 */
import { connect, type Socket } from "node:net";
import { sleep } from "../support/places.ts";

const keptBytesMax = 1 << 20;

export class PeerConnection {
  received: Uint8Array = new Uint8Array(0);
  receivedBytes = 0;
  closed = false;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => {
      this.receivedBytes += chunk.length;
      if (this.received.length + chunk.length > keptBytesMax) return;
      const more = new Uint8Array(this.received.length + chunk.length);
      more.set(this.received);
      more.set(chunk, this.received.length);
      this.received = more;
    });
    // Being cut off is what most stories are about.
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => this.closed = true);
  }

  static open(port: number, timeoutMs = 5000): Promise<PeerConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port });
      const timer = setTimeout(
        () => socket.destroy(new Error(`Cannot connect to port ${port} within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const failed = (error: Error) => {
        clearTimeout(timer);
        reject(error);
      };
      socket.once("error", failed);
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.off("error", failed);
        resolve(new PeerConnection(socket));
      });
    });
  }

  write(bytes: Uint8Array): void {
    if (!this.closed) this.#socket.write(bytes);
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** False when it is closed first, or time is up. */
  async until(ready: () => boolean, ms: number): Promise<boolean> {
    const until = performance.now() + ms;
    while (!ready()) {
      if (this.closed || performance.now() > until) return ready();
      await sleep(2);
    }
    return true;
  }

  untilBytes(count: number, ms = 1000): Promise<boolean> {
    return this.until(() => this.receivedBytes >= count, ms);
  }

  /** True: the other side hung up. */
  async untilClosed(ms: number): Promise<boolean> {
    await this.until(() => false, ms);
    return this.closed;
  }
}
