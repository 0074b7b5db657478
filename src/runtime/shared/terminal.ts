/**
 * The terminal: lines from standard input, for the shell.
 *
 * Piped or typed, every line is delivered once and in order, however many arrive in one piece;
 * after the last one each question is answered with null. (`question` of `node:readline/promises`
 * drops the lines that come while nobody asks, so lines are queued here.) On a terminal there are
 * history and completion, and what is printed while a question waits appears above it. Readline is
 * loaded at the first question: a server asks none.
 */
import nodeProcess from "node:process";
import type { Interface } from "node:readline";
import type { TerminalPort } from "../ports.ts";

/** Lines read ahead of the questions; beyond it, reading waits. */
const linesAheadMax = 1024;
const historyLinesMax = 1000;

type Completer = (line: string) => Promise<[string[], string]>;

let opened: Interface | null = null;
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
    const input = ended ? null : opened ?? await open();
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
      if (!isInteractive()) return;
      input.setPrompt(prompt);
      input.prompt();
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
    if (opened === null || asking === null || !isInteractive()) return print();
    // To the first column, and clear to the end of the screen.
    nodeProcess.stdout.write("\r\x1b[J");
    print();
    opened.prompt(true);
  },
};

function isInteractive(): boolean {
  return nodeProcess.stdin.isTTY === true && nodeProcess.stdout.isTTY === true;
}

async function open(): Promise<Interface> {
  const { createInterface } = await import("node:readline");
  const interactive = isInteractive();
  const input = createInterface({
    input: nodeProcess.stdin,
    ...(interactive ? { output: nodeProcess.stdout } : {}),
    terminal: interactive,
    history,
    historySize: historyLinesMax,
    completer: (line: string, call: (error: Error | null, result: [string[], string]) => void) => {
      if (completer === null) return call(null, [[], line]);
      // A completion that fails, because the server is away, completes nothing.
      completer(line).then((found) => call(null, found), () => call(null, [[], line]));
    },
  });
  opened = input;
  input.on("line", (line) => {
    if (asking !== null) return asking(line);
    lines.push(line);
    if (lines.length >= linesAheadMax) input.pause();
  });
  input.on("close", () => {
    ended = true;
    asking?.(null);
  });
  // Ctrl-C: drops a half-typed line, ends at an empty one, and stops a command that runs.
  input.on("SIGINT", () => {
    if (asking === null) nodeProcess.exit(130);
    if (input.line.length === 0) return input.close();
    input.write(null, { ctrl: true, name: "e" });
    input.write(null, { ctrl: true, name: "u" });
  });
  return input;
}
