/**
 * Driver: the same steps on two servers in lock-step, and every line of text compared.
 *
 * A step is sent to both, then both are waited for; so at any moment one connection is active and
 * all that follows is determined: replies, their zxids, and each connection's events in order. The
 * acting slot is compared after each step, all slots at every barrier. closeSession deletes in an
 * order of its own, so there the lines of the step are sorted.
 */
import { OpCode, WatcherType } from "../../../src/core/wire/opcodes.ts";
import { pathNumberBody } from "../../support/bodies.ts";
import type { Random } from "../../support/random.ts";
import { Generator } from "./generator.ts";
import type { Side } from "./side.ts";
import { type Request, type Step, stepText } from "./step.ts";
import { slotCount, watchRule } from "./vocabulary.ts";

const barrierEvery = 20;
/** The two stamp a txn within this of each other, or one of them has its time from elsewhere. */
const clockMsApart = 5000;
const historyKept = 25;

export interface Difference {
  readonly step: number;
  readonly text: string;
}

export interface RunResult {
  readonly steps: number;
  readonly requests: number;
  readonly differences: readonly Difference[];
}

export interface RunOptions {
  readonly quotaEnforced: boolean;
  readonly requests: number;
  readonly differencesMax: number;
  /** Ends the run early, in good order. */
  readonly untilMs: number;
  readonly progress?: (requests: number) => void;
  /** Is told every step and every line of the left side. */
  readonly log?: (line: string) => void;
}

const closeRequest: Request = {
  op: -11,
  xid: 7,
  body: new Uint8Array(0),
  path: null,
  subs: null,
  text: "closeSession",
};

export class Driver {
  readonly #left: Side;
  readonly #right: Side;
  readonly #random: Random;
  readonly #history: string[] = [];
  readonly #differences: Difference[] = [];
  readonly #watchesToForget: string[] = [];
  #steps = 0;
  #log: (line: string) => void = () => {};

  constructor(left: Side, right: Side, random: Random) {
    this.#left = left;
    this.#right = right;
    this.#random = random;
  }

  async run(options: RunOptions): Promise<RunResult> {
    const until = performance.now() + options.untilMs;
    this.#log = options.log ?? (() => {});
    const generator = new Generator({
      random: this.#random,
      facts: this.#left.facts,
      quotaEnforced: options.quotaEnforced,
    });
    let requests = 0;
    for (let slot = 0; slot < slotCount; slot++) {
      await this.#both((side) => side.connect(slot, { readOnly: false, timeoutMs: 60_000 }, false));
    }
    while (requests < options.requests && performance.now() < until) {
      if (this.#differences.length >= options.differencesMax) break;
      const step = generator.next();
      this.#steps++;
      this.#history.push(`${this.#steps} ${stepText(step)}`);
      this.#log(this.#history.at(-1) ?? "");
      if (this.#history.length > historyKept) this.#history.shift();
      requests += step.kind === "requests" ? step.requests.length : 1;
      await this.#do(step);
      if (this.#steps % barrierEvery === 0) await this.#barrier(false);
      if (this.#steps % 500 === 0) options.progress?.(requests);
    }
    await this.#barrier(false);
    this.#compareTimes();
    return { steps: this.#steps, requests, differences: this.#differences };
  }

  /** The last steps, for a person. */
  history(): string {
    return this.#history.map((line) => `  ${line}`).join("\n");
  }

  async #both(act: (side: Side) => Promise<unknown>): Promise<void> {
    await Promise.all([act(this.#left), act(this.#right)]);
  }

  async #do(step: Step): Promise<void> {
    const { slot } = step;
    switch (step.kind) {
      case "requests":
        await this.#both((side) => side.ask(slot, step.requests));
        await this.#afterClosing(slot);
        break;
      case "raw":
        await this.#both((side) => side.raw(slot, step.bytes));
        await this.#reattach(slot, 60_000);
        break;
      case "renew":
        await this.#barrier(false);
        await this.#both(async (side) => {
          await side.ask(slot, [closeRequest]);
          await side.untilClosed(slot, 5000);
          side.forget(slot);
        });
        await this.#barrier(true);
        await this.#both((side) =>
          side.connect(slot, {
            timeoutMs: step.timeoutMs,
            password: step.passwordSent ? new Uint8Array(16).fill(7) : null,
            readOnly: step.passwordSent ? undefined : false,
          }, false)
        );
        break;
      case "reattach":
        // Events on their way to the old connection would come or not, as chance has it.
        await this.#barrier(false);
        await this.#reattachAs(step);
    }
    this.#compare(slot, false);
    await this.#forgetWatches(slot);
  }

  /** A connection that a request has ended on either side is ended on both, or that is a difference. */
  async #afterClosing(slot: number): Promise<void> {
    if (this.#left.isOpen(slot) && this.#right.isOpen(slot)) {
      // An unknown operation and a failed auth are answered first and closed then.
      const last = this.#history.at(-1) ?? "";
      if (!/unknown op|that fails/.test(last)) return;
    }
    await this.#both((side) => side.untilClosed(slot, 3000));
    await this.#reattach(slot, 60_000);
  }

  async #reattach(slot: number, timeoutMs: number): Promise<void> {
    await this.#both(async (side) => {
      side.cut(slot);
      await side.connect(slot, { timeoutMs, readOnly: false }, true);
    });
    await this.#renewIfLost(slot);
  }

  /** A difference may have cost a side its session; the run goes on with new ones. */
  async #renewIfLost(slot: number): Promise<void> {
    await this.#both(async (side) => {
      if (side.isOpen(slot)) return;
      side.forget(slot);
      await side.connect(slot, { timeoutMs: 60_000, readOnly: false }, false);
    });
  }

  async #reattachAs(step: Extract<Step, { kind: "reattach" }>): Promise<void> {
    const { slot, timeoutMs } = step;
    await this.#both(async (side) => {
      const old = side.connectionOf(slot);
      // DIVERGENCES "a wrong password does not close the live connection": so it is cut first.
      if (step.variant !== "takeover") side.cut(slot);
      switch (step.variant) {
        case "wrong password":
          await side.connect(
            slot,
            { timeoutMs, readOnly: false, password: new Uint8Array(16).fill(1) },
            true,
          );
          break;
        case "unknown session":
          await side.connect(slot, { timeoutMs, readOnly: true, sessionId: 0x7777n }, true);
          break;
        case "future zxid":
          await side.connect(slot, { timeoutMs, readOnly: false, lastZxidSeen: 1n << 40n }, true);
          break;
      }
      const readOnly = step.variant === "no readOnly byte" ? undefined : false;
      const lastZxidSeen = BigInt(side.facts.zxidLast);
      await side.connect(slot, { timeoutMs, readOnly, lastZxidSeen }, true);
      if (step.variant === "takeover" && old !== null && !await old.untilClosed(5000)) {
        throw new Error(`${side.name} keeps the old connection of a session that moved`);
      }
    });
    await this.#renewIfLost(slot);
  }

  async #barrier(sorted: boolean): Promise<void> {
    await this.#both((side) => side.barrier());
    for (let slot = 0; slot < slotCount; slot++) this.#compare(slot, sorted);
  }

  #compare(slot: number, sorted: boolean): void {
    const left = this.#left.takeLines(slot);
    const right = this.#right.takeLines(slot);
    for (const line of left) this.#log(`    ${slot} ${line}`);
    if (sorted) {
      left.sort();
      right.sort();
    }
    const count = Math.max(left.length, right.length);
    for (let i = 0; i < count; i++) {
      if (left[i] === right[i] || this.#levelled(left[i] ?? "", right[i] ?? "")) continue;
      const text = [
        `slot ${slot}, line ${i + 1} of ${count}:`,
        `  ${this.#left.name}: ${left[i] ?? "(nothing)"}`,
        `  ${this.#right.name}: ${right[i] ?? "(nothing)"}`,
        ...(this.#differences.length === 0
          ? ["the steps before it:", this.history()]
          : [this.#history.at(-1) ?? ""]),
      ].join("\n");
      this.#differences.push({ step: this.#steps, text });
      return;
    }
  }

  /**
   * DIVERGENCES "exists needs READ": there a Stat, here -102. It also set a watch there that it did
   * not here, so such a watch is taken away on both sides.
   */
  #levelled(left: string, right: string): boolean {
    const there = left.match(/^reply to exists (.*) (xid=\S+ zxid=\S+) err=0 /);
    const here = right.match(/^reply to exists (.*) (xid=\S+ zxid=\S+) err=-102$/);
    if (there === null || here === null || there[1] !== here[1] || there[2] !== here[2]) return false;
    const path: unknown = JSON.parse(there[1] ?? "null");
    // Persistent watches were not set by an exists, and 3.8.0 would take them away with it.
    if (typeof path === "string" && watchRule(path).kind === "standard") this.#watchesToForget.push(path);
    return true;
  }

  async #forgetWatches(slot: number): Promise<void> {
    for (const path of this.#watchesToForget.splice(0)) {
      const request: Request = {
        op: OpCode.RemoveWatches,
        xid: 9,
        body: pathNumberBody(path, WatcherType.Data),
        path: null,
        subs: null,
        text: "removeWatches",
      };
      await this.#both(async (side) => {
        await side.ask(slot, [request]);
        side.takeLines(slot);
      });
    }
  }

  #compareTimes(): void {
    const right = this.#right.facts.timeByZxid;
    for (const [zxid, ms] of this.#left.facts.timeByZxid) {
      const other = right.get(zxid);
      if (other === undefined || Math.abs(other - ms) <= clockMsApart) continue;
      this.#differences.push({ step: this.#steps, text: `Time of txn ${zxid}: ${ms} and ${other}` });
      return;
    }
  }
}
