/**
 * Bit rot by hand: a thousand flipped bits in each file, and a table of what came of them.
 *
 *     bun test/storage/bitrot_run.ts --flips 1000 --seed 1
 *     deno run -A test/storage/bitrot_run.ts --flips 100 --role member --file log.db --verbose
 *
 * Exits 1 where something was served as if it were right.
 */
import { parseArgs } from "node:util";
import { withDirectory } from "../support/runtime_storage.ts";
import { bitrot, type Outcome, type Role, type RotFile, rotFiles } from "./bitrot.ts";

const { values } = parseArgs({
  options: {
    flips: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    role: { type: "string", default: "" },
    file: { type: "string", default: "" },
    verbose: { type: "boolean", default: false },
  },
});

const outcomes: readonly Outcome[] = [
  "refused",
  "started over",
  "made again",
  "cut off",
  "red",
  "harmless",
  "silent",
];
const roles: readonly Role[] = values.role === "" ? ["single", "whole log", "member"] : [values.role as Role];
const only: readonly RotFile[] = values.file === "" ? rotFiles : [values.file as RotFile];

let silent = 0;
await withDirectory((directory) => {
  console.log(`| server | file | ${outcomes.join(" | ")} |\n|---|---|${"---:|".repeat(outcomes.length)}`);
  const hear = (
    role: Role,
    { outcome, bit, told }: { outcome: Outcome; bit: string; told: string },
  ): void => {
    if (values.verbose && outcome !== "harmless") console.log(`${role}: ${bit}: ${outcome}: ${told}`);
  };
  const rows = bitrot(directory, Number(values.flips), Number(values.seed), roles, only, hear);
  for (const { role, file, counts, silent: found } of rows) {
    console.log(`| ${role} | ${file} | ${outcomes.map((outcome) => counts.get(outcome) ?? 0).join(" | ")} |`);
    for (const line of found) console.log(`SILENT ${line}`);
    silent += found.length;
  }
});
process.exit(silent === 0 ? 0 : 1);
