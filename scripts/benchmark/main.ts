/**
 * The benchmark: zoolet on Bun and on Deno beside Apache ZooKeeper, one server or one ensemble at a time.
 *
 * Started by `scripts/bench`. What fails costs its own cell and is noted; the table comes in the end
 * whatever happened before. The exit code is 2 for wrong arguments and 0 otherwise: a low number is
 * for a person to judge.
 */
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, type } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { type BenchArguments, parseArguments } from "./args.ts";
import { cGenerator, type Generator, ownGenerator } from "./generators.ts";
import { ensembleGroups } from "./ensemble_groups.ts";
import { type Group, groups, inDirectory } from "./groups.ts";
import { fileSystemOf, ownDirectory } from "./processes.ts";
import { Report } from "./report.ts";
import { apacheMissing, findProgram, type ServerName, startServer, versionOf } from "./servers.ts";

const znodesOfBars = 1_000_000;
const memoryFileSystems = ["tmpfs", "ramfs"];

const args = parseArguments(process.argv.slice(2));
await main(args);
process.exit(0);

async function main(args: BenchArguments): Promise<void> {
  const report = new Report();
  const directory = workDirectory(args.directory, report);
  const generator = await chooseGenerator(args, directory, report);
  const servers = chooseServers(args, report);
  const facts = {
    machine: `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? "?"}, ${type()} ${release()}`,
    disk: `${resolve(args.directory)} (${fileSystemOf(directory) || "file system unknown"})`,
    load: generator.name,
    seconds: `${args.measureSeconds} after ${args.warmSeconds} of warm-up`,
    started: new Date().toISOString(),
  };
  for (const [name, text] of Object.entries(facts)) console.log(`${name.padEnd(8)} ${text}`);
  if (args.znodes !== znodesOfBars && args.rows.some((row) => row.name.endsWith("-million"))) {
    report.note(
      `The bars are for ${znodesOfBars} znodes: with fewer, what a server takes empty counts for more`,
    );
  }
  const busy = loadavg()[0] ?? 0;
  if (busy > 0.5) report.note(`The machine was not idle at the start: its load was ${busy.toFixed(2)}`);

  const versions = await versionsOf(servers, directory, report);
  const names = args.rows.map((row) => row.name);
  for (const group of [...groups, ...ensembleGroups]) {
    if (group.rows.some((row) => names.includes(row))) {
      await runGroup(group, servers, { args, report, directory, generator });
    }
  }

  const withApache = servers.includes("apache");
  console.log(`\n${report.table(args.rows, args.runtimes, withApache)}\n`);
  for (const [server, version] of Object.entries(versions)) console.log(`- ${server}: ${version}`);
  for (const note of report.notes) console.log(`- ${note}`);
  if (args.jsonFile !== null) {
    const text = report.json(args.rows, args.runtimes, { ...facts, versions, withApache });
    writeFileSync(args.jsonFile, text);
  }
}

/** In turn, so that what the machine does meanwhile falls on all of them. */
async function runGroup(
  group: Group,
  servers: readonly ServerName[],
  shared: { args: BenchArguments; report: Report; directory: string; generator: Generator },
): Promise<void> {
  const { args, report, directory, generator } = shared;
  const wanted = new Set(args.rows.map((row) => row.name));
  const rounds = args.rounds ?? group.rounds;
  for (let round = 0; round < rounds; round++) {
    for (const server of servers) {
      const startMs = performance.now();
      const told: string[] = [];
      const own = join(directory, `${group.rows[0]}-${server}-${round}`);
      try {
        await inDirectory(own, () =>
          group.measure(server, {
            generator,
            directory: own,
            warmSeconds: args.warmSeconds,
            measureSeconds: args.measureSeconds,
            znodes: args.znodes,
            watches: args.watches,
            missed: args.missed,
            wants: (row) => wanted.has(row),
            record(row, value) {
              if (!wanted.has(row)) return;
              report.record(row, server, value);
              told.push(`${row} ${args.rows.find(({ name }) => name === row)?.show(value) ?? value}`);
            },
            note: (text) => report.note(text),
          }));
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        told.push(`failed: ${why}`);
        report.note(`${group.rows[0]} on ${server} failed: ${why}`);
      }
      const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
      if (told.length > 0) console.log(`${server.padEnd(6)} ${told.join(", ")} (${seconds} s)`);
    }
  }
}

function workDirectory(under: string, report: Report): string {
  mkdirSync(under, { recursive: true });
  const directory = mkdtempSync(join(resolve(under), "zoolet-bench-"));
  ownDirectory(directory);
  const fileSystem = fileSystemOf(directory);
  if (memoryFileSystems.includes(fileSystem)) {
    report.note(
      `${under} is in memory (${fileSystem}): an fsync costs nothing there; give --dir on a real disk`,
    );
  }
  return directory;
}

async function chooseGenerator(args: BenchArguments, directory: string, report: Report): Promise<Generator> {
  if (args.loadgen === null) return ownGenerator;
  if (findProgram("cc") === null) {
    report.note("There is no C compiler (cc), so the load comes from scripts/benchmark/load.ts");
    return ownGenerator;
  }
  if (!existsSync(args.loadgen)) {
    console.error(`scripts/bench: --loadgen is ${args.loadgen}, and there is no such directory`);
    process.exit(2);
  }
  return await cGenerator(args.loadgen, directory);
}

function chooseServers(args: BenchArguments, report: Report): ServerName[] {
  if (!args.apache) return [...args.runtimes];
  const missing = apacheMissing();
  if (missing === null) return ["apache", ...args.runtimes];
  report.note(`Without Apache ZooKeeper there are no ratios: ${missing}`);
  return [...args.runtimes];
}

/** Starts each once. That also brings the programs into memory before anything is timed. */
async function versionsOf(
  servers: readonly ServerName[],
  directory: string,
  report: Report,
): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  for (const name of servers) {
    const own = join(directory, `version-${name}`);
    try {
      await inDirectory(own, async () => {
        const server = await startServer(name, { directory: own });
        versions[name] = await versionOf(server.port);
        await server.stop();
      });
    } catch (error) {
      report.note(error instanceof Error ? error.message : String(error));
    }
  }
  return versions;
}
