/**
 * Simulate: many seeds, one after another, until one fails or time is up.
 */
import { Coverage } from "./coverage.ts";
import { planOf } from "./plan.ts";
import type { Plant } from "./plants.ts";
import { Violation } from "./violation.ts";
import { World } from "./world.ts";

export interface SimulateOptions {
  readonly from: number;
  readonly seeds: number;
  readonly peers: "3" | "5" | "mix";
  readonly plant: Plant;
  /** See `WorldOptions.strict`. */
  readonly strict: boolean;
  /** Stops after so many seeds that failed. */
  readonly failuresMax: number;
  readonly msMax: number;
  readonly tell: ((line: string) => void) | null;
}

export interface Failure {
  readonly seed: number;
  readonly peers: "3" | "5" | "mix";
  readonly plant: Plant;
  readonly strict: boolean;
  /** What was broken; `assertion` for one of the core's own. */
  readonly rule: string;
  readonly message: string;
  readonly stack: string;
}

export interface SimulateResult {
  readonly seeds: number;
  readonly ms: number;
  readonly moments: number;
  readonly failures: readonly Failure[];
  readonly coverage: Coverage;
}

export function runSeeds(options: SimulateOptions): SimulateResult {
  const { from, peers, plant, strict, tell } = options;
  const coverage = new Coverage();
  const failures: Failure[] = [];
  const start = performance.now();
  let seeds = 0;
  let moments = 0;
  while (seeds < options.seeds && failures.length < options.failuresMax) {
    if (performance.now() - start > options.msMax) break;
    const seed = from + seeds++;
    const world = new World(planOf(seed, peers, plant), { coverage, strict, tell });
    try {
      world.run();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const rule = error instanceof Violation ? error.rule : "assertion";
      failures.push({ seed, peers, plant, strict, rule, message: error.message, stack: error.stack ?? "" });
      tell?.(`          ${error.message}`);
    }
    moments += world.timeline.count;
  }
  return { seeds, ms: performance.now() - start, moments, failures, coverage };
}

export function repeatCommand({ seed, peers, plant, strict }: Failure): string {
  const planted = plant === "none" ? "" : ` --plant ${plant}`;
  return `bun test/sim/run.ts --seed ${seed} --peers ${peers}${planted}${
    strict ? "" : " --outcomes"
  } --trace`;
}
