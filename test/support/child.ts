/**
 * Child: a process that a test started, and only that one is ever ended.
 *
 * Its output is kept, the last part of it, to be shown when something goes wrong.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { sleep } from "./places.ts";

const outputCharsMax = 200_000;

export class Child {
  readonly process: ChildProcess;
  readonly pid: number;
  stdout = "";
  stderr = "";
  /** Null while it runs. */
  exit: { readonly code: number | null; readonly signal: string | null } | null = null;
  readonly #exited: Promise<void>;

  constructor(
    command: string,
    args: readonly string[],
    options: { cwd?: string; env?: Record<string, string> } = {},
  ) {
    this.process = spawn(command, [...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.pid = this.process.pid ?? -1;
    const decoder = new TextDecoder();
    this.process.stdout?.on("data", (chunk: Uint8Array) => {
      this.stdout = (this.stdout + decoder.decode(chunk)).slice(-outputCharsMax);
    });
    this.process.stderr?.on("data", (chunk: Uint8Array) => {
      this.stderr = (this.stderr + decoder.decode(chunk)).slice(-outputCharsMax);
    });
    // A child that dies early makes writes to it fail; its exit code tells the story.
    this.process.stdin?.on("error", () => {});
    this.#exited = new Promise((resolve) => {
      this.process.on("error", (error: Error) => {
        this.stderr += `\nCannot start ${command}: ${error.message}`;
        this.exit ??= { code: -1, signal: null };
        resolve();
      });
      this.process.on("exit", (code, signal) => {
        this.exit ??= { code, signal };
        resolve();
      });
    });
  }

  /** False when it still runs after `ms`. */
  async exited(ms: number): Promise<boolean> {
    if (this.exit !== null) return true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([this.#exited, late]);
    clearTimeout(timer);
    return this.exit !== null;
  }

  /** Waits until the output holds `pattern`; throws with the output when the child ends or time is up. */
  async untilOutput(pattern: RegExp, ms: number): Promise<RegExpMatchArray> {
    const until = performance.now() + ms;
    while (true) {
      const match = this.stdout.match(pattern);
      if (match !== null) return match;
      if (this.exit !== null || performance.now() > until) {
        throw new Error(`Output never held ${pattern} (${this.describe()})`);
      }
      await sleep(5);
    }
  }

  kill(signal: "SIGTERM" | "SIGKILL" | "SIGINT" = "SIGKILL"): void {
    if (this.exit === null) sendSignal(this.pid, signal);
  }

  /** SIGTERM, and SIGKILL to what does not listen. True: it went by itself. */
  async stop(ms = 10_000): Promise<boolean> {
    this.kill("SIGTERM");
    if (await this.exited(ms)) return true;
    this.kill("SIGKILL");
    await this.exited(5000);
    return false;
  }

  describe(): string {
    const state = this.exit === null ? "running" : `exit ${this.exit.code ?? this.exit.signal}`;
    return `${state}\n--- stdout\n${this.stdout.slice(-3000)}\n--- stderr\n${this.stderr.slice(-6000)}`;
  }
}

/**
 * Sends a signal to a child that has not been seen to end. By its pid: the child's own `kill` does
 * nothing on Deno after the first signal, whatever that one was.
 */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  if (pid <= 0) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended and we have not been told yet.
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}

/** Runs a command to its end. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  options: { input?: string; timeoutMs: number; cwd?: string; env?: Record<string, string> },
): Promise<{ code: number | null; stdout: string; stderr: string; timedOut: boolean }> {
  const child = new Child(command, args, options);
  if (options.input !== undefined) child.process.stdin?.write(options.input);
  child.process.stdin?.end();
  const ended = await child.exited(options.timeoutMs);
  if (!ended) {
    child.kill("SIGKILL");
    await child.exited(5000);
  }
  // The pipes may hold a last piece after the exit.
  await sleep(30);
  return { code: child.exit?.code ?? null, stdout: child.stdout, stderr: child.stderr, timedOut: !ended };
}
