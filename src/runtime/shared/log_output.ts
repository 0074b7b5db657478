/**
 * Log output: where a server's lines go. Writing never throws and never waits.
 *
 * A log file on a full disk, a pipe whose reader is gone and one whose reader stopped must not end or stop a
 * server. A file is written at once. Anything else may block, so one write at a time is given to another
 * thread, and what comes meanwhile waits, up to a limit. What cannot be written is counted.
 */
import fs from "node:fs";
import { systemCodeOf } from "../ports.ts";
import type { LogLost, LogPort } from "../ports.ts";

const waitingBytesMax = 1 << 20;
/** Somebody made the pipe non-blocking, and it is full: tried again after this. */
const retryMs = 20;
/** At the end of the process: a write that has taken longer than this is stuck. */
const stuckMs = 200;
const lastWriteMs = 50;

const encoder = new TextEncoder();
const newline = 10;

export class LogOutput implements LogPort {
  readonly #descriptor: number;
  #isFile: boolean | null = null;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #underWay = false;
  #sinceMs = 0;
  #lines = 0;
  #why = "";
  /** The last write succeeded. */
  #works = true;
  /** Half a line was written. */
  #torn = false;

  constructor(descriptor: 1 | 2) {
    this.#descriptor = descriptor;
  }

  write(text: string): void {
    const bytes = encoder.encode(this.#torn ? `\n${text}` : text);
    this.#isFile ??= isFile(this.#descriptor);
    if (this.#isFile) return this.#writeNow(bytes);
    if (this.#waitingBytes + bytes.length > waitingBytesMax) return this.#lose(bytes, "nobody reads it");
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#next();
  }

  takeLost(): LogLost | null {
    if (this.#lines === 0 || !this.#works) return null;
    const lost = { lines: this.#lines, why: this.#why };
    this.#lines = 0;
    return lost;
  }

  #writeNow(bytes: Uint8Array): void {
    let at = 0;
    try {
      while (at < bytes.length) at += fs.writeSync(this.#descriptor, bytes, at);
      this.#works = true;
      this.#torn = false;
    } catch (error) {
      this.#torn ||= at > 0;
      this.#lose(bytes.subarray(at), reasonOf(error));
    }
  }

  #lose(bytes: Uint8Array, why: string): void {
    this.#works = false;
    this.#why = why;
    for (const byte of bytes) if (byte === newline) this.#lines++;
  }

  #next(): void {
    if (this.#underWay || this.#waiting.length === 0) return;
    const bytes = this.#takeWaiting();
    this.#underWay = true;
    this.#sinceMs = performance.now();
    writeAside(this.#descriptor, bytes, (error, count) => {
      const rest = bytes.subarray(error === null ? count : 0);
      const again = error !== null && isFull(error);
      if (error === null) this.#works = true;
      else if (!again) this.#lose(bytes, reasonOf(error));
      if (rest.length > 0 && (again || error === null)) {
        this.#waiting.unshift(rest);
        this.#waitingBytes += rest.length;
      }
      const go = (): void => {
        this.#underWay = false;
        this.#next();
      };
      if (again) setTimeout(go, retryMs).unref();
      else go();
    });
  }

  #takeWaiting(): Uint8Array {
    const bytes = new Uint8Array(this.#waitingBytes);
    let at = 0;
    for (const one of this.#waiting) {
      bytes.set(one, at);
      at += one.length;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    return bytes;
  }

  /** The process ends now. The last lines say why, so they get a moment; a stuck pipe does not get more. */
  end(): void {
    if (this.#underWay) {
      if (performance.now() - this.#sinceMs > stuckMs) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lastWriteMs);
    }
    this.#writeNow(this.#takeWaiting());
  }
}

type Written = (error: Error | null, count: number) => void;

/** Deno's `fs.write` blocks where the descriptor does, its own streams do not. */
const streams = (globalThis as { readonly Deno?: Record<"stdout" | "stderr", AsideWriter> }).Deno;

interface AsideWriter {
  write(bytes: Uint8Array): Promise<number>;
}

function writeAside(descriptor: number, bytes: Uint8Array, done: Written): void {
  if (streams === undefined) return fs.write(descriptor, bytes, 0, bytes.length, null, done);
  streams[descriptor === 1 ? "stdout" : "stderr"].write(bytes).then(
    (count) => done(null, count),
    (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), 0),
  );
}

function isFile(descriptor: number): boolean {
  try {
    return fs.fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}

function isFull(error: unknown): boolean {
  return systemCodeOf(error) === "EAGAIN" || (error instanceof Error && error.name === "WouldBlock");
}

function reasonOf(error: unknown): string {
  const code = systemCodeOf(error);
  return code !== "" ? code : error instanceof Error ? error.message : String(error);
}
