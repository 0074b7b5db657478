/**
 * Checks: format, lint and types, each counted as one test.
 */
import { join } from "node:path";
import { type FileResult, runProcess } from "./test_file.ts";

const checkMsMax = 120_000;

export async function runChecks(
  root: string,
  bun: string,
  deno: string,
  report: (result: FileResult) => void,
): Promise<FileResult[]> {
  const checks = [
    { file: "deno fmt --check", command: deno, args: ["fmt", "--check"] },
    { file: "deno lint", command: deno, args: ["lint", "--quiet"] },
    {
      file: "tsc -p .",
      command: bun,
      args: [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "."],
    },
  ];
  const results: FileResult[] = [];
  for (const { file, command, args } of checks) {
    const env = { DENO_NO_UPDATE_CHECK: "1" };
    const { output, fault, seconds } = await runProcess(command, args, { cwd: root, msMax: checkMsMax, env });
    const failures = fault === null ? [] : [`(${fault})`];
    const result = {
      runner: "check",
      file,
      passed: fault === null ? 1 : 0,
      failures,
      skips: [],
      output,
      seconds,
    };
    report(result);
    results.push(result);
  }
  return results;
}
