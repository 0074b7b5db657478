/**
 * Writer: one connection that keeps a pipeline of creates, deletes, setData and multis going until
 * the server dies under it.
 *
 * All its znodes are children of one of its own, named only once ever, so that each can be told from
 * every other after a crash.
 */
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { createBody, multiBody, pathNumberBody, pathWatchBody, setDataBody } from "../support/bodies.ts";
import type { Random } from "../support/random.ts";
import { WireSession } from "../support/wire_session.ts";
import { type Deed, type Found, Ledger } from "./ledger.ts";

/** More would make the look at the end slow. */
const namesMax = 400;

export const crashRoot = "/crash";

export class Writer {
  readonly ledger: Ledger;
  readonly problems: string[] = [];
  readonly #path: string;
  readonly #random: Random;
  #number = 0;
  #value = 0;
  readonly #beingDeleted = new Set<string>();

  constructor(index: number, random: Random) {
    this.#path = `${crashRoot}/w${index}`;
    this.ledger = new Ledger(`w${index}`);
    this.#random = random;
  }

  async prepare(session: WireSession): Promise<void> {
    const reply = await session.ask(OpCode.Create, createBody(this.#path, bytesOf("0")));
    if (reply.err !== 0) throw new Error(`Cannot make ${this.#path}: ${reply.err}`);
  }

  /** Writes until the connection ends. `depth` requests are on their way at any time. */
  async run(port: number, depth: number): Promise<void> {
    let session: WireSession;
    try {
      session = await WireSession.connect(port, { timeoutMs: 60_000 });
    } catch {
      // Killed before it could let us in: nothing was asked.
      return;
    }
    await Promise.all(Array.from({ length: depth }, () => this.#lane(session)));
    if (session.fault !== null) this.problems.push(`${this.ledger.owner}: ${session.fault.message}`);
    session.drop();
  }

  async #lane(session: WireSession): Promise<void> {
    while (!session.connection.closed) {
      const deed = this.#nextDeed();
      this.ledger.asked(deed);
      const { op, body } = this.#requestOf(deed);
      try {
        const reply = await session.request(op, body);
        const failed = reply.err !== 0 ||
          (deed.kind === "pair" && new Reader(reply.body).i32() === OpCode.Error);
        if (failed) {
          this.problems.push(`${this.ledger.owner}: ${JSON.stringify(deed)} was refused with ${reply.err}`);
        }
        const problem = this.ledger.acked(reply.zxid);
        if (problem !== null) this.problems.push(problem);
      } catch {
        // The server is gone; what this deed came to is settled after the restart.
        return;
      }
    }
  }

  #nextDeed(): Deed {
    const kind = this.#random.below(10);
    if (this.ledger.names.size > namesMax || kind < 2) {
      for (const name of this.ledger.names) {
        if (this.#beingDeleted.has(name)) continue;
        this.#beingDeleted.add(name);
        return { kind: "delete", name };
      }
    }
    if (kind < 5) return { kind: "create", name: `n${++this.#number}` };
    if (kind < 8) return { kind: "count", value: ++this.#value };
    const number = ++this.#number;
    return { kind: "pair", names: [`p${number}a`, `p${number}b`], value: ++this.#value };
  }

  #requestOf(deed: Deed): { op: number; body: Uint8Array } {
    switch (deed.kind) {
      case "create":
        return { op: OpCode.Create, body: createBody(`${this.#path}/${deed.name}`, bytesOf(deed.name)) };
      case "delete":
        return { op: OpCode.Delete, body: pathNumberBody(`${this.#path}/${deed.name}`, -1) };
      case "count":
        return { op: OpCode.SetData, body: setDataBody(this.#path, bytesOf(String(deed.value)), -1) };
      case "pair":
        return {
          op: OpCode.Multi,
          body: multiBody([
            { op: OpCode.Create, body: createBody(`${this.#path}/${deed.names[0]}`, null) },
            { op: OpCode.SetData, body: setDataBody(this.#path, bytesOf(String(deed.value)), -1) },
            { op: OpCode.Create, body: createBody(`${this.#path}/${deed.names[1]}`, null) },
          ]),
        };
    }
  }

  /** After a restart: what is there, against what was promised. */
  async settle(session: WireSession): Promise<void> {
    const found = await this.#look(session);
    if (found === null) this.problems.push(`${this.ledger.owner}: ${this.#path} is missing`);
    else this.problems.push(...this.ledger.settle(found));
    // A delete that did not happen may be asked for again.
    this.#beingDeleted.clear();
  }

  async #look(session: WireSession): Promise<Found | null> {
    const children = await session.ask(OpCode.GetChildren, pathWatchBody(this.#path, false));
    const data = await session.ask(OpCode.GetData, pathWatchBody(this.#path, false));
    if (children.err !== 0 || data.err !== 0) return null;
    if (data.zxid < this.ledger.zxidLast) {
      this.problems.push(
        `${this.ledger.owner}: the server is at zxid ${data.zxid}, ${this.ledger.zxidLast} was acknowledged`,
      );
    }
    const names = new Set((new Reader(children.body).strings() ?? []).map((name) => name ?? ""));
    const bytes = new Reader(data.body).buffer();
    return { names, count: bytes === null ? -1 : Number(textOf(bytes)) };
  }
}
