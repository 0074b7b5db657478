/**
 * Processes: what the benchmark starts, reads from /proc and takes away again.
 *
 * Always true: each process has a limit in time or an owner that ends it, only processes started here
 * are ever ended, by their pid, and when the benchmark ends, however it does, they are gone.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { lstatSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

const running = new Set<ChildProcess>();
const directories = new Set<string>();
const outputCharsMax = 1 << 20;

/** Ends at once what is still running and removes the directories. */
function cleanUp(): void {
  for (const child of running) child.kill("SIGKILL");
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

process.on("exit", cleanUp);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(130));
}

/** Removed when the benchmark ends. */
export function ownDirectory(path: string): void {
  directories.add(path);
}

export function start(
  command: readonly string[],
  options: { readonly output: "pipe" | number; readonly env?: Readonly<Record<string, string>> },
): ChildProcess {
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    stdio: [options.output === "pipe" ? "pipe" : "ignore", options.output, options.output],
    env: { ...process.env, ...options.env },
  });
  running.add(child);
  child.on("exit", () => running.delete(child));
  child.on("error", () => running.delete(child));
  return child;
}

/** Runs to the end and returns what it printed; throws for a failure, with the last of its words. */
export function run(command: readonly string[], msMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = start(command, { output: "pipe" });
    let [stdout, stderr, late] = ["", "", false];
    child.stdin?.end();
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < outputCharsMax) stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => stderr = (stderr + text).slice(-2000));
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, msMax);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new Error(`Cannot start ${command[0]}: ${error.message}`));
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(stdout);
      const how = late ? `was not done within ${msMax / 1000} s` : `ended with ${signal ?? `code ${code}`}`;
      const last = (stderr.trim() || stdout.trim()).split("\n").slice(-3).join(" / ");
      reject(new Error(`${command[0]?.split("/").pop()} ${how}: ${last || "it said nothing"}`));
    });
  });
}

/** A script of this directory, on the runtime that runs the benchmark. */
export function ownScript(name: string, ...args: string[]): string[] {
  const script = join(root, "scripts", "benchmark", name);
  if (process.versions["bun"] !== undefined) {
    return [process.execPath, "--no-env-file", "--no-install", script, ...args];
  }
  const flags = ["run", "--quiet", "--allow-all", "--no-lock", "--cached-only"];
  return [process.execPath, ...flags, "--config", join(root, "deno.json"), script, ...args];
}

/** Asks a process to end, and insists after `msMax`. Resolves when it has gone. */
export function stop(child: ChildProcess, msMax: number): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    const timer = setTimeout(() => child.kill("SIGKILL"), msMax);
    child.on("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill("SIGTERM");
  });
}

/** Ends it as a crash would, and waits until it has gone. */
export function kill(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

/** Resident bytes of a process and all that it started; null where there is no /proc. */
export function residentBytes(pid: number): number | null {
  const children = new Map<number, number[]>();
  let pids: string[];
  try {
    pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return null; // Not Linux.
  }
  for (const name of pids) {
    // The name of the program stands in parentheses and may hold blanks; the parent comes after it.
    const parent = Number(readProc(`${name}/stat`).replace(/^.*\)/s, "").trim().split(" ")[1]);
    children.set(parent, [...children.get(parent) ?? [], Number(name)]);
  }
  let bytes = 0;
  const left = [pid];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    bytes += 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readProc(`${next}/status`))?.[1] ?? 0);
    left.push(...children.get(next) ?? []);
  }
  return bytes === 0 ? null : bytes;
}

/** Empty for a process that has just gone. */
function readProc(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** What a directory takes on the disk: blocks, so that preallocated files count as they weigh. */
export function diskBytes(directory: string): number {
  const blockBytes = 512;
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const stat = lstatSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
    if (stat?.isFile() === true) bytes += stat.blocks * blockBytes;
  }
  return bytes;
}

/** The type of the file system a path lies on, "" where it cannot be told. */
export function fileSystemOf(path: string): string {
  let best = { at: "", type: "" };
  for (const line of readProc("mounts").split("\n")) {
    const [, at = "", type = ""] = line.split(" ");
    const covers = path === at || path.startsWith(at.endsWith("/") ? at : `${at}/`);
    if (covers && at.length >= best.at.length) best = { at, type };
  }
  return best.type;
}

/** Free just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/**
 * Below the range from which the system takes ports for outgoing connections: a member that is dialled
 * while it is down must not find its port taken by a dialler, nor a dialler itself.
 */
export async function freePorts(count: number): Promise<number[]> {
  const [low, high] = [12_000, 32_000];
  const ports: number[] = [];
  for (let tries = 0; ports.length < count && tries < 1000; tries++) {
    const port = low + Math.floor(Math.random() * (high - low));
    if (!ports.includes(port) && await isFree(port)) ports.push(port);
  }
  if (ports.length < count) throw new Error(`Cannot find ${count} free ports from ${low} to ${high}`);
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}
