/**
 * Run: the differential test by hand, as long as wanted.
 *
 *     bun test/compat/differential/run.ts --ops 50000 --seed 7
 *     deno run -A test/compat/differential/run.ts --ops 50000 --seed 7 --quota
 *     bun test/compat/differential/run.ts --ops 20000 --seed 7 --against apache
 *
 * `--runtime bun|deno` names the runtime of our server, `--differences N` goes on after the first
 * one, `--log FILE` writes down every step and what the original answered, `--outcomes` counts the
 * answers by kind. Exits 1 when there is a difference.
 */
import { openSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { apacheMissing } from "../../support/apache.ts";
import { runtimeUnderTest } from "../../support/zoolet.ts";
import { runPair } from "./pair.ts";

const { values } = parseArgs({
  options: {
    ops: { type: "string", default: "50000" },
    seed: { type: "string", default: "1" },
    against: { type: "string", default: "zoolet" },
    runtime: { type: "string", default: runtimeUnderTest() },
    differences: { type: "string", default: "1" },
    quota: { type: "boolean", default: false },
    minutes: { type: "string", default: "30" },
    log: { type: "string" },
    outcomes: { type: "boolean", default: false },
  },
});

const missing = apacheMissing();
if (missing !== null) {
  console.error(`Cannot compare with Apache ZooKeeper: ${missing}`);
  process.exit(2);
}
const logFile = values.log === undefined ? null : openSync(values.log, "w");
const begun = performance.now();
const result = await runPair({
  seed: Number(values.seed),
  requests: Number(values.ops),
  quotaEnforced: values.quota,
  differencesMax: Number(values.differences),
  untilMs: Number(values.minutes) * 60_000,
  right: values.against === "apache"
    ? { kind: "apache" }
    : { kind: "zoolet", runtime: values.runtime === "deno" ? "deno" : "bun" },
  ...(logFile === null ? {} : { log: (line: string) => void writeSync(logFile, `${line}\n`) }),
  progress: (requests) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${requests} requests`);
  },
});
if (values.outcomes) {
  for (const [key, count] of [...result.outcomes].sort()) console.log(`${String(count).padStart(7)} ${key}`);
}
for (const difference of result.differences) {
  console.log(`DIFFERENCE at step ${difference.step}, ${difference.text}\n`);
}
if (result.differences.length > 0 && result.rightOutput.startsWith("exit")) console.log(result.rightOutput);
const seconds = (performance.now() - begun) / 1000;
console.log(
  `seed ${values.seed}: ${result.requests} requests in ${result.steps} steps, ${result.differences.length} differences, ` +
    `${result.outcomes.size} kinds of outcome, ${seconds.toFixed(1)} s`,
);
process.exit(result.differences.length > 0 ? 1 : 0);
