/**
 * Run tests: every `*_test.ts` under `test/`, on both runtimes, and one line at the end that counts.
 *
 * Started by `scripts/test` and `scripts/ok`, which find the runtimes and pass them in the environment.
 * Each file runs in a process of its own, so a crash or a hang costs that file and no other, and what
 * one file leaves behind is not there for the next. One runtime goes after the other.
 *
 * Always true: the last line is `N passed, N failed, N skipped`, and the exit code is 0 only if
 * nothing failed and something ran.
 */
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArguments, type TestArguments } from "./test_arguments.ts";
import { runChecks } from "./test_checks.ts";
import { type FileResult, runFile, type RuntimeName } from "./test_file.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** More at once makes tests that measure time fail on a small machine. */
const jobsMax = 2;
const filesMax = 2000;

process.exitCode = await main(parseArguments(process.argv.slice(2)));

async function main(args: TestArguments): Promise<number> {
  const files = testFiles(args.filters);
  const results: FileResult[] = [];
  if (args.checks) results.push(...await runChecks(root, executable("bun"), executable("deno"), report));
  for (const runtime of args.runtimes) {
    const jobs = args.jobs ?? Math.min(jobsMax, availableParallelism());
    const left = [...files];
    const work = async (): Promise<void> => {
      for (let file = left.shift(); file !== undefined; file = left.shift()) {
        const result = await runFile({
          root,
          runtime,
          executable: executable(runtime),
          file,
          long: args.long,
        });
        report(result);
        if (args.verbose && result.failures.length === 0) console.log(result.output.trimEnd());
        results.push(result);
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
  }
  if (files.length === 0) {
    console.log(`No test file matches ${args.filters.join(", ") || "test/**/*_test.ts"}`);
  }
  return summary(results, files.length === 0);
}

function executable(runtime: RuntimeName): string {
  const path = process.env[`ZOOLET_TEST_${runtime.toUpperCase()}`];
  if (path === undefined || path === "") {
    throw new Error(`Cannot run tests on ${runtime}: start scripts/test or scripts/ok, which find it`);
  }
  return path;
}

/** Relative to the root, in order of name. A filter is a part of the path. */
function testFiles(filters: readonly string[]): string[] {
  const found = readdirSync(join(root, "test"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith("_test.ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) =>
      filters.length === 0 || filters.some((filter) => path.includes(filter.replace(/^\.\//, "")))
    )
    .sort();
  if (found.length > filesMax) {
    throw new Error(`Found ${found.length} test files; more than ${filesMax} is a mistake`);
  }
  return found;
}

function report(result: FileResult): void {
  const { passed, failures, skips, seconds } = result;
  const counts = [`${passed} passed`];
  if (failures.length > 0) counts.push(`${failures.length} failed`);
  if (skips.length > 0) counts.push(`${skips.length} skipped`);
  const mark = failures.length > 0 ? "FAIL" : "ok";
  console.log(
    `${mark.padEnd(4)} ${result.runner.padEnd(6)} ${result.file}: ${counts.join(", ")} (${
      seconds.toFixed(1)
    } s)`,
  );
  if (failures.length === 0) return;
  console.log(result.output.trimEnd());
  for (const failure of failures) console.log(`     failed: ${failure}`);
  console.log("");
}

function summary(results: readonly FileResult[], nothingRan: boolean): number {
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const skipped = results.reduce((sum, result) => sum + result.skips.length, 0);
  let failed = results.reduce((sum, result) => sum + result.failures.length, 0);
  if (nothingRan || passed + failed === 0) failed += 1;

  const skippedFor = new Map<string, string[]>();
  for (const { runner, file, skips } of results) {
    for (const { name, reason } of skips) {
      const key = reason === "" ? "no reason given" : reason;
      skippedFor.set(key, [...skippedFor.get(key) ?? [], `${runner.padEnd(4)} ${file}: ${name}`]);
    }
  }
  if (skippedFor.size > 0) console.log("\nSkipped:");
  for (const [reason, names] of skippedFor) {
    console.log(`  ${reason}`);
    for (const name of names) console.log(`    ${name}`);
  }

  if (failed > 0) console.log("\nFailed:");
  for (const { runner, file, failures } of results) {
    for (const failure of failures) console.log(`    ${runner.padEnd(4)} ${file}: ${failure}`);
  }
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed === 0 ? 0 : 1;
}
