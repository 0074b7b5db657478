/**
 * Ensemble load: writes that go on while members come and go, and what was promised to the writer.
 *
 * Each writer creates a znode now and then and counts in it by setData, so that the tree stays small. A
 * write that was answered must be there for ever; one whose connection was lost may be there or not.
 */
import { ZkError } from "../../src/client/zk_error.ts";
import type { Client } from "../../src/client/client.ts";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { clientOf, type TreeDump } from "./ensemble_compare.ts";
import type { Member } from "./member.ts";
import { sleep } from "./places.ts";

export interface LoadOptions {
  readonly clients?: number;
  /** Of each client, at once. */
  readonly inFlight?: number;
  readonly parent?: string;
  readonly dataBytes?: number;
}

/** setData calls of one znode. */
const writesEach = 20;

export class Load {
  readonly parent: string;
  /** Path to the version that was last answered. */
  readonly acked = new Map<string, number>();
  /** Writes that were answered. */
  answered = 0;
  /** The longest time between two answers, of all clients together. */
  gapMsLongest = 0;
  /** What a writer could not live with. */
  fault: Error | null = null;
  readonly #clients: Client[] = [];
  readonly #workers: Promise<void>[] = [];
  #stopping = false;
  #ackedAt = performance.now();
  #count = 0;

  private constructor(parent: string) {
    this.parent = parent;
  }

  /** Each client knows all the members. */
  static async start(members: readonly Member[], options: LoadOptions = {}): Promise<Load> {
    const load = new Load(options.parent ?? "/load");
    const first = await clientOf(members);
    await first.create(load.parent).catch((error: unknown) => {
      if (!(error instanceof ZkError && error.code === ErrorCode.NodeExists)) throw error;
    });
    load.#clients.push(first);
    for (let i = 1; i < (options.clients ?? 2); i++) load.#clients.push(await clientOf(members));
    load.#ackedAt = performance.now();
    const data = bytesOf("x".repeat(options.dataBytes ?? 32));
    for (const client of load.#clients) {
      for (let i = 0; i < (options.inFlight ?? 4); i++) load.#workers.push(load.#write(client, data));
    }
    return load;
  }

  async #write(client: Client, data: Uint8Array): Promise<void> {
    while (!this.#stopping && this.fault === null) {
      const path = `${this.parent}/n${this.#count++}`;
      try {
        await client.create(path, data);
        this.#acknowledged(path, 0);
        for (let i = 0; i < writesEach && !this.#stopping; i++) {
          const { version } = await client.setData(path, data);
          this.#acknowledged(path, version);
        }
      } catch (error) {
        if (!(error instanceof ZkError)) throw error;
        if (error.code === ErrorCode.ConnectionLoss) {
          await sleep(5);
          continue;
        }
        this.fault ??= new Error(`A write to ${path} failed: ${error.message}`, { cause: error });
      }
    }
  }

  #acknowledged(path: string, version: number): void {
    const now = performance.now();
    this.gapMsLongest = Math.max(this.gapMsLongest, now - this.#ackedAt);
    this.#ackedAt = now;
    this.acked.set(path, version);
    this.answered++;
  }

  /** Waits for so many more writes to be answered. */
  async more(count: number, ms = 40_000): Promise<void> {
    const before = this.answered;
    const until = performance.now() + ms;
    while (this.answered < before + count) {
      if (this.fault !== null) throw this.fault;
      if (performance.now() > until) {
        throw new Error(`Only ${this.answered - before} of ${count} writes were answered in ${ms} ms`);
      }
      await sleep(10);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers);
    await Promise.all(this.#clients.map((client) => client.close()));
    if (this.fault !== null) throw this.fault;
  }

  /** Throws when an answered write is not in the tree. */
  verify(dump: TreeDump): void {
    const lost = [...this.acked].filter(([path, version]) => {
      const there = dump.get(path)?.match(/ version=(\d+) /)?.[1];
      return there === undefined || Number(there) < version;
    });
    if (lost.length === 0) return;
    const told = lost.slice(0, 10).map(([path, version]) =>
      `${path} version ${version}, found: ${dump.get(path)}`
    );
    throw new Error(
      `Answered writes to ${lost.length} of ${this.acked.size} znodes are lost: ${told.join("\n")}`,
    );
  }
}
