/**
 * Wire connection: one TCP connection to a client port, cut into frames and nothing more.
 *
 * Tests that send what no client would send need the bytes themselves, so this knows only lengths.
 * Frames are copied out of the stream; when nobody waits they queue in `frames`.
 */
import { connect, type Socket } from "node:net";

const frameBytesMax = 64 << 20;

export class WireConnection {
  /** Received and not yet taken. Empty while `onFrame` is set. */
  readonly frames: Uint8Array<ArrayBuffer>[] = [];
  /** The other side closed, or we did. */
  closed = false;
  /** What the socket said when it ended badly; null for an orderly end. */
  error: Error | null = null;
  /** Takes frames as they come instead of the queue. */
  onFrame: ((frame: Uint8Array<ArrayBuffer>) => void) | null = null;
  onClosed: (() => void) | null = null;

  readonly #socket: Socket;
  #partial: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #wake: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#received(chunk));
    socket.on("error", (error: Error) => this.error = error);
    socket.on("end", () => socket.destroy());
    socket.on("close", () => {
      this.closed = true;
      this.onClosed?.();
      this.#wakeUp();
    });
  }

  static open(port: number, timeoutMs = 5000, host = "127.0.0.1"): Promise<WireConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new Error(`Cannot connect to port ${port}: no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      const refused = (error: Error) => {
        clearTimeout(timer);
        reject(error);
      };
      socket.once("error", refused);
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.off("error", refused);
        resolve(new WireConnection(socket));
      });
    });
  }

  write(bytes: Uint8Array): void {
    if (!this.closed) this.#socket.write(bytes);
  }

  /** Bytes written that the kernel has not taken. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Shuts our side only. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The next frame's payload; null once the connection has ended and the queue is empty. */
  async take(timeoutMs = 5000): Promise<Uint8Array<ArrayBuffer> | null> {
    if (!await this.waitUntil(() => this.frames.length > 0 || this.closed, timeoutMs)) {
      throw new Error(`No frame within ${timeoutMs} ms`);
    }
    return this.frames.shift() ?? null;
  }

  untilClosed(timeoutMs = 5000): Promise<boolean> {
    return this.waitUntil(() => this.closed, timeoutMs);
  }

  /** Waits until `true`, looked at after each frame and at the end. False when time is up. One waiter at a time. */
  async waitUntil(ready: () => boolean, timeoutMs: number): Promise<boolean> {
    if (ready()) return true;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wakeUp();
    }, timeoutMs);
    while (!ready() && !late) await new Promise<void>((resolve) => this.#wake = resolve);
    clearTimeout(timer);
    return ready();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #received(chunk: Uint8Array): void {
    let bytes: Uint8Array = chunk;
    if (this.#partial.length > 0) {
      const joined = new Uint8Array(this.#partial.length + chunk.length);
      joined.set(this.#partial);
      joined.set(chunk, this.#partial.length);
      bytes = joined;
    }
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
      if (length < 0 || length > frameBytesMax) {
        this.error = new Error(`Server sent a frame length of ${length}`);
        this.#socket.destroy();
        break;
      }
      if (bytes.length - at - 4 < length) break;
      const frame = new Uint8Array(length);
      frame.set(bytes.subarray(at + 4, at + 4 + length));
      if (this.onFrame === null) this.frames.push(frame);
      else this.onFrame(frame);
      at += 4 + length;
    }
    const rest = new Uint8Array(bytes.length - at);
    rest.set(bytes.subarray(at));
    this.#partial = rest;
    this.#wakeUp();
  }
}

/** Sends a four-letter word, or anything else, and returns all text until the server closes. */
export function askText(port: number, text: string, timeoutMs = 3000, host = "127.0.0.1"): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const chunks: Uint8Array[] = [];
    const timer = setTimeout(
      () => socket.destroy(new Error(`No end of answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.on("connect", () => socket.write(text));
    socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    socket.on("end", () => socket.end());
    socket.on("error", (error: Error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.on("close", () => {
      clearTimeout(timer);
      let all = "";
      const decoder = new TextDecoder();
      for (const chunk of chunks) all += decoder.decode(chunk, { stream: true });
      resolve(all);
    });
  });
}
