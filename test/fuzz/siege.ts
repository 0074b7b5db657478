/**
 * Siege: three members, everything hostile at once from one address, and a normal client at each member.
 *
 * The normal client reads, writes and pings; what it waited for longest, how far each member grew above
 * what it had with its data, and how often the leader changed are the result. Nothing here is a fault of
 * one story: it is the budgets of all inputs together.
 */
import { Worker } from "node:worker_threads";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { createBody, multiBody, pathWatchBody, setDataBody } from "../support/bodies.ts";
import { type Ensemble, withEnsemble } from "../support/ensemble.ts";
import { sleep } from "../support/places.ts";
import { WireSession } from "../support/wire_session.ts";
import type { RuntimeName } from "../support/zoolet.ts";
import { zooletMake } from "../support/zoolet_member.ts";
import { residentMb } from "./fuzz.ts";
import { bigPath, longPath, type SiegeOrder } from "./siege_attackers.ts";

export interface SiegeOptions {
  readonly seed: number;
  readonly ms: number;
  readonly znodes: number;
  readonly only?: readonly string[];
  readonly progress?: (text: string) => void;
}

export interface SiegeResult {
  readonly seconds: number;
  readonly clients: readonly { readonly at: string; readonly text: string; readonly failures: number }[];
  readonly waitMsMax: number;
  readonly members: readonly {
    readonly name: string;
    readonly idleMb: number;
    readonly peakMb: number;
    readonly isRunning: boolean;
  }[];
  readonly leaderChanges: number;
  /** How late this process itself was at most: no wait is measured finer. */
  readonly ownLagMs: number;
  readonly told: Readonly<Record<string, number>>;
}

const pauseMs = 100;
const waitMsMax = 30_000;

/** Reads, writes and pings, each a tenth of a second after the last; comes back when its line is cut. */
class NormalClient {
  readonly waits = { read: 0, write: 0, ping: 0, connect: 0 };
  rounds = 0;
  failures = 0;
  #running = true;
  readonly #port: number;
  readonly #path: string;
  readonly #loops: Promise<void>[];

  constructor(port: number, path: string) {
    this.#port = port;
    this.#path = path;
    this.#loops = [this.#loop(false), this.#loop(true)];
  }

  async #timed(what: "read" | "write" | "ping" | "connect", act: () => Promise<unknown>): Promise<void> {
    const begun = performance.now();
    try {
      await act();
    } finally {
      this.waits[what] = Math.max(this.waits[what], performance.now() - begun);
    }
  }

  async #loop(pingsOnly: boolean): Promise<void> {
    let session: WireSession | null = null;
    for (let value = 0; this.#running; value++) {
      try {
        if (session === null) {
          await this.#timed("connect", async () => {
            session = await WireSession.connect(this.#port, { timeoutMs: 30_000 }, waitMsMax);
          });
        }
        const at = session as unknown as WireSession;
        if (pingsOnly) await this.#timed("ping", () => at.ping(waitMsMax));
        else {
          const data = bytesOf(String(value));
          await this.#timed(
            "write",
            () => at.ask(OpCode.SetData, setDataBody(this.#path, data, -1), waitMsMax),
          );
          await this.#timed(
            "read",
            () => at.ask(OpCode.GetData, pathWatchBody(this.#path, false), waitMsMax),
          );
          this.rounds++;
        }
      } catch {
        this.failures++;
        session = null;
      }
      await sleep(pauseMs);
    }
    (session as WireSession | null)?.drop();
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
  }
}

async function build(ensemble: Ensemble, znodes: number): Promise<void> {
  const session = await WireSession.connect(ensemble.of(3).ports.client, { timeoutMs: 30_000 });
  const create = (path: string, data: Uint8Array | null = null) =>
    session.ask(OpCode.Create, createBody(path, data), waitMsMax);
  await create("/siege");
  await create(bigPath, new Uint8Array(1_000_000));
  await create(longPath);
  for (const { sid } of ensemble.members) await create(`/siege/normal${sid}`);
  const perMulti = 500;
  for (let i = 0; i < znodes; i += perMulti * 10) {
    await create(`/siege/n${i}`);
    await Promise.all(Array.from({ length: 10 }, (_, k) => {
      const subs = Array.from({ length: perMulti }, (_, j) => ({
        op: OpCode.Create,
        body: createBody(`/siege/n${i}/${k * perMulti + j}`, bytesOf("some value")),
      }));
      return session.ask(OpCode.Multi, multiBody(subs), waitMsMax);
    }));
  }
  await session.close();
}

export async function siege(runtime: RuntimeName, options: SiegeOptions): Promise<SiegeResult> {
  const make = zooletMake(runtime);
  let result: SiegeResult | null = null;
  const settings = { tickTime: 2000, initLimit: 10, syncLimit: 5, maxClientCnxns: 100 };
  await withEnsemble([{ make }, { make }, { make }], { settings }, async (ensemble) => {
    await ensemble.startLedBy(3);
    await build(ensemble, options.znodes);
    await sleep(2000);
    result = await besiege(ensemble, options);
  });
  if (result === null) throw new Error("unreachable: the siege was told");
  return result;
}

/** Elections that were decided, as the members say. */
function elections(ensemble: Ensemble): number {
  return ensemble.members.reduce(
    (sum, member) => sum + member.history.split("event=part_left").length - 1,
    0,
  );
}

async function besiege(ensemble: Ensemble, options: SiegeOptions): Promise<SiegeResult> {
  const begun = performance.now();
  const { members } = ensemble;
  const pids = members.map((member) => member.child?.pid ?? 0);
  const idle = pids.map(residentMb);
  const peak = [...idle];
  const before = elections(ensemble);
  const clients = members.map(({ sid, ports }) => new NormalClient(ports.client, `/siege/normal${sid}`));
  let ownLagMs = 0;
  let lookedMs = performance.now();
  const lookMs = 50;
  const looking = setInterval(() => {
    ownLagMs = Math.max(ownLagMs, performance.now() - lookedMs - lookMs);
    lookedMs = performance.now();
    for (const [i, pid] of pids.entries()) peak[i] = Math.max(peak[i] as number, residentMb(pid));
    options.progress?.(
      `${((lookedMs - begun) / 1000).toFixed(0)} s, at most ${peak.map(Math.round).join(" ")} MB`,
    );
  }, lookMs);
  const order: SiegeOrder = {
    members: members.map(({ sid, ports }) => ({
      sid,
      client: ports.client,
      quorum: ports.quorum,
      election: ports.election,
    })),
    seed: options.seed,
    ms: options.ms,
    only: options.only ?? [],
  };
  const worker = new Worker(new URL("./siege_attackers.ts", import.meta.url), { workerData: order });
  const told = await new Promise<Record<string, number>>((resolve, reject) => {
    worker.on("message", resolve);
    worker.on("error", reject);
    // A story may hang on a member that answers nothing; what was measured counts all the same.
    setTimeout(() => resolve({}), options.ms + 60_000).unref();
  });
  await worker.terminate();
  await Promise.all(clients.map((client) => client.stop()));
  clearInterval(looking);
  return {
    seconds: (performance.now() - begun) / 1000,
    clients: clients.map(({ waits, rounds, failures }, i) => ({
      at: members[i]?.name ?? "",
      text: `${rounds} rounds, longest ${
        Object.entries(waits).map(([what, ms]) => `${what} ${ms.toFixed(0)} ms`).join(", ")
      }`,
      failures,
    })),
    waitMsMax: Math.max(...clients.flatMap(({ waits }) => Object.values(waits))),
    members: members.map((member, i) => ({
      name: member.name,
      idleMb: idle[i] as number,
      peakMb: peak[i] as number,
      isRunning: member.isRunning,
    })),
    leaderChanges: elections(ensemble) - before,
    ownLagMs,
    told,
  };
}

export function siegeText(result: SiegeResult): string {
  return [
    `${result.seconds.toFixed(0)} s of siege: ${
      Object.entries(result.told).map(([name, count]) => `${count} ${name}`).join(", ")
    }`,
    ...result.clients.map(({ at, text, failures }) =>
      `normal client at ${at}: ${text}; lost its line ${failures} times`
    ),
    `longest wait of a normal client: ${result.waitMsMax.toFixed(0)} ms (this process itself was up to ${
      result.ownLagMs.toFixed(0)
    } ms late)`,
    ...result.members.map(({ name, idleMb, peakMb, isRunning }) =>
      `${name}: ${idleMb.toFixed(0)} MB with its data, ${peakMb.toFixed(0)} MB at most, ${
        (peakMb - idleMb).toFixed(0)
      } MB more${isRunning ? "" : "; IT ENDED"}`
    ),
    `parts that members left: ${result.leaderChanges}`,
  ].join("\n");
}
