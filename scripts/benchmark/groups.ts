/**
 * Groups: rows that are measured on the same server, and how.
 *
 * Each group starts a server on a fresh directory, warms it up, measures, and takes it away again. The
 * servers take turns within a group, so a machine that grows slower does so for all of them.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkpointRatio } from "./checkpoints.ts";
import { type Generator, ownFill, OwnWatches } from "./generators.ts";
import { diskBytes, sleep } from "./processes.ts";
import type { RowName } from "./rows.ts";
import { type RunningServer, type ServerName, startServer } from "./servers.ts";

export interface Measure {
  readonly generator: Generator;
  /** A directory that nobody has used, removed after the group. */
  readonly directory: string;
  readonly warmSeconds: number;
  readonly measureSeconds: number;
  readonly znodes: number;
  readonly watches: number;
  /** Writes that a follower has missed when it comes back. */
  readonly missed: number;
  wants(row: RowName): boolean;
  record(row: RowName, value: number): void;
  note(text: string): void;
}

export interface Group {
  readonly rows: readonly RowName[];
  /** The median of so many rounds counts; `--quick` does one. */
  readonly rounds: number;
  readonly measure: (server: ServerName, to: Measure) => Promise<void>;
}

const sessions = 2000;
/** After this a server has done what it does once the load is over: checkpoints, garbage. */
const settleMs = 5000;
/** The same with a million znodes behind it. */
const settleMillionMs = 15_000;

export const groups: readonly Group[] = [
  {
    rows: ["set", "get", "latency-get", "latency-set", "memory-fresh", "memory-load"],
    rounds: 3,
    measure: loads,
  },
  { rows: ["checkpoint"], rounds: 1, measure: checkpoints },
  { rows: ["fan"], rounds: 3, measure: fan },
  { rows: ["watches"], rounds: 1, measure: watches },
  { rows: ["memory-million", "disk-million", "restart-million"], rounds: 1, measure: million },
  { rows: ["cold"], rounds: 5, measure: coldStart },
];

/** Starts a server, hands it to `use`, and ends it whatever happens. */
async function withServer(
  name: ServerName,
  to: Measure,
  use: (server: RunningServer) => Promise<void>,
): Promise<void> {
  const server = await startServer(name, { directory: to.directory });
  try {
    await use(server);
  } finally {
    await server.stop();
  }
}

function recordMemory(to: Measure, row: RowName, server: RunningServer): void {
  const bytes = server.residentBytes();
  if (bytes === null) to.note(`${row}: resident memory is read from /proc, which this system has not`);
  else to.record(row, bytes);
}

// ------------------------------------------------------------------------------ the load, memory

/** All four load runs count into memory, so asking for that row makes them all. */
async function loads(name: ServerName, to: Measure): Promise<void> {
  const { generator, warmSeconds, measureSeconds } = to;
  const all = to.wants("memory-load");
  await withServer(name, to, async (server) => {
    const load = { connections: 16, depth: 32, bytes: 128, warmSeconds, measureSeconds };
    const many = { ports: [server.port], ...load };
    // A median settles sooner than a throughput.
    const [warmOne, measureOne] = [Math.ceil(warmSeconds / 3), Math.ceil(measureSeconds / 2)];
    const one = { ...many, connections: 1, depth: 1, warmSeconds: warmOne, measureSeconds: measureOne };
    if (to.wants("memory-fresh")) {
      await sleep(2000);
      recordMemory(to, "memory-fresh", server);
    }
    if (all || to.wants("set")) {
      to.record("set", (await generator.load({ ...many, readShare: 0 })).perSecond);
    }
    if (all || to.wants("get")) {
      to.record("get", (await generator.load({ ...many, readShare: 100 })).perSecond);
    }
    // The server is warm from here on when the rows before were measured, and nearly so when not.
    if (all || to.wants("latency-get")) {
      to.record("latency-get", (await generator.load({ ...one, readShare: 100 })).p50Us);
    }
    if (all || to.wants("latency-set")) {
      to.record("latency-set", (await generator.load({ ...one, readShare: 0 })).p50Us);
    }
    if (all) {
      await sleep(settleMs);
      recordMemory(to, "memory-load", server);
    }
  });
}

async function checkpoints(name: ServerName, to: Measure): Promise<void> {
  if (name === "apache") return;
  await withServer(name, to, async ({ port }) => {
    const { ratio, method } = await checkpointRatio(port, to.warmSeconds, to.measureSeconds);
    to.note(`checkpoint, ${name}: ${method}`);
    if (ratio !== null) to.record("checkpoint", ratio);
  });
}

// --------------------------------------------------------------------------------------- watches

async function fan(name: ServerName, to: Measure): Promise<void> {
  await withServer(name, to, async ({ port }) => {
    const warmRounds = 5;
    const rounds = 20;
    await to.generator.fan(port, sessions, warmRounds);
    to.record("fan", await to.generator.fan(port, sessions, rounds));
  });
}

/** Memory with the sessions open, then with the watches too: the difference is theirs. */
async function watches(name: ServerName, to: Measure): Promise<void> {
  await withServer(name, to, async (server) => {
    const load = new OwnWatches({ mode: "watches", port: server.port, sessions, watches: to.watches });
    try {
      await load.reached("open");
      await sleep(2000);
      const before = server.residentBytes();
      load.goOn();
      await load.reached("armed");
      await sleep(settleMs);
      const after = server.residentBytes();
      if (before === null || after === null) to.note("watches: resident memory is read from /proc");
      else to.record("watches", (after - before) / to.watches);
    } finally {
      await load.end();
    }
  });
}

// ------------------------------------------------------------------------------------ many znodes

async function million(name: ServerName, to: Measure): Promise<void> {
  const restarts = 3;
  await withServer(name, to, async (server) => {
    const shape = { znodes: to.znodes, perDirectory: 1000, bytes: 100, connections: 8, depth: 64 };
    const { seconds } = await ownFill({ mode: "fill", port: server.port, ...shape });
    to.note(`million, ${name}: ${to.znodes} znodes made in ${seconds.toFixed(1)} s`);
    await sleep(settleMillionMs);
    recordMemory(to, "memory-million", server);
  });
  to.record("disk-million", diskBytes(join(to.directory, "data")));
  if (!to.wants("restart-million")) return;
  for (let i = 0; i < restarts; i++) {
    await withServer(name, to, async (server) => {
      to.record("restart-million", server.firstWriteMs);
      const bytes = server.residentBytes();
      if (bytes !== null && i === 0) {
        to.note(`million, ${name}: ${(bytes / 1e6).toFixed(0)} MB resident right after the restart`);
      }
      await sleep(1000);
    });
  }
}

async function coldStart(name: ServerName, to: Measure): Promise<void> {
  await withServer(name, to, async (server) => {
    to.record("cold", server.firstWriteMs);
    await sleep(200);
  });
}

/** A fresh directory for the time of one measurement. */
export async function inDirectory(path: string, use: () => Promise<void>): Promise<void> {
  mkdirSync(path, { recursive: true });
  try {
    await use();
  } finally {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  }
}
