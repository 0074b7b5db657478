/**
 * Run: the fuzz by hand, as long as wanted.
 *
 *     bun test/fuzz/run.ts --frames 1000000 --seed 7
 *     bun test/fuzz/run.ts --frames 1000000 --seed 7 --runtime deno
 *
 * Exits 1 when anything failed.
 */
import { parseArgs } from "node:util";
import { runtimeUnderTest } from "../support/zoolet.ts";
import { fuzzRun, fuzzText } from "./fuzz_run.ts";

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    runtime: { type: "string", default: runtimeUnderTest() },
    connections: { type: "string", default: "8" },
    minutes: { type: "string", default: "20" },
  },
});

const result = await fuzzRun(values.runtime === "deno" ? "deno" : "bun", {
  seed: Number(values.seed),
  frames: Number(values.frames),
  connections: Number(values.connections),
  untilMs: Number(values.minutes) * 60_000,
  progress: (frames, resident) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${frames} frames, ${resident.toFixed(0)} MB `);
  },
});
console.log(`seed ${values.seed} on ${values.runtime}: ${fuzzText(result)}`);
process.exit(result.failures.length > 0 ? 1 : 0);
