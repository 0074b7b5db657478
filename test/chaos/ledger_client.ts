/**
 * Ledger client: a pipeline of creates, deletes, writes and multis on znodes of its own, through
 * whatever happens to its connection.
 *
 * When a connection is lost, of the requests in flight a first part happened and nothing behind it,
 * and no multi is half there. What is still on its way at that moment can no longer happen once the
 * session was taken up again elsewhere or has ended, so then it is looked at and settled.
 */
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import { ErrorCode, errorName } from "../../src/core/wire/errors.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readNamesReply } from "../../src/core/wire/replies.ts";
import { type Deed, Ledger } from "../crash/ledger.ts";
import {
  createBody,
  multiBody,
  pathBody,
  pathNumberBody,
  pathWatchBody,
  setDataBody,
} from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import type { ChaosSession, Reply } from "./session.ts";

const namesMax = 60;

export class LedgerClient {
  readonly session: ChaosSession;
  readonly ledger: Ledger;
  readonly path: string;
  readonly #random: Random;
  readonly #depth: number;
  readonly #pauseMs: number;
  #number = 0;
  #value = 0;
  readonly #beingDeleted = new Set<string>();

  constructor(
    session: ChaosSession,
    random: Random,
    start: { readonly path: string; readonly depth: number; readonly pauseMs: number },
  ) {
    this.session = session;
    this.path = start.path;
    this.ledger = new Ledger(session.name);
    this.#random = random;
    this.#depth = start.depth;
    this.#pauseMs = start.pauseMs;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (!await this.session.connected(200)) continue;
      if (!await this.settle()) continue;
      const { id } = this.session;
      let broken = false;
      await Promise.all(Array.from({ length: this.#depth }, async () => {
        while (!broken && !isOver() && this.session.id === id) {
          if (!await this.#one()) broken = true;
          else await sleep(this.#random.below(2 * this.#pauseMs + 1));
        }
      }));
    }
  }

  /** One deed; false when its answer was lost. */
  async #one(): Promise<boolean> {
    if (!this.session.isConnected) return false;
    const deed = this.#nextDeed();
    this.ledger.asked(deed);
    const { op, body } = this.#requestOf(deed);
    const answer = await this.session.request(op, body, (reply) => this.#answered(deed, reply));
    return answer.kind === "reply";
  }

  #answered(deed: Deed, reply: Reply): void {
    const { judge, name } = this.session;
    if (reply.err !== ErrorCode.Ok) {
      judge.violation(`${name}: ${JSON.stringify(deed)} was refused with ${errorName(reply.err)}`);
    }
    const problem = this.ledger.acked(reply.zxid);
    // A new session may begin at a server that is behind; only the session itself is held to that.
    if (problem !== null && !problem.includes("zxid")) judge.violation(problem);
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
    const count = (value: number) => setDataBody(this.path, bytesOf(String(value)), -1);
    switch (deed.kind) {
      case "create":
        return { op: OpCode.Create, body: createBody(`${this.path}/${deed.name}`, bytesOf(deed.name)) };
      case "delete":
        return { op: OpCode.Delete, body: pathNumberBody(`${this.path}/${deed.name}`, -1) };
      case "count":
        return { op: OpCode.SetData, body: count(deed.value) };
      case "pair":
        return {
          op: OpCode.Multi,
          body: multiBody([
            { op: OpCode.Create, body: createBody(`${this.path}/${deed.names[0]}`, null) },
            { op: OpCode.SetData, body: count(deed.value) },
            { op: OpCode.Create, body: createBody(`${this.path}/${deed.names[1]}`, null) },
          ]),
        };
    }
  }

  /** Looks at what is there and compares; false when the look itself was lost. */
  async settle(): Promise<boolean> {
    const { session } = this;
    const [synced, names, data] = await Promise.all([
      session.request(OpCode.Sync, pathBody(this.path)),
      session.request(OpCode.GetChildren, pathWatchBody(this.path, false)),
      session.request(OpCode.GetData, pathWatchBody(this.path, false)),
    ]);
    if (synced.kind === "lost" || names.kind === "lost" || data.kind === "lost") return false;
    if (names.err !== ErrorCode.Ok || data.err !== ErrorCode.Ok) {
      session.judge.violation(`${session.name}: ${this.path} answered ${errorName(names.err)}`);
      return true;
    }
    if (data.zxid < this.ledger.zxidLast) {
      session.judge.violation(
        `${session.name}: after a sync the server is at 0x${data.zxid.toString(16)}, 0x${
          this.ledger.zxidLast.toString(16)
        } was acknowledged`,
      );
    }
    const bytes = new Reader(data.body).buffer();
    const found = {
      names: new Set(readNamesReply(new Reader(names.body))),
      count: bytes === null ? -1 : Number(textOf(bytes)),
    };
    const inFlight = this.ledger.inFlight;
    for (const problem of this.ledger.settle(found)) {
      session.judge.violation(`${problem} (session 0x${session.id.toString(16)}, ${inFlight} in flight)`);
    }
    this.#beingDeleted.clear();
    return true;
  }
}
