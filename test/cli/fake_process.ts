/**
 * A process port whose terminal is a script and whose output is text.
 */
import type { ShellRuntime } from "../../src/cli/shell.ts";

export interface FakeProcess {
  readonly runtime: ShellRuntime;
  /** What was written since the last look. */
  takeOut(): string;
  takeErr(): string;
  /** Every prompt that was shown. */
  readonly prompts: string[];
  completer: ((line: string) => Promise<[string[], string]>) | null;
}

/** A line to type, or something to do first. */
export type Typed = string | (() => Promise<string>);

export function fakeProcess(
  real: ShellRuntime,
  typed: readonly Typed[] = [],
  isTerminal = false,
): FakeProcess {
  let out = "";
  let err = "";
  const left = [...typed];
  const fake: FakeProcess = {
    prompts: [],
    completer: null,
    takeOut() {
      const text = out;
      out = "";
      return text;
    },
    takeErr() {
      const text = err;
      err = "";
      return text;
    },
    runtime: {
      tcp: real.tcp,
      clock: real.clock,
      process: {
        ...real.process,
        stdout: (text) => void (out += text),
        stderr: (text) => void (err += text),
        isTerminal: () => isTerminal,
        terminal: {
          async question(prompt) {
            fake.prompts.push(prompt);
            const next = left.shift() ?? null;
            return typeof next === "function" ? await next() : next;
          },
          complete(completer) {
            fake.completer = completer;
          },
          history() {},
          close() {},
        },
      },
    },
  };
  return fake;
}
