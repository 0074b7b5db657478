/**
 * Judge: one clock, one counter and one list of what went wrong, for a whole run.
 *
 * All clients live in one process, so a counter orders what they saw exactly: what was stamped lower
 * happened before. A promise that was broken is told once, with what shows it.
 */
import type { Finding, RegisterOp } from "./register_check.ts";

const violationsMax = 20;
/** Of one kind: a broken promise tends to be broken again at once, and would hide the others. */
const alikeMax = 3;

export class Judge {
  readonly violations: string[] = [];
  /** Answers to writes that the servers gave, of any kind. */
  acknowledged = 0;
  answers = 0;
  lost = 0;
  expired = 0;
  reconnects = 0;
  /** Times that a client stood still. */
  dozes = 0;
  watchEvents = 0;
  locksHeld = 0;
  #stamps = 0;
  readonly #kinds = new Map<string, number>();
  /** The time of the last answered write, and for whom one is awaited. */
  readonly #awaiting: { sinceMs: number; resolve: (ms: number) => void }[] = [];
  readonly #begunMs = performance.now();

  stamp(): number {
    return ++this.#stamps;
  }

  get nowMs(): number {
    return performance.now() - this.#begunMs;
  }

  violation(sentence: string): void {
    const kind = sentence.replaceAll(/0x[0-9a-f]+|\d+/g, "#").slice(0, 80);
    const alike = (this.#kinds.get(kind) ?? 0) + 1;
    this.#kinds.set(kind, alike);
    if (alike > alikeMax || this.violations.length >= violationsMax) return;
    this.violations.push(`${(this.nowMs / 1000).toFixed(2)} s: ${sentence}`);
  }

  finding(where: string, finding: Finding): void {
    this.violation(`${where}: ${finding.sentence}${finding.ops.map((op) => `\n    ${opText(op)}`).join("")}`);
  }

  /** A write was answered that had been sent at `sentMs`. */
  writeAcked(sentMs: number): void {
    this.acknowledged++;
    for (let i = this.#awaiting.length - 1; i >= 0; i--) {
      const one = this.#awaiting[i];
      if (one === undefined || sentMs < one.sinceMs) continue;
      this.#awaiting.splice(i, 1);
      one.resolve(this.nowMs - one.sinceMs);
    }
  }

  /** How long it takes until a write that is sent from now on is answered. */
  untilWritten(): Promise<number> {
    return new Promise((resolve) => this.#awaiting.push({ sinceMs: this.nowMs, resolve }));
  }
}

export function opText(op: RegisterOp): string {
  const what = op.kind === "write" && op.expected !== null ? `write on ${op.expected}` : op.kind;
  return `${op.client} ${what} ${op.value}: ${op.outcome}, version ${op.version}, mzxid 0x${
    op.mzxid.toString(16)
  }, stamps ${op.called} to ${op.returned}`;
}
