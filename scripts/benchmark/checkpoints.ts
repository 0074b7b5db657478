/**
 * Checkpoints: how much slower a write is while the tree table is checkpointed; zoolet beside itself.
 *
 * There is no switch that keeps checkpoints from running, so time tells them apart. Writes are recorded
 * in windows of 250 ms, while `mntr` is asked for the number of checkpoints so far. The worker tells
 * that number every 250 ms, so a checkpoint seen at some moment ran in the window of that moment or in
 * the one before: those two count as "with". "Without" are the windows from the start of a load up to
 * two before the first checkpoint, when the log has not yet grown enough for the table to follow it:
 * not the quiet ones later on, between two checkpoints, when the table is still following and the
 * comparison would flatter. To have enough of them the load runs several times, with a rest in
 * between in which the table catches up. It writes to 10,000 znodes, ten times as many as the row on
 * throughput, so that each checkpoint has some 500 pages to move: as many as the table does at once. With
 * many more the table needs minutes to catch up, and no second load would begin with nothing behind.
 */
import { Histogram } from "./histogram.ts";
import { ownLoad } from "./generators.ts";
import type { LoadSpec, LoadWindow } from "./load.ts";
import { sleep } from "./processes.ts";
import { checkpointsOf } from "./servers.ts";

const windowMs = 250;
const pollMs = 100;
const cycles = 3;
const restMsMax = 60_000;
const windowsMin = 2;
const warmReadsMs = 1500;

export interface CheckpointRatio {
  /** Null when one of the two sides has no windows. */
  readonly ratio: number | null;
  readonly method: string;
}

export async function checkpointRatio(
  port: number,
  warmSeconds: number,
  measureSeconds: number,
): Promise<CheckpointRatio> {
  const load: LoadSpec = {
    ...{ mode: "load", write: "set", ports: [port], connections: 16, depth: 32, readShare: 0, bytes: 128 },
    ...{ keys: 10_000, windowMs, warmMs: warmSeconds * 1000, warmWithReads: false, measureMs: 100 },
  };
  await ownLoad(load);
  const [within, without] = [new Histogram(), new Histogram()];
  let [withinWindows, withoutWindows] = [0, 0];
  for (let cycle = 0; cycle < cycles; cycle++) {
    await untilQuiet(port);
    const poll = new Poll(port);
    // Were the generator cold in the first windows, those without would look slow and the ratio good.
    const timing = { warmMs: warmReadsMs, warmWithReads: true, measureMs: measureSeconds * 1000 };
    const result = await ownLoad({ ...load, ...timing }).finally(() => poll.stop());
    const sorted = sort(result.windows, poll.seenMs);
    for (const window of sorted.within) within.add(window.writes);
    for (const window of sorted.without) without.add(window.writes);
    withinWindows += sorted.within.length;
    withoutWindows += sorted.without.length;
  }
  const p99 = (of: Histogram): number => of.percentileUs(0.99) / 1000;
  const method = `p99 ${p99(within).toFixed(1)} ms in ${withinWindows} windows of ${windowMs} ms with a ` +
    `checkpoint, ${p99(without).toFixed(1)} ms in ${withoutWindows} before the first`;
  if (withinWindows === 0) return { ratio: null, method: `${method}; none ran, so try more --seconds` };
  if (withoutWindows < windowsMin) return { ratio: null, method: `${method}; too few before the first` };
  return { ratio: p99(within) / p99(without), method };
}

function sort(
  windows: readonly LoadWindow[],
  seenMs: readonly number[],
): { within: LoadWindow[]; without: LoadWindow[] } {
  const ran = windows.map(({ startMs }) =>
    seenMs.some((at) => at >= startMs && at < startMs + 2 * windowMs + pollMs)
  );
  const first = ran.indexOf(true);
  return {
    within: windows.filter((_, i) => ran[i] === true),
    // In the very first the load changes from reads to writes.
    without: windows.slice(1, first < 0 ? windows.length : Math.max(1, first - 1)),
  };
}

/** Notes when the number of checkpoints was seen to grow. */
class Poll {
  readonly seenMs: number[] = [];
  #running = true;
  readonly #done: Promise<void>;

  constructor(port: number) {
    this.#done = this.#watch(port);
  }

  async #watch(port: number): Promise<void> {
    let last = await checkpointsOf(port);
    while (this.#running) {
      await sleep(pollMs);
      const now = await checkpointsOf(port);
      if (now > last) this.seenMs.push(Date.now());
      last = now;
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }
}

/** The table has caught up with the log when the number of checkpoints stays as it is. */
async function untilQuiet(port: number): Promise<void> {
  const quietForMs = 3000;
  const end = Date.now() + restMsMax;
  let last = await checkpointsOf(port);
  let since = Date.now();
  while (Date.now() < end && Date.now() - since < quietForMs) {
    await sleep(pollMs);
    const now = await checkpointsOf(port);
    if (now !== last) since = Date.now();
    last = now;
  }
}
