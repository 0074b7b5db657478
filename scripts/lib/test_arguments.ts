/**
 * Arguments of `scripts/test`. The shell script in front reads `--bun` and `--deno` too, to know which
 * runtime it has to fetch.
 */
import type { RuntimeName } from "./test_file.ts";

export interface TestArguments {
  readonly runtimes: readonly RuntimeName[];
  /** Format, lint and types first: what `scripts/ok` adds. */
  readonly checks: boolean;
  readonly long: boolean;
  readonly verbose: boolean;
  /** Files at once; undefined leaves it to the machine. */
  readonly jobs: number | undefined;
  readonly filters: readonly string[];
}

const usage = `usage: scripts/test [--bun] [--deno] [--long] [--jobs N] [--verbose] [part of a path…]

  --bun, --deno   only on this runtime; both when neither is given
  --long          with the tests that take minutes (they see ZOOLET_TEST_LONG=1)
  --jobs N        test files at once
  --verbose       also what passing files print
`;

export function parseArguments(given: readonly string[]): TestArguments {
  const runtimes = new Set<RuntimeName>();
  const filters: string[] = [];
  let [checks, long, verbose] = [false, process.env["ZOOLET_TEST_LONG"] === "1", false];
  let jobs: number | undefined;
  const rest = [...given];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--bun" || word === "--deno") runtimes.add(word === "--bun" ? "bun" : "deno");
    else if (word === "--checks") checks = true;
    else if (word === "--long") long = true;
    else if (word === "--verbose") verbose = true;
    else if (word === "--jobs") jobs = jobsOf(rest.shift());
    else if (word.startsWith("--jobs=")) jobs = jobsOf(word.slice("--jobs=".length));
    else if (word === "--help" || word === "-h") end(0, usage);
    else if (word.startsWith("-")) end(2, `scripts/test: there is no option ${word}\n${usage}`);
    else filters.push(word);
  }
  return {
    runtimes: runtimes.size === 0 ? ["bun", "deno"] : [...runtimes],
    checks,
    long,
    verbose,
    jobs,
    filters,
  };
}

function jobsOf(text: string | undefined): number {
  const jobs = Number(text);
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > 64) {
    end(2, `scripts/test: --jobs needs a number from 1 to 64, found ${text ?? "nothing"}\n${usage}`);
  }
  return jobs;
}

function end(code: number, text: string): never {
  console.error(text);
  process.exit(code);
}
