/**
 * Canary: a well-behaved client beside the hostile ones. Every 50 ms it writes a number and reads it
 * back; a slow, wrong or missing answer is a failure of the run.
 */
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { createBody, pathWatchBody, setDataBody } from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import { WireSession } from "../support/wire_session.ts";

const pauseMs = 50;

export class Canary {
  rounds = 0;
  latencyMsMax = 0;
  readonly #latencies: number[] = [];
  readonly #session: WireSession;
  readonly #path: string;
  #value = 0;
  #singing = true;
  #song: Promise<void> = Promise.resolve();
  failure: Error | null = null;

  private constructor(session: WireSession, path: string) {
    this.#session = session;
    this.#path = path;
  }

  static async start(port: number, path: string): Promise<Canary> {
    const session = await WireSession.connect(port, { timeoutMs: 30_000 });
    await session.ask(OpCode.Create, createBody(path, bytesOf("0")));
    const canary = new Canary(session, path);
    canary.#song = canary.#sing();
    return canary;
  }

  async #sing(): Promise<void> {
    try {
      while (this.#singing) {
        const begun = performance.now();
        await this.#round();
        const took = performance.now() - begun;
        this.rounds++;
        this.#latencies.push(took);
        if (took > this.latencyMsMax) this.latencyMsMax = took;
        await sleep(Math.max(1, pauseMs - took));
      }
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
    }
  }

  async #round(): Promise<void> {
    const value = String(++this.#value);
    const written = await this.#session.ask(
      OpCode.SetData,
      setDataBody(this.#path, bytesOf(value), -1),
      15_000,
    );
    if (written.err !== 0) throw new Error(`Canary's setData got ${written.err}`);
    const read = await this.#session.ask(OpCode.GetData, pathWatchBody(this.#path, false), 15_000);
    if (read.err !== 0) throw new Error(`Canary's getData got ${read.err}`);
    const data = new Reader(read.body).buffer();
    const found = data === null ? "null" : textOf(data);
    if (found !== value) throw new Error(`Canary wrote ${value} and read ${found}`);
  }

  /** What the znode must hold from now on. */
  get value(): string {
    return String(this.#value);
  }

  latencyMs(share: number): number {
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }

  async stop(): Promise<void> {
    this.#singing = false;
    await this.#song;
    if (this.failure === null) await this.#session.close();
    else this.#session.drop();
  }
}
