/**
 * Ephemeral clients: an ephemeral lives exactly as long as its session.
 *
 * The keeper never closes; as long as its session can be taken up again its znode is there. The
 * leavers go away without a word: their znodes stay while the session could still be alive, and are
 * gone once it has run out.
 */
import { ErrorCode, errorName } from "../../src/core/wire/errors.ts";
import { CreateMode, OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readStatReply } from "../../src/core/wire/replies.ts";
import { createBody, pathBody, pathWatchBody } from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import type { Judge } from "./judge.ts";
import { ChaosSession, expiryMarginMs } from "./session.ts";

const keeperPauseMs = 100;

export class Keeper {
  readonly session: ChaosSession;
  readonly #path: string;
  #count = 0;

  constructor(session: ChaosSession, path: string) {
    this.session = session;
    this.#path = path;
  }

  async run(isOver: () => boolean): Promise<void> {
    const { session } = this;
    while (!isOver()) {
      if (!await session.connected(200)) continue;
      const { id } = session;
      const path = `${this.#path}/${session.name}.${++this.#count}`;
      const made = await session.request(OpCode.Create, createBody(path, null, CreateMode.Ephemeral));
      if (made.kind === "lost") continue;
      while (!isOver() && session.id === id) {
        if (await session.connected(200) && session.id === id) await this.#look(path, id);
        await sleep(keeperPauseMs);
      }
    }
  }

  async #look(path: string, id: bigint): Promise<void> {
    const { session } = this;
    const [, answer] = await Promise.all([
      session.request(OpCode.Sync, pathBody(path)),
      session.request(OpCode.Exists, pathWatchBody(path, false)),
    ]);
    if (answer.kind === "lost" || session.id !== id) return;
    if (answer.err === ErrorCode.Ok) {
      const { ephemeralOwner } = readStatReply(new Reader(answer.body));
      if (ephemeralOwner === id) return;
      session.judge.violation(`${session.name}: ${path} belongs to 0x${ephemeralOwner.toString(16)}`);
      return;
    }
    // The session may have been expired by the leader without this server's knowing yet; a write tells.
    const probe = await session.request(
      OpCode.Create,
      createBody(`${path}-probe`, null, CreateMode.Ephemeral),
    );
    if (probe.kind === "lost" || probe.err !== ErrorCode.Ok || session.id !== id) return;
    session.judge.violation(
      `${session.name}: ${path} answers ${errorName(answer.err)} and session 0x${
        id.toString(16)
      } still writes`,
    );
  }
}

interface Left {
  readonly path: string;
  readonly owner: bigint;
}

/** Those who leave, one after the other, and one who looks after what they left. */
export class Leavers {
  readonly left: Left[] = [];
  readonly #open: (name: string, timeoutMs: number) => ChaosSession;
  readonly #observer: ChaosSession;
  readonly #path: string;
  readonly #judge: Judge;
  readonly #random: Random;
  readonly #timeoutMs: number;
  #count = 0;

  constructor(
    start: {
      readonly open: (name: string, timeoutMs: number) => ChaosSession;
      readonly observer: ChaosSession;
      readonly path: string;
      readonly judge: Judge;
      readonly random: Random;
      readonly timeoutMs: number;
    },
  ) {
    this.#open = start.open;
    this.#observer = start.observer;
    this.#path = start.path;
    this.#judge = start.judge;
    this.#random = start.random;
    this.#timeoutMs = start.timeoutMs;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const name = `left${++this.#count}`;
      const session = this.#open(name, this.#timeoutMs);
      const path = `${this.#path}/${name}`;
      if (await session.connected(1000)) {
        const made = await session.request(OpCode.Create, createBody(path, null, CreateMode.Ephemeral));
        if (made.kind === "reply" && made.err === ErrorCode.Ok) {
          this.left.push({ path, owner: session.id });
          const safeUntilMs = session.confirmedMs + session.timeoutMs - expiryMarginMs(session.timeoutMs);
          await session.abandon();
          await this.#lookEarly(path, safeUntilMs);
        }
      }
      await session.abandon();
      const until = this.#judge.nowMs + 300 + this.#random.below(700);
      while (!isOver() && this.#judge.nowMs < until) await sleep(50);
    }
  }

  /** An answer from before the session can have run out has to show the znode. */
  async #lookEarly(path: string, safeUntilMs: number): Promise<void> {
    await sleep(this.#random.below(200));
    const [synced, there] = await Promise.all([
      this.#observer.request(OpCode.Sync, pathBody(path)),
      this.#observer.request(OpCode.Exists, pathWatchBody(path, false)),
    ]);
    if (synced.kind === "lost" || there.kind === "lost" || synced.err !== ErrorCode.Ok) return;
    if (there.err !== ErrorCode.NoNode || this.#judge.nowMs > safeUntilMs) return;
    this.#judge.violation(`${path} is gone long before its session ran out`);
  }

  /** After everything was well for longer than a session lasts: nothing of theirs may be there. */
  stillThere(dump: ReadonlyMap<string, unknown>): string[] {
    return this.left.filter(({ path }) => dump.has(path)).map(({ path, owner }) =>
      `${path} of session 0x${owner.toString(16)} outlived it`
    );
  }
}
