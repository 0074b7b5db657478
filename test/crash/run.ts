/**
 * Run: the crash test by hand, as long as wanted.
 *
 *     bun test/crash/run.ts --kills 200 --seed 7
 *     bun test/crash/run.ts --kills 200 --seed 7 --runtime deno
 *
 * Exits 1 when a promise was broken.
 */
import { parseArgs } from "node:util";
import { runtimeUnderTest } from "../support/zoolet.ts";
import { crashRun, crashText } from "./crash_run.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    runtime: { type: "string", default: runtimeUnderTest() },
    connections: { type: "string", default: "4" },
    depth: { type: "string", default: "16" },
    minutes: { type: "string", default: "20" },
  },
});

const result = await crashRun({
  runtime: values.runtime === "deno" ? "deno" : "bun",
  seed: Number(values.seed),
  kills: Number(values.kills),
  connections: Number(values.connections),
  depth: Number(values.depth),
  untilMs: Number(values.minutes) * 60_000,
  progress: (kills, acknowledged) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${kills} kills, ${acknowledged} acknowledged `);
  },
});
console.log(`seed ${values.seed} on ${values.runtime}: ${crashText(result)}`);
process.exit(result.problems.length > 0 ? 1 : 0);
