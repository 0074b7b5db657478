/**
 * Runs the simulator from a command line.
 *
 *   bun test/sim/run.ts --seeds 1000 --from 1 --peers mix
 *   bun test/sim/run.ts --seed 4711 --trace
 *   deno run -A --no-check test/sim/run.ts --seeds 1000 --plant skipTrunc
 *
 * Ends with code 1 when a rule was broken, and says the command that repeats it.
 */
import process from "node:process";
import { type Plant, plants } from "./plan.ts";
import { repeatCommand, runSeeds } from "./simulate.ts";

function valueOf(name: string, fallback: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : (process.argv[at + 1] ?? fallback);
}

function numberOf(name: string, fallback: number): number {
  const value = Number(valueOf(name, String(fallback)));
  if (!Number.isInteger(value)) throw new Error(`--${name} takes a whole number`);
  return value;
}

function peersOf(text: string): "3" | "5" | "mix" {
  if (text !== "3" && text !== "5" && text !== "mix") throw new Error("--peers takes 3, 5 or mix");
  return text;
}

function plantOf(text: string): Plant {
  const plant = ["none" as const, ...plants].find((one) => one === text);
  if (plant === undefined) throw new Error(`--plant takes one of ${plants.join(", ")}`);
  return plant;
}

const one = numberOf("seed", 0);
const has = (name: string) => process.argv.includes(`--${name}`);
const result = runSeeds({
  from: one > 0 ? one : numberOf("from", 1),
  seeds: one > 0 ? 1 : numberOf("seeds", 1000),
  peers: peersOf(valueOf("peers", "mix")),
  plant: plantOf(valueOf("plant", "none")),
  strict: !has("outcomes"),
  failuresMax: numberOf("failures", 5),
  msMax: numberOf("ms", 0) || Infinity,
  tell: has("trace") ? (line) => console.log(line) : null,
});
for (const failure of result.failures) {
  console.log(`seed ${failure.seed}: ${failure.message}`);
  if (has("stack") || failure.rule === "assertion") console.log(failure.stack);
  console.log(`  repeat it: ${repeatCommand(failure)}`);
}
const perSeed = result.ms / Math.max(1, result.seeds);
console.log(
  `${result.seeds} seeds, ${result.failures.length} failed, ${perSeed.toFixed(1)} ms and ${
    Math.round(result.moments / Math.max(1, result.seeds))
  } moments a seed`,
);
if (has("coverage")) console.log(`per 1000 seeds:\n${result.coverage.lines(result.seeds).join("\n")}`);
process.exitCode = result.failures.length > 0 ? 1 : 0;
