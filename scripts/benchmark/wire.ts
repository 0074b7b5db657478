/**
 * Wire: as much of the client protocol as a load generator needs.
 *
 * It shares nothing with the server's own encoding on purpose: what is measured is not what measures,
 * and it speaks to the original just the same. No reconnecting, no watches to be kept, no pings.
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

export const op = { create: 1, exists: 3, getData: 4, setData: 5, sync: 9, closeSession: -11 } as const;

/** The xid of a watch event. */
export const watchEventXid = -1;

const sessionTimeoutMs = 30_000;
const openMsMax = 10_000;

/** One request frame after another in one growing buffer. */
export class Frames {
  #bytes = Buffer.allocUnsafeSlow(4096);
  #length = 0;
  #start = 0;

  begin(xid: number, opcode: number): this {
    this.#start = this.#length;
    return this.int(0).int(xid).int(opcode);
  }

  int(value: number): this {
    this.#room(4);
    this.#length = this.#bytes.writeInt32BE(value, this.#length);
    return this;
  }

  bool(value: boolean): this {
    this.#room(1);
    this.#length = this.#bytes.writeUInt8(value ? 1 : 0, this.#length);
    return this;
  }

  text(value: string): this {
    return this.buffer(Buffer.from(value));
  }

  buffer(value: Uint8Array): this {
    this.int(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  end(): this {
    this.#bytes.writeInt32BE(this.#length - this.#start - 4, this.#start);
    return this;
  }

  get length(): number {
    return this.#length;
  }

  /** What was written, and an empty buffer again. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(4096, this.#length));
    this.#length = 0;
    return bytes;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const wider = Buffer.allocUnsafeSlow((this.#length + bytes) * 2);
    this.#bytes.copy(wider, 0, 0, this.#length);
    this.#bytes = wider;
  }
}

/** A persistent znode that anybody may do anything with. */
export function addCreate(frames: Frames, xid: number, path: string, data: Uint8Array): void {
  const everything = 31;
  frames.begin(xid, op.create).text(path).buffer(data);
  frames.int(1).int(everything).text("world").text("anyone").int(0).end();
}

/** Any version. */
export function addSet(frames: Frames, xid: number, path: string, data: Uint8Array): void {
  frames.begin(xid, op.setData).text(path).buffer(data).int(-1).end();
}

export function addSync(frames: Frames, xid: number, path: string): void {
  frames.begin(xid, op.sync).text(path).end();
}

export function addRead(
  frames: Frames,
  xid: number,
  opcode: typeof op.getData | typeof op.exists,
  path: string,
  watch: boolean,
): void {
  frames.begin(xid, opcode).text(path).bool(watch).end();
}

/** Told of each reply: its bytes lie in `bytes` from `start`, which is where its xid stands. */
export type OnReply = (bytes: Buffer, start: number, xid: number, error: number) => void;

/** A connection with a session. `onReply` and `onBatch` may be replaced at any time. */
export class Link {
  readonly #socket: Socket;
  #carry: Buffer | null = null;
  #closing = false;
  onReply: OnReply = () => {};
  /** After all replies of one piece of the stream: the time to send the next requests. */
  onBatch: () => void = () => {};
  /** Must be set: a connection that breaks ends a measurement. */
  onBroken: (error: Error) => void = (error) => {
    throw error;
  };

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static open(port: number, msMax = openMsMax): Promise<Link> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port });
      const link = new Link(socket);
      const timer = setTimeout(() => fail(new Error(`no answer within ${msMax} ms`)), msMax);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        socket.destroy();
        reject(new Error(`Cannot open a session on port ${port}: ${error.message}`));
      };
      link.onBroken = fail;
      // The answer to the handshake has no header: its first fields are only looked at for their length.
      link.onReply = () => {
        clearTimeout(timer);
        link.onReply = () => {};
        resolve(link);
      };
      socket.setNoDelay(true);
      socket.on("connect", () => {
        const frames = new Frames();
        const protocolVersion = 0;
        frames.begin(protocolVersion, 0).int(0).int(sessionTimeoutMs).int(0).int(0);
        frames.buffer(new Uint8Array(16)).bool(false).end();
        link.send(frames.take());
      });
      socket.on("data", (chunk: Buffer) => link.#take(chunk));
      socket.on("error", (error) => link.#broke(error));
      socket.on("close", () => link.#broke(new Error("the server closed the connection")));
    });
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** One request at a time, for what is prepared before a measurement. Returns the error code. */
  call(write: (frames: Frames) => void): Promise<number> {
    return new Promise((resolve, reject) => {
      this.onBroken = reject;
      this.onReply = (_bytes, _start, xid, error) => {
        if (xid !== watchEventXid) resolve(error);
      };
      const frames = new Frames();
      write(frames);
      this.send(frames.take());
    });
  }

  /** Ends the session too, so that it does not linger in the server until it expires. */
  close(): Promise<void> {
    this.#closing = true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#socket.destroy(), 2000);
      this.#socket.on("close", () => {
        clearTimeout(timer);
        resolve();
      });
      this.#socket.on("end", () => this.#socket.destroy());
      this.send(new Frames().begin(0x7fffffff, op.closeSession).end().take());
    });
  }

  #broke(error: Error): void {
    if (this.#closing) return;
    this.#closing = true;
    this.onBroken(error);
  }

  #take(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#carry !== null) {
      bytes = Buffer.concat([this.#carry, chunk]);
      this.#carry = null;
    }
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = bytes.readInt32BE(at);
      if (length < 16 || length > 64 << 20) {
        this.#socket.destroy();
        return this.#broke(new Error(`the server sent a frame of ${length} bytes`));
      }
      if (bytes.length - at < 4 + length) break;
      this.onReply(bytes, at + 4, bytes.readInt32BE(at + 4), bytes.readInt32BE(at + 16));
      at += 4 + length;
    }
    if (at < bytes.length) this.#carry = bytes.subarray(at);
    this.onBatch();
  }
}
