/**
 * Crash run: kill the server at a random moment under load, start it again on the same data, compare
 * with what was acknowledged; many times on one directory.
 *
 * Some rounds also kill it while it starts. A session that never closes keeps an ephemeral all the
 * way through: it has to survive every crash.
 */
import { bytesOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { createBody, pathWatchBody } from "../support/bodies.ts";
import { makeTempDirectory, sleep } from "../support/places.ts";
import { Random } from "../support/random.ts";
import type { RunningServer } from "../support/servers.ts";
import { WireSession } from "../support/wire_session.ts";
import { type RuntimeName, spawnZoolet, startZoolet } from "../support/zoolet.ts";
import { crashRoot, Writer } from "./writer.ts";

export interface CrashOptions {
  readonly runtime: RuntimeName;
  readonly seed: number;
  readonly kills: number;
  readonly connections: number;
  readonly depth: number;
  readonly untilMs: number;
  readonly progress?: (kills: number, acknowledged: number) => void;
}

export interface CrashResult {
  readonly kills: number;
  readonly killsDuringStart: number;
  readonly acknowledged: number;
  readonly inFlight: number;
  readonly problems: readonly string[];
  readonly restartMsMax: number;
  readonly seconds: number;
}

const ephemeralPath = "/crash-keeper";
const problemsMax = 10;

export async function crashRun(options: CrashOptions): Promise<CrashResult> {
  const begun = performance.now();
  const until = begun + options.untilMs;
  const random = new Random(options.seed);
  const place = makeTempDirectory("crash");
  const start = { directory: place.path, runtime: options.runtime };
  const writers = Array.from(
    { length: options.connections },
    (_, i) => new Writer(i, new Random(options.seed * 100 + i)),
  );
  const problems: string[] = [];
  let kills = 0;
  let killsDuringStart = 0;
  let inFlight = 0;
  let restartMsMax = 0;
  let server: RunningServer | null = null;
  try {
    server = await startZoolet(start);
    let keeper = await prepare(server.port, writers);
    while (kills < options.kills && problems.length === 0 && performance.now() < until) {
      const { port } = server;
      const load = Promise.all(writers.map((writer) => writer.run(port, options.depth)));
      await sleep(random.below(300));
      server.child.kill("SIGKILL");
      await server.child.exited(5000);
      kills++;
      await load;
      keeper.drop();
      inFlight += writers.reduce((sum, writer) => sum + writer.ledger.inFlight, 0);
      if (random.percent(30)) killsDuringStart += await killStarts(start, random);
      const startedAt = performance.now();
      server = await startZoolet(start);
      restartMsMax = Math.max(restartMsMax, performance.now() - startedAt);
      keeper = await resume(server.port, keeper, problems);
      for (const writer of writers) {
        await writer.settle(keeper);
        problems.push(...writer.problems.splice(0).slice(0, problemsMax));
      }
      options.progress?.(kills, acknowledgedBy(writers));
    }
    keeper.drop();
    if (!await server.stop()) problems.push("the server did not end within 10 s of SIGTERM");
  } catch (error) {
    problems.push(`after ${kills} kills: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await server?.stop();
    place.remove();
  }
  const seconds = (performance.now() - begun) / 1000;
  return {
    kills,
    killsDuringStart,
    acknowledged: acknowledgedBy(writers),
    inFlight,
    problems,
    restartMsMax,
    seconds,
  };
}

function acknowledgedBy(writers: readonly Writer[]): number {
  return writers.reduce((sum, writer) => sum + writer.ledger.acknowledged, 0);
}

async function prepare(port: number, writers: readonly Writer[]): Promise<WireSession> {
  const session = await WireSession.connect(port, { timeoutMs: 60_000 });
  await session.ask(OpCode.Create, createBody(crashRoot, null));
  await session.ask(OpCode.Create, createBody(ephemeralPath, bytesOf("alive"), 1));
  for (const writer of writers) await writer.prepare(session);
  return session;
}

/** The session outlives the crash, and so does what hangs on it. */
async function resume(port: number, old: WireSession, problems: string[]): Promise<WireSession> {
  const { sessionId, password } = old.connectReply;
  try {
    const session = await WireSession.connect(port, { timeoutMs: 60_000, sessionId, password });
    const reply = await session.ask(OpCode.Exists, pathWatchBody(ephemeralPath, false));
    if (reply.err !== 0) problems.push(`the ephemeral of a living session is gone (${reply.err})`);
    return session;
  } catch (error) {
    problems.push(
      `the session from before the crash cannot be taken up: ${
        error instanceof Error ? error.message : String(error)
      }`,
    );
    return WireSession.connect(port, { timeoutMs: 60_000 });
  }
}

/** Starts the server and kills it before or while it comes up. */
async function killStarts(start: Parameters<typeof spawnZoolet>[0], random: Random): Promise<number> {
  const count = 1 + random.below(2);
  for (let i = 0; i < count; i++) {
    const child = spawnZoolet(start);
    await sleep(random.below(250));
    child.kill("SIGKILL");
    await child.exited(5000);
  }
  return count;
}

export function crashText(result: CrashResult): string {
  return [
    `${result.kills} kills and ${result.killsDuringStart} during start-up in ${
      result.seconds.toFixed(1)
    } s: ` +
    `${result.acknowledged} acknowledged writes, ${result.inFlight} in flight at a kill, ` +
    `longest restart ${result.restartMsMax.toFixed(0)} ms`,
    ...result.problems.map((problem) => `PROBLEM ${problem}`),
  ].join("\n");
}
