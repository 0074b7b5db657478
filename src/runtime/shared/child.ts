/**
 * Children: other processes that we start, hear and end.
 *
 * A child hears of our end, however it comes, by the end of its standard input; so its owner keeps
 * that open and says nothing on it. What it prints comes as lines, cut where they are longer than
 * anybody reads, so a child cannot make us grow.
 */
import nodeProcess from "node:process";
import { systemCodeOf } from "../ports.ts";
import type { ChildEnd, ChildHandler, ChildOptions, ChildProcess } from "../ports.ts";

const lineCharsMax = 64 * 1024;

export function spawn(options: ChildOptions, handler: ChildHandler): ChildProcess {
  // Looked up here, because a server starts nothing and need not wait for it to be loaded.
  const child = nodeProcess.getBuiltinModule("node:child_process").spawn(options.command, [...options.args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...nodeProcess.env, ...options.env },
  });
  let told = false;
  const end = (how: ChildEnd): void => {
    if (told) return;
    told = true;
    handler.ended(how);
  };
  child.on("error", (error: Error) => {
    const code = systemCodeOf(error);
    const why = error.message === "" ? code || "unknown error" : error.message;
    end({ code: null, signal: null, cause: `Cannot start ${options.command}: ${why}` });
  });
  // Comes after the last of its output.
  child.on("close", (code, signal) => end({ code: code ?? null, signal: signal ?? null, cause: null }));
  // A child that is gone takes no more; that it is gone is told above.
  child.stdin.on("error", () => {});
  listen(child.stdout, (line) => handler.line("stdout", line));
  listen(child.stderr, (line) => handler.line("stderr", line));
  return {
    pid: child.pid ?? -1,
    endInput: () => void child.stdin.end(),
    kill: () => void child.kill("SIGKILL"),
  };
}

function listen(stream: NodeJS.ReadableStream, line: (text: string) => void): void {
  const decoder = new TextDecoder();
  let begun = "";
  const take = (text: string): void => {
    const parts = (begun + text).split("\n");
    begun = parts.pop() ?? "";
    for (const part of parts) line(part.slice(0, lineCharsMax));
    begun = begun.slice(0, lineCharsMax);
  };
  stream.on("data", (bytes: Uint8Array) => take(decoder.decode(bytes, { stream: true })));
  stream.on("end", () => {
    if (begun !== "") line(begun);
    begun = "";
  });
}
