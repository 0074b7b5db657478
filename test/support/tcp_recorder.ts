/**
 * Recorder: a TcpHandler that keeps what it is told and checks the order it is told it in.
 */
import assert from "node:assert/strict";
import type { TcpHandler } from "../../src/runtime/ports.ts";
import { sleep } from "./places.ts";

export class TcpRecorder implements TcpHandler {
  readonly chunks: Uint8Array[] = [];
  byteCount = 0;
  endedCount = 0;
  drainedCount = 0;
  closedCount = 0;
  cause: Error | null = null;
  /** What was told out of order; a test looks here at its end. */
  readonly faults: string[] = [];
  onData: (bytes: Uint8Array) => void = () => {};
  onEnded: () => void = () => {};
  onDrained: () => void = () => {};
  #nesting = 0;

  data(bytes: Uint8Array): void {
    this.#told("data", () => {
      this.chunks.push(bytes);
      this.byteCount += bytes.length;
      this.onData(bytes);
    });
  }

  ended(): void {
    this.#told("ended", () => {
      this.endedCount++;
      this.onEnded();
    });
  }

  drained(): void {
    this.#told("drained", () => {
      this.drainedCount++;
      this.onDrained();
    });
  }

  closed(cause: Error | null): void {
    this.#told("closed", () => {
      this.closedCount++;
      this.cause = cause;
    });
  }

  text(): string {
    return new TextDecoder().decode(Buffer.concat(this.chunks));
  }

  #told(what: string, then: () => void): void {
    if (this.closedCount > 0) this.faults.push(`${what} after closed`);
    if (this.#nesting > 0) this.faults.push(`${what} inside another call`);
    this.#nesting++;
    then();
    this.#nesting--;
  }
}

/** Waits until `condition` holds, or fails with `what`. */
export async function until(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `still not so after ${ms} ms: ${what}`);
    await sleep(2);
  }
}
