/** Arguments of `scripts/bench`. */
import { tmpdir } from "node:os";
import process from "node:process";
import { type Row, rows } from "./rows.ts";

export interface BenchArguments {
  readonly quick: boolean;
  readonly rows: readonly Row[];
  readonly runtimes: readonly ("bun" | "deno")[];
  readonly apache: boolean;
  readonly jsonFile: string | null;
  readonly loadgen: string | null;
  /** Under which the servers' data lies for the time of the benchmark. */
  readonly directory: string;
  readonly warmSeconds: number;
  readonly measureSeconds: number;
  /** Undefined: as each group says. */
  readonly rounds: number | undefined;
  readonly znodes: number;
  readonly watches: number;
  readonly missed: number;
}

const usage = `usage: scripts/bench [options]

  --standalone       the rows of a server that stands alone
  --ensemble         the rows of three peers, twelve minutes for all; both unless one is asked for
  --quick            throughput and latency alone, one short round: about three minutes, one for --standalone
  --only ROW,…       these rows: ${rows.map((row) => row.name).join(", ")};
                     or a word of their names: latency, memory, million, ensemble
  --runtime R        bun, deno or both (both)
  --no-apache        without the original, even where it is installed
  --json FILE        every value also as JSON
  --loadgen DIR      where zkload.c and zkfan.c are; ZOOLET_LOADGEN_DIR says the same.
                     Without them the load comes from scripts/benchmark/load.ts
  --dir DIR          for the servers' data, on a real disk (${tmpdir()})
  --seconds N        measured time of a load (5; 3 with --quick)
  --warm N           time before it that does not count (5; 3 with --quick)
  --rounds N         so many rounds of every row; the median counts (as the row says; 1 with --quick)
  --znodes N         instead of 1,000,000
  --watches N        instead of 500,000
  --missed N         writes that a follower misses, instead of 100,000
`;

export function parseArguments(given: readonly string[]): BenchArguments {
  let [quick, apache] = [false, true];
  let only: string | null = null;
  let jsonFile: string | null = null;
  let directory: string | null = null;
  let loadgen = process.env["ZOOLET_LOADGEN_DIR"] ?? null;
  let runtimes: BenchArguments["runtimes"] = ["bun", "deno"];
  let seconds: number | undefined;
  let warm: number | undefined;
  let rounds: number | undefined;
  let [znodes, watches, missed] = [1_000_000, 500_000, 100_000];
  let part: Row["part"] | "all" | null = null;

  const rest = given.flatMap((word) => /^--\w+=/.test(word) ? splitOnce(word) : [word]);
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const text = (): string => rest.shift() ?? end(2, `${word} needs a value`);
    const number = (max: number): number => numberOf(word ?? "", text(), max);
    if (word === "--quick") quick = true;
    else if (word === "--standalone" || word === "--ensemble") {
      const wanted = word === "--ensemble" ? "ensemble" : "standalone";
      // Both asked for is what there is without either.
      part = part === null || part === wanted ? wanted : "all";
    } else if (word === "--no-apache") apache = false;
    else if (word === "--only") only = text();
    else if (word === "--runtime") runtimes = runtimesOf(text());
    else if (word === "--json") jsonFile = text();
    else if (word === "--loadgen") loadgen = text();
    else if (word === "--dir") directory = text();
    else if (word === "--seconds") seconds = number(600);
    else if (word === "--warm") warm = number(600);
    else if (word === "--rounds") rounds = number(100);
    else if (word === "--znodes") znodes = number(9_999_999);
    else if (word === "--watches") watches = number(10_000_000);
    else if (word === "--missed") missed = number(10_000_000);
    else if (word === "--help" || word === "-h") end(0, "");
    else end(2, `there is no option ${word}`);
  }
  const inPart = (row: Row): boolean => part === null || part === "all" || row.part === part;
  const named = only === null ? rows.filter((row) => !quick || row.quick === true) : rowsOf(only);
  const chosen = named.filter(inPart);
  if (chosen.length === 0) end(2, `--only names no row of ${part}`);
  const countOf = (row: Row): string => (row.part === "ensemble" ? missed : znodes).toLocaleString("en");
  return {
    quick,
    rows: chosen.map((row) => ({ ...row, title: row.title.replace("%", countOf(row)) })),
    runtimes,
    apache,
    jsonFile,
    loadgen: loadgen === "" ? null : loadgen,
    directory: directory ?? tmpdir(),
    warmSeconds: warm ?? (quick ? 3 : 5),
    measureSeconds: seconds ?? (quick ? 3 : 5),
    rounds: rounds ?? (quick ? 1 : undefined),
    znodes,
    watches,
    missed,
  };
}

/** A whole name means that row; a word of a name means all that have it. */
function rowsOf(list: string): Row[] {
  const wanted = new Set<Row>();
  for (const word of list.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const exact = rows.filter((row) => row.name === word);
    const found = exact.length > 0 ? exact : rows.filter((row) => row.name.split("-").includes(word));
    if (found.length === 0) {
      end(2, `--only names a row ${word}; there are ${rows.map((row) => row.name).join(", ")}`);
    }
    for (const row of found) wanted.add(row);
  }
  if (wanted.size === 0) end(2, "--only names no row");
  return rows.filter((row) => wanted.has(row));
}

function runtimesOf(word: string): BenchArguments["runtimes"] {
  if (word === "both") return ["bun", "deno"];
  if (word === "bun" || word === "deno") return [word];
  return end(2, `--runtime is ${word}; it can be bun, deno or both`);
}

function numberOf(option: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) {
    end(2, `${option} is ${text}; it can be a whole number from 1 to ${max}`);
  }
  return value;
}

function splitOnce(word: string): string[] {
  const at = word.indexOf("=");
  return [word.slice(0, at), word.slice(at + 1)];
}

function end(code: number, message: string): never {
  if (code === 0) console.log(usage.trimEnd());
  else console.error(`scripts/bench: ${message}\n\n${usage}`);
  process.exit(code);
}
