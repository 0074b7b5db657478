/**
 * The terminal: lines from standard input, for the shell.
 *
 * Piped or typed, every line is delivered once and in order, however many arrive in one piece;
 * after the last one each question is answered with null. (`question` of `node:readline/promises`
 * drops the lines that come while nobody asks, so lines are queued here.) On a terminal there are
 * history and completion, and what is printed while a question waits appears above it. Readline is
 * loaded at the first question of a person: a server and a script have none.
 *
 * Only LF, CR and CRLF end a line. Readline ends one at U+2028 and U+2029 as well, and the rest of a
 * value would be run as a command; so piped lines are cut here, and a typed one is put together again.
 */
import nodeProcess from "node:process";
import type { Interface } from "node:readline";
import type { TerminalPort } from "../ports.ts";

/** Lines read ahead of the questions; beyond it, reading waits. */
const linesAheadMax = 1024;
const historyLinesMax = 1000;

type Completer = (line: string) => Promise<[string[], string]>;

interface Input {
  pause(): unknown;
  resume(): unknown;
  close(): void;
}

let opened: Input | null = null;
/** The same, where a person types. */
let typed: Interface | null = null;
let ended = false;
let asking: ((line: string | null) => void) | null = null;
let completer: Completer | null = null;
/** Newest first, as readline keeps it. */
let history: string[] = [];
const lines: string[] = [];

export interface PrintingTerminal extends TerminalPort {
  /** Runs `print` with the waiting question, if any, taken off the screen and put back below. */
  printAround(print: () => void): void;
}

export const terminal: PrintingTerminal = {
  async question(prompt) {
    const input = ended ? null : opened ??= isInteractive() ? await openTyped() : openPiped();
    const line = lines.shift();
    if (line !== undefined) {
      if (lines.length === 0 && !ended) input?.resume();
      return line;
    }
    if (input === null || ended) return null;
    return await new Promise((resolve) => {
      asking = (answer) => {
        asking = null;
        resolve(answer);
      };
      typed?.setPrompt(prompt);
      typed?.prompt();
    });
  },
  complete(call) {
    completer = call;
  },
  history(past) {
    history = past.slice(-historyLinesMax).reverse();
  },
  close() {
    ended = true;
    opened?.close();
    nodeProcess.stdin.unref?.();
  },
  printAround(print) {
    if (typed === null || asking === null) return print();
    // To the first column, and clear to the end of the screen.
    nodeProcess.stdout.write("\r\x1b[J");
    print();
    typed.prompt(true);
  },
};

function isInteractive(): boolean {
  return nodeProcess.stdin.isTTY === true && nodeProcess.stdout.isTTY === true;
}

function takeLine(line: string): void {
  if (asking !== null) return asking(line);
  lines.push(line);
  if (lines.length >= linesAheadMax) opened?.pause();
}

function inputEnded(): void {
  ended = true;
  asking?.(null);
}

function openPiped(): Input {
  const { stdin } = nodeProcess;
  const decoder = new TextDecoder();
  let begun = "";
  const take = (text: string): void => {
    // A CR at the very end may be the first half of a CRLF.
    const parts = (begun + text).split(/\r\n|\n|\r(?!$)/);
    begun = parts.pop() ?? "";
    for (const part of parts) takeLine(part);
  };
  stdin.on("data", (bytes: Uint8Array) => take(decoder.decode(bytes, { stream: true })));
  stdin.once("end", () => {
    take(decoder.decode());
    if (begun !== "") takeLine(begun.replace(/\r$/, ""));
    inputEnded();
  });
  stdin.once("error", inputEnded);
  return {
    pause: () => stdin.pause(),
    resume: () => stdin.resume(),
    close: () => {
      stdin.pause();
      inputEnded();
    },
  };
}

async function openTyped(): Promise<Interface> {
  const { createInterface } = await import("node:readline");
  /** What ended a line and must not. */
  let separator = "";
  let begun = "";
  // Heard before readline hears it.
  nodeProcess.stdin.on("keypress", (text: string | undefined) => {
    if (text === "\u2028" || text === "\u2029") separator = text;
  });
  const input = createInterface({
    input: nodeProcess.stdin,
    output: nodeProcess.stdout,
    terminal: true,
    history,
    historySize: historyLinesMax,
    completer: (line: string, call: (error: Error | null, result: [string[], string]) => void) => {
      if (completer === null) return call(null, [[], line]);
      // A completion that fails, because the server is away, completes nothing.
      completer(line).then((found) => call(null, found), () => call(null, [[], line]));
    },
  });
  typed = input;
  input.on("line", (line) => {
    const whole = begun + line;
    begun = separator === "" ? "" : whole + separator;
    if (separator === "") takeLine(whole);
    separator = "";
  });
  input.on("close", inputEnded);
  // Ctrl-C: drops a half-typed line, ends at an empty one, and stops a command that runs.
  input.on("SIGINT", () => {
    if (asking === null) nodeProcess.exit(130);
    if (begun + input.line === "") return input.close();
    begun = "";
    input.write(null, { ctrl: true, name: "e" });
    input.write(null, { ctrl: true, name: "u" });
  });
  return input;
}
