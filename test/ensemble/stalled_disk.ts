/**
 * Stalled disk: what clients notice while no fsync returns on some members, and when they return again.
 *
 * Writers write all the time, and idle clients with the shortest session timeout do nothing but ping;
 * each holds an ephemeral. Nothing that was answered may be missing afterwards, no session may be gone.
 */
import { rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateMode } from "../../src/core/wire/opcodes.ts";
import { Child } from "../support/child.ts";
import { type Ensemble, withEnsemble } from "../support/ensemble.ts";
import { clientOf, compareAll } from "../support/ensemble_compare.ts";
import { Load } from "../support/ensemble_load.ts";
import type { Make, Member } from "../support/member.ts";
import { makeTempDirectory, sleep } from "../support/places.ts";
import { buildPreload } from "../support/preload.ts";
import { projectDirectory, runtimeCommand, type RuntimeName } from "../support/zoolet.ts";

export type Held = "leader" | "follower" | "two followers";

export interface StallOptions {
  readonly runtime: RuntimeName;
  readonly members: number;
  readonly held: Held;
  readonly holdMs: number;
  readonly tickMs: number;
  /** Of each write, and how many of each of the writers are under way. */
  readonly dataBytes?: number;
  readonly inFlight?: number;
}

export interface StallReport {
  /** The longest time without an answer to any writer, and the same before the stall. */
  readonly pauseMs: number;
  readonly pauseMsBefore: number;
  readonly writes: number;
  readonly sessionsLost: number;
  readonly sessions: number;
  /** Another member leads than before. */
  readonly moved: boolean;
}

const idleClients = 6;
const writers = 3;

/** Null where it can't be run here. */
export async function stallDisks(options: StallOptions): Promise<StallReport | { readonly reason: string }> {
  const place = makeTempDirectory("stall");
  try {
    const library = buildPreload(fileURLToPath(new URL("./hold_fsync.c", import.meta.url)), place.path);
    if (typeof library !== "string") return library;
    const specs = Array.from({ length: options.members }, () => ({ make: makeOf(options.runtime, library) }));
    const reports: StallReport[] = [];
    await withEnsemble(specs, { settings: { tickTime: options.tickMs } }, async (ensemble) => {
      ensemble.start(...ensemble.members.map(({ sid }) => sid));
      reports.push(await story(ensemble, await ensemble.settled(), options));
    });
    return reports[0] as StallReport;
  } finally {
    place.remove();
  }
}

async function story(ensemble: Ensemble, leader: Member, options: StallOptions): Promise<StallReport> {
  const { members } = ensemble;
  const { held, holdMs, tickMs, dataBytes = 100, inFlight = 4 } = options;
  const followers = members.filter((member) => member !== leader);
  const silent = held === "leader" ? [leader] : followers.slice(0, held === "follower" ? 1 : 2);
  const idle = await Promise.all(
    Array.from({ length: idleClients }, () => clientOf(members, { timeoutMs: 2 * tickMs })),
  );
  const ephemerals = await Promise.all(
    idle.map((client, i) => client.create(`/idle-${i}`, null, { mode: CreateMode.Ephemeral })),
  );
  const load = await Load.start(members, { clients: writers, inFlight, dataBytes });
  await sleep(1000);
  const pauseMsBefore = load.gapMsLongest;
  const before = load.answered;
  load.gapMsLongest = 0;
  for (const member of silent) writeFileSync(holdFile(member.directory), "");
  await sleep(holdMs);
  for (const member of silent) rmSync(holdFile(member.directory));
  await sleep(2000);
  await load.more(10);
  await load.stop();
  const led = await ensemble.settled(members);
  const report = {
    pauseMs: load.gapMsLongest,
    pauseMsBefore,
    writes: load.answered - before,
    sessions: idle.length,
    moved: led !== leader,
  };
  let sessionsLost = 0;
  for (const [i, client] of idle.entries()) {
    const found = client.state === "expired" ? null : await client.exists(`/idle-${i}`);
    if (found?.czxid !== ephemerals[i]?.stat.czxid) sessionsLost++;
    await client.close();
  }
  load.verify(await compareAll(ensemble));
  return { ...report, sessionsLost };
}

function holdFile(directory: string): string {
  return join(directory, "hold-fsync");
}

function makeOf(runtime: RuntimeName, library: string): Make {
  return {
    name: `zoolet ${runtime}`,
    isJava: false,
    missing: null,
    start(file) {
      const { command, args } = runtimeCommand(runtime, join(projectDirectory, "src", "main.ts"));
      const env = { LD_PRELOAD: library, HOLD_FSYNC: holdFile(dirname(file)) };
      return new Child(command, [...args, "server", file], { cwd: projectDirectory, env });
    },
  };
}
