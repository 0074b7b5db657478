/**
 * One test file on one runtime: the process, and what became of each of its tests.
 *
 * The runtime's exit code and the recorder's notes must agree. Where they do not (a crash, a hang, an
 * early exit, an error outside every test, a file without tests), that is a failure by name.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Note } from "./recorder.ts";

export type RuntimeName = "bun" | "deno";

export interface FileResult {
  /** Which runtime, or which check. */
  readonly runner: string;
  readonly file: string;
  readonly passed: number;
  readonly failures: readonly string[];
  readonly skips: readonly { readonly name: string; readonly reason: string }[];
  /** What the process printed, the end of it. */
  readonly output: string;
  readonly seconds: number;
}

export interface FileRun {
  readonly root: string;
  readonly runtime: RuntimeName;
  readonly executable: string;
  readonly file: string;
  readonly long: boolean;
}

export interface Outcome {
  readonly output: string;
  /** Null: it ended well. Else why it did not, as `ended with exit code 1`. */
  readonly fault: string | null;
  readonly seconds: number;
}

const fileMsMax = 150_000;
const longFileMsMax = 30 * 60_000;
const outputCharsMax = 100_000;

export async function runFile(run: FileRun): Promise<FileResult> {
  const { root, runtime, executable, file, long } = run;
  const directory = mkdtempSync(join(tmpdir(), "zoolet-test-report-"));
  const reportFile = join(directory, "report");
  try {
    const outcome = await runProcess(executable, runtimeArguments(runtime, file, long), {
      cwd: root,
      msMax: long ? longFileMsMax : fileMsMax,
      env: {
        ZOOLET_TEST_REPORT: reportFile,
        // What a test starts runs where the test runs.
        ZOOLET_RUNTIME: runtime,
        DENO_NO_UPDATE_CHECK: "1",
        ...(long ? { ZOOLET_TEST_LONG: "1" } : {}),
      },
    });
    return { runner: runtime, file, ...judge(notesOf(reportFile), outcome) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function runtimeArguments(runtime: RuntimeName, file: string, long: boolean): string[] {
  const beside = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const msMax = long ? longFileMsMax : fileMsMax;
  return runtime === "bun"
    // A test's own limit is the file's: Bun's standard one of 5 s is too short for real servers.
    ? ["test", `--timeout=${msMax}`, "--preload", beside("recorded_bun.ts"), `./${file}`]
    : [
      ...["test", "--allow-all", "--no-check", "--no-lock", "--cached-only"],
      ...["--import-map", beside("import_map.json"), file],
    ];
}

export function judge(notes: readonly Note[], outcome: Outcome): Omit<FileResult, "runner" | "file"> {
  const open = new Map<number, string>();
  const failures: string[] = [];
  const skips: { name: string; reason: string }[] = [];
  let passed = 0;
  for (const note of notes) {
    if (note.kind === "planned") {
      open.set(note.id, note.name);
      continue;
    }
    const name = open.get(note.id);
    // Ended twice: a callback that was called twice. The first counts.
    if (name === undefined) continue;
    open.delete(note.id);
    if (note.status === "passed") passed += 1;
    else if (note.status === "failed") failures.push(name);
    else skips.push({ name, reason: note.reason });
  }
  for (const name of open.values()) failures.push(`${name} (never came to its end)`);
  if (outcome.fault !== null && failures.length === 0) failures.push(`(the runtime ${outcome.fault})`);
  if (passed + failures.length + skips.length === 0) failures.push("(no tests in this file)");
  return { passed, failures, skips, output: outcome.output, seconds: outcome.seconds };
}

function notesOf(file: string): Note[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    // Nothing was noted: the file failed before its first test, or has none. `judge` says so.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Note);
}

/** Runs to the end, or to `msMax`, when the process and all that it started are killed. */
export function runProcess(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly msMax: number; readonly env: Readonly<Record<string, string>> },
): Promise<Outcome> {
  return new Promise((resolve) => {
    const start = performance.now();
    // Detached makes it the leader of a process group, which can be ended as a whole.
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: { ...process.env, NO_COLOR: "1", ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let output = "";
    let late = false;
    let settled = false;
    const take = (chunk: string) => {
      output += chunk;
      if (output.length > 2 * outputCharsMax) output = `…\n${output.slice(-outputCharsMax)}`;
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", take);
    }
    const endGroup = () => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // The group is empty: everybody has gone already.
      }
    };
    const interrupted = () => {
      endGroup();
      process.exit(130);
    };
    const timer = setTimeout(() => {
      late = true;
      endGroup();
    }, options.msMax);
    process.on("SIGINT", interrupted);
    process.on("SIGTERM", interrupted);
    const settle = (fault: string | null) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      process.off("SIGINT", interrupted);
      process.off("SIGTERM", interrupted);
      // What the tests started and forgot must not outlive them, nor hold the pipes open.
      endGroup();
      const seconds = (performance.now() - start) / 1000;
      // A moment for the last piece in the pipes.
      setTimeout(() => resolve({ output, fault, seconds }), 20);
    };
    child.on("error", (error) => settle(`could not be started: ${error.message}`));
    child.on("exit", (code, signal) => {
      if (late) settle(`was ended after ${options.msMax / 1000} s`);
      else if (signal !== null) settle(`was ended by ${signal}`);
      else settle(code === 0 ? null : `ended with exit code ${code}`);
    });
  });
}
