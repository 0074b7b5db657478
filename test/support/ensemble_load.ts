/**
 * Ensemble load: writes that go on while members come and go, and what was promised to the writer.
 *
 * Each write creates a znode of its own. A write that was answered must be there for ever; one whose
 * connection was lost may be there or not, once at most.
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

export class Load {
  readonly parent: string;
  /** Paths whose create was answered. */
  readonly acked = new Set<string>();
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
        this.#acknowledged(path);
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

  #acknowledged(path: string): void {
    const now = performance.now();
    this.gapMsLongest = Math.max(this.gapMsLongest, now - this.#ackedAt);
    this.#ackedAt = now;
    this.acked.add(path);
  }

  /** Waits for so many more writes to be answered. */
  async more(count: number, ms = 20_000): Promise<void> {
    const wanted = this.acked.size + count;
    const until = performance.now() + ms;
    while (this.acked.size < wanted) {
      if (this.fault !== null) throw this.fault;
      if (performance.now() > until) {
        throw new Error(
          `Only ${this.acked.size - wanted + count} of ${count} writes were answered in ${ms} ms`,
        );
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
    const lost = [...this.acked].filter((path) => !dump.has(path));
    if (lost.length > 0) {
      throw new Error(
        `${lost.length} of ${this.acked.size} answered writes are lost: ${lost.slice(0, 10).join(" ")}`,
      );
    }
  }
}
