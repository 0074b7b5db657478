/**
 * The process: who we are, what we use, how we are told to stop, where our words go.
 *
 * Deno runs without `--allow-all`, and then refuses all of `/proc`: what cannot be told there is -1
 * or empty, never an exception. Facts are looked up when asked for, not at start.
 */
import fs from "node:fs";
import os from "node:os";
import nodeProcess from "node:process";
import { systemCodeOf } from "../ports.ts";
import type { ProcessInfo, ProcessPort } from "../ports.ts";
import { spawn } from "./child.ts";
import { LogOutput } from "./log_output.ts";
import { terminal } from "./terminal.ts";

/** How long a full pipe, made non-blocking by somebody else, may hold us up before text is dropped. */
const outputMsMax = 2000;

const info: ProcessInfo = {
  runtime: nodeProcess.versions["bun"] === undefined ? "deno" : "bun",
  runtimeVersion: nodeProcess.versions["bun"] ?? nodeProcess.versions["deno"] ?? "",
  pid: nodeProcess.pid,
  platform: nodeProcess.platform,
  arch: nodeProcess.arch,
  get executable() {
    return toldOr("", () => nodeProcess.execPath);
  },
  get argv() {
    return nodeProcess.argv.slice(2);
  },
  get env() {
    return nodeProcess.env;
  },
  get cwd() {
    return nodeProcess.cwd();
  },
  get osRelease() {
    return toldOr("", () => os.release());
  },
  get hostname() {
    return toldOr("localhost", () => os.hostname());
  },
  get user() {
    return userName();
  },
  get home() {
    return toldOr("", () => os.homedir());
  },
};

const logs = { stdout: new LogOutput(1), stderr: new LogOutput(2) };

export const process: ProcessPort = {
  info,
  logs,
  terminal,
  residentBytes: () => nodeProcess.memoryUsage.rss(),
  memory() {
    const usage = nodeProcess.memoryUsage();
    return { residentBytes: usage.rss, heapUsedBytes: usage.heapUsed, heapTotalBytes: usage.heapTotal };
  },
  cpuSeconds() {
    const { user, system } = nodeProcess.cpuUsage();
    return (user + system) / 1e6;
  },
  fileDescriptors: () => ({
    // The listing opens one itself.
    open: toldOr(-1, () => fs.readdirSync("/proc/self/fd").length - 1),
    max: toldOr(-1, () => {
      const limit = /^Max open files\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"));
      return limit === null ? -1 : Number(limit[1]);
    }),
  }),
  stdout: (text) => terminal.printAround(() => writeAll(1, text)),
  stderr: (text) => terminal.printAround(() => writeAll(2, text)),
  isTerminal: () => nodeProcess.stdin.isTTY === true && nodeProcess.stdout.isTTY === true,
  onInputEnd(call) {
    let told = false;
    const end = (): void => {
      if (!told) call();
      told = true;
    };
    for (const event of ["end", "close", "error"]) nodeProcess.stdin.once(event, end);
    nodeProcess.stdin.resume();
  },
  spawn,
  onSignal(signal, call) {
    nodeProcess.on(signal, () => call());
  },
  onCrash(call) {
    nodeProcess.on("uncaughtException", call);
    nodeProcess.on("unhandledRejection", call);
  },
  exit(code) {
    logs.stdout.end();
    logs.stderr.end();
    nodeProcess.exit(code);
  },
  randomU32: () => crypto.getRandomValues(new Uint32Array(1))[0] as number,
};

/** What the system tells, or `otherwise` where there is no such thing or no permission to ask. */
function toldOr<T>(otherwise: T, ask: () => T): T {
  try {
    return ask();
  } catch {
    return otherwise;
  }
}

/** The name of the user id, which a service manager or a container often leaves out of the environment. */
function userName(): string {
  const told = toldOr("", () => os.userInfo().username);
  if (told !== "" && told !== "unknown") return told;
  return toldOr("", () => {
    const uid = String(nodeProcess.getuid?.() ?? "");
    for (const line of fs.readFileSync("/etc/passwd", "utf8").split("\n")) {
      const [name, , id] = line.split(":");
      if (id === uid && name !== undefined) return name;
    }
    return "";
  });
}

/**
 * Writes all of it before it returns. The runtimes' own streams queue what a pipe does not take,
 * and Bun drops the queue at `exit`: the end of a long listing would be lost.
 */
function writeAll(descriptor: 1 | 2, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const deadline = performance.now() + outputMsMax;
  for (let at = 0; at < bytes.length;) {
    try {
      at += fs.writeSync(descriptor, bytes, at);
    } catch (error) {
      const why = outputFault(error);
      // Nobody reads any more (`zoolet … | head`): there is no one left to tell.
      if (why === "closed") return;
      if (why !== "full") throw error;
      if (performance.now() > deadline) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

/** Deno names some of these failures by class and gives no code. */
function outputFault(error: unknown): "closed" | "full" | "other" {
  const code = systemCodeOf(error);
  const name = error instanceof Error ? error.name : "";
  if (code === "EPIPE" || name === "BrokenPipe") return "closed";
  if (code === "EAGAIN" || name === "WouldBlock") return "full";
  // EBADF, EIO: started without that descriptor, or its terminal hung up.
  return code === "EBADF" || code === "EIO" || name === "BadResource" ? "closed" : "other";
}
