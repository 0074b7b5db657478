/**
 * Generators: who makes the load of the rows on throughput, latency and fan-out.
 *
 * `zkload.c` and `zkfan.c`, where a directory with them is given: written in C, they leave most of the
 * machine to the server. Otherwise our own, which measures the same but shares the processor with the
 * server differently: compare only what one generator measured. The rows on checkpoints, watches and
 * the million znodes always use our own, which tells windows of time, pauses half-way, and makes a
 * tree of a known shape.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type {
  FanResult,
  FanSpec,
  FillResult,
  FillSpec,
  LoadResult,
  LoadSpec,
  SetsSpec,
  WatchesSpec,
} from "./load.ts";
import { ownScript, run, start, stop } from "./processes.ts";

/** Beyond what was asked for: starting, preparing keys, draining. */
const graceMs = 60_000;

export interface LoadWish {
  /** Over which the connections are spread. */
  readonly ports: readonly number[];
  readonly connections: number;
  readonly depth: number;
  /** Percent. */
  readonly readShare: 0 | 90 | 100;
  readonly bytes: number;
  readonly warmSeconds: number;
  readonly measureSeconds: number;
}

export interface LoadFigures {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export interface Generator {
  readonly name: string;
  load(wish: LoadWish): Promise<LoadFigures>;
  /** Events a second. */
  fan(port: number, sessions: number, rounds: number): Promise<number>;
}

const keys = 1000;

export const ownGenerator: Generator = {
  name: "scripts/benchmark/load.ts",
  async load(wish) {
    const { ports, connections, depth, readShare, bytes } = wish;
    const result = await ownLoad({
      ...{ mode: "load", write: "set", keys, windowMs: 0, ports, connections, depth, readShare, bytes },
      warmMs: wish.warmSeconds * 1000,
      warmWithReads: false,
      measureMs: wish.measureSeconds * 1000,
    });
    const { p50Us, p99Us } = readShare > 0 ? result.read : result.write;
    return { perSecond: result.perSecond, p50Us, p99Us };
  },
  async fan(port, sessions, rounds) {
    const spec: FanSpec = { mode: "fan", port, sessions, rounds };
    const result = JSON.parse(await run(ownScript("load.ts", JSON.stringify(spec)), graceMs)) as FanResult;
    return result.eventsPerSecond;
  },
};

/** Compiles the sources in `sources` into `binaries`. */
export async function cGenerator(sources: string, binaries: string): Promise<Generator> {
  for (const name of ["zkload", "zkfan"]) {
    const source = join(sources, `${name}.c`);
    if (!existsSync(source)) {
      throw new Error(`Cannot find ${source}: give the directory of zkload.c and zkfan.c, or none at all`);
    }
    await run(["cc", "-O2", "-w", "-o", join(binaries, name), source], graceMs);
  }
  return {
    name: "zkload, zkfan (C)",
    async load(wish) {
      const reading = wish.readShare > 0;
      const text = await run([
        ...[join(binaries, "zkload"), "-j", "-s", wish.ports.map((port) => `127.0.0.1:${port}`).join()],
        ...["-c", `${wish.connections}`, "-d", `${wish.depth}`, "-r", `${wish.readShare}`, "-k", `${keys}`],
        ...["-z", `${wish.bytes}`, "-w", `${wish.warmSeconds}`, "-t", `${wish.measureSeconds}`],
      ], (wish.warmSeconds + wish.measureSeconds) * 1000 + graceMs);
      const told = JSON.parse(text) as Readonly<Record<string, number>>;
      const figure = (name: string): number => told[name] ?? NaN;
      return {
        perSecond: figure("ops_s"),
        p50Us: figure(reading ? "r_p50_us" : "w_p50_us"),
        p99Us: figure(reading ? "r_p99_us" : "w_p99_us"),
      };
    },
    async fan(port, sessions, rounds) {
      const command = [join(binaries, "zkfan"), "-s", `127.0.0.1:${port}`];
      const text = await run([...command, "-n", `${sessions}`, "-k", `${rounds}`], graceMs);
      const found = /(\d+) events\/s/.exec(text);
      if (found === null) throw new Error(`zkfan told no events/s: ${text.trim()}`);
      return Number(found[1]);
    },
  };
}

export async function ownLoad(spec: LoadSpec): Promise<LoadResult> {
  const text = await run(ownScript("load.ts", JSON.stringify(spec)), spec.warmMs + spec.measureMs + graceMs);
  const result = JSON.parse(text) as LoadResult;
  if (result.errors > 0) throw new Error(`${result.errors} requests were refused`);
  return result;
}

const fillMsMax = 10 * 60_000;

export async function ownFill(spec: FillSpec | SetsSpec): Promise<FillResult> {
  return JSON.parse(await run(ownScript("load.ts", JSON.stringify(spec)), fillMsMax)) as FillResult;
}

/** Stops before and after the watches are set, for the owner to look at the server. */
export class OwnWatches {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(spec: WatchesSpec) {
    this.#child = start(ownScript("load.ts", JSON.stringify(spec)), { output: "pipe" });
    this.#lines = linesOf(this.#child);
  }

  /** Waits for the next stage. */
  async reached(stage: "open" | "armed"): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`watches: not ${stage} within 120 s`)), 120_000);
    });
    const next = await Promise.race([this.#lines.next(), late]).finally(() => clearTimeout(timer));
    const said = next.done === true ? "nothing more" : next.value;
    if (!said.includes(`"${stage}"`)) throw new Error(`The generator was to be ${stage} and said ${said}`);
  }

  goOn(): void {
    this.#child.stdin?.write("\n");
  }

  end(): Promise<void> {
    return stop(this.#child, 1000);
  }
}

async function* linesOf(child: ChildProcess): AsyncGenerator<string> {
  if (child.stdout === null) return;
  child.stdout.setEncoding("utf8");
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}
