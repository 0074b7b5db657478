/**
 * Groups of an ensemble: the rows that are measured on three peers, and how.
 *
 * Three servers of one kind and the load share the machine, and so do the original's three: ratios hold,
 * absolute figures say little. The original is slow until its compilers have seen enough, so the first
 * load has twice the warm-up; every later one finds a server that has worked already.
 */
import { Ensemble } from "./ensembles.ts";
import { ownFill } from "./generators.ts";
import type { Group, Measure } from "./groups.ts";
import { sleep } from "./processes.ts";
import type { ServerName } from "./servers.ts";

const failovers = 10;
const returns = 3;
/** After a peer came back: what it does then belongs to nobody's figure. */
const restMs = 500;
const freshMs = 2000;
const settleMs = 5000;
const upstreamZnodes = 10_000;

export const ensembleGroups: readonly Group[] = [
  {
    rows: [
      "ensemble-set",
      "ensemble-get",
      "ensemble-mixed",
      "ensemble-latency",
      "ensemble-memory-fresh",
      "ensemble-memory-load",
    ],
    rounds: 3,
    measure: loads,
  },
  { rows: ["ensemble-failover"], rounds: 1, measure: failover },
  { rows: ["ensemble-cold"], rounds: 3, measure: cold },
  { rows: ["ensemble-return"], rounds: 1, measure: comingBack },
  { rows: ["ensemble-edge"], rounds: 3, measure: edge },
];

async function withEnsemble(
  name: ServerName,
  to: Measure,
  use: (ensemble: Ensemble) => Promise<void>,
): Promise<void> {
  const ensemble = await Ensemble.start(name, to.directory);
  try {
    await use(ensemble);
  } finally {
    await ensemble.stop();
  }
}

/** All four load runs count into memory, so asking for that row makes them all. */
async function loads(name: ServerName, to: Measure): Promise<void> {
  const { generator, measureSeconds } = to;
  const all = to.wants("ensemble-memory-load");
  await withEnsemble(name, to, async (ensemble) => {
    // Most of the warm-up is for the first load: what the others need is little.
    let warmSeconds = 2 * to.warmSeconds;
    const load = async (readShare: 0 | 90 | 100): Promise<number> => {
      const shape = { ports: ensemble.ports, connections: 15, depth: 32, bytes: 128 };
      const figures = await generator.load({ ...shape, readShare, warmSeconds, measureSeconds });
      warmSeconds = Math.ceil(to.warmSeconds / 2);
      return figures.perSecond;
    };
    if (to.wants("ensemble-memory-fresh")) {
      await sleep(freshMs);
      recordMemory(to, "ensemble-memory-fresh", ensemble);
    }
    if (all || to.wants("ensemble-set")) to.record("ensemble-set", await load(0));
    if (all || to.wants("ensemble-get")) to.record("ensemble-get", await load(100));
    if (all || to.wants("ensemble-mixed")) to.record("ensemble-mixed", await load(90));
    if (all || to.wants("ensemble-latency")) {
      const one = {
        ports: ensemble.ports.slice(0, 1),
        connections: 1,
        depth: 1,
        bytes: 128,
        readShare: 0 as const,
      };
      const [warm, measured] = [Math.ceil(to.warmSeconds / 3), Math.ceil(measureSeconds / 2)];
      const times = { warmSeconds: warm, measureSeconds: measured };
      to.record("ensemble-latency", (await generator.load({ ...one, ...times })).p50Us);
    }
    if (all) {
      await sleep(settleMs);
      recordMemory(to, "ensemble-memory-load", ensemble);
    }
  });
}

function recordMemory(
  to: Measure,
  row: "ensemble-memory-fresh" | "ensemble-memory-load",
  ensemble: Ensemble,
): void {
  const bytes = ensemble.residentBytesMax();
  if (bytes === null) to.note(`${row}: resident memory is read from /proc, which this system has not`);
  else to.record(row, bytes);
}

/** The one that was killed is back before the next one is. */
async function failover(name: ServerName, to: Measure): Promise<void> {
  await withEnsemble(name, to, async (ensemble) => {
    for (let i = 0; i < failovers; i++) {
      const { killed, ms } = await ensemble.failover();
      to.record("ensemble-failover", ms);
      await ensemble.back(killed);
      await sleep(restMs);
    }
  });
}

async function cold(name: ServerName, to: Measure): Promise<void> {
  await withEnsemble(name, to, (ensemble) => {
    to.record("ensemble-cold", ensemble.firstWriteMs);
    return Promise.resolve();
  });
}

/** A follower is killed and misses so many writes to a thousand znodes. */
async function comingBack(name: ServerName, to: Measure): Promise<void> {
  await withEnsemble(name, to, async (ensemble) => {
    for (let i = 0; i < returns; i++) {
      const leader = await ensemble.leader();
      const away = await ensemble.follower();
      await ensemble.kill(away);
      const shape = { writes: to.missed, keys: 1000, bytes: 128, connections: 8, depth: 64 };
      const { seconds } = await ownFill({ mode: "sets", port: ensemble.portOf(leader), ...shape });
      if (i === 0) {
        to.note(`return, ${name}: ${to.missed} writes to two peers, cold, in ${seconds.toFixed(1)} s`);
      }
      await sleep(restMs);
      to.record("ensemble-return", await ensemble.back(away));
      await sleep(restMs);
    }
  });
}

async function edge(name: ServerName, to: Measure): Promise<void> {
  await withEnsemble(name, to, async (ensemble) => {
    const port = ensemble.portOf(await ensemble.leader());
    const shape = { znodes: upstreamZnodes, perDirectory: 1000, bytes: 100, connections: 8, depth: 64 };
    await ownFill({ mode: "fill", port, ...shape });
    await sleep(restMs);
    to.record("ensemble-edge", await ensemble.observe());
  });
}
