/**
 * Runs the simulator from a command line.
 *
 *   bun test/sim/run.ts --seeds 1000 --from 1 --peers mix
 *   bun test/sim/run.ts --seed 4711 --trace
 *   bun test/sim/run.ts --plants --seeds 1000             all planted bugs, as the table of test/README.md
 *   deno run -A --no-check test/sim/run.ts --seeds 1000 --plant skipTrunc
 *
 * Ends with code 1 when a rule was broken, and says the command that repeats it.
 */
import process from "node:process";
import { type Plant, plants, plantTexts } from "./plants.ts";
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

/** Each planted bug, and how many seeds it takes to be noticed: a row of a Markdown table. */
function tellPlants(): void {
  for (const plant of plants) {
    const found = (strict: boolean) => {
      const options = { from: numberOf("from", 1), seeds: numberOf("seeds", 1000), failuresMax: 1 } as const;
      const msMax = numberOf("ms", 0) || Infinity;
      const result = runSeeds({ ...options, peers: "mix", plant, strict, msMax, tell: null });
      const [failure] = result.failures;
      return failure === undefined
        ? [`not in ${result.seeds}`, ""] as const
        : [`${result.seeds}`, failure.rule] as const;
    };
    const [seeds, rule] = found(false);
    console.log(`| ${plant} | ${plantTexts[plant]} | ${seeds} | ${rule} |`);
  }
  process.exit(0);
}

if (process.argv.includes("--plants")) tellPlants();

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
