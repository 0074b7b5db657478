/**
 * Fuzz of the peer ports: an ensemble of processes, hostile peers at one of its ports, and a canary
 * that is served all the time.
 *
 * The hostile ones come to the leader, because it has the most to lose. Afterwards every member must
 * still run, hold what the canary wrote, end in order, and not have grown.
 */
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { pathBody, pathWatchBody } from "../support/bodies.ts";
import { type Ensemble, withEnsemble } from "../support/ensemble.ts";
import { sleep } from "../support/places.ts";
import { Random } from "../support/random.ts";
import { WireSession } from "../support/wire_session.ts";
import type { RuntimeName } from "../support/zoolet.ts";
import { zooletMake } from "../support/zoolet_member.ts";
import { Canary } from "./canary.ts";
import { canaryPath, residentMb } from "./fuzz.ts";
import { HostileLeader } from "./hostile_leader.ts";
import { hostileLearners, type Target } from "./hostile_learners.ts";
import { hostileVoters } from "./hostile_voters.ts";

export type PeerPort = "quorum" | "election" | "leader";

export interface PeerFuzzOptions {
  readonly seed: number;
  readonly frames: number;
  /** At which port of a leader; or `leader`: what a learner is told by one. */
  readonly port: PeerPort;
  readonly untilMs: number;
  readonly workers?: number;
  readonly progress?: (frames: number, residentMb: number) => void;
}

export interface PeerFuzzResult {
  readonly frames: number;
  readonly stories: number;
  readonly canaryRounds: number;
  readonly canaryMsMax: number;
  readonly residentMbStart: number;
  readonly residentMbMax: number;
  readonly residentMbEnd: number;
  readonly logLines: number;
  readonly failures: readonly string[];
  readonly seconds: number;
}

const failuresMax = 5;

export async function fuzzPeers(runtime: RuntimeName, options: PeerFuzzOptions): Promise<PeerFuzzResult> {
  const make = zooletMake(runtime);
  let result: PeerFuzzResult | null = null;
  const settings = { tickTime: 500, initLimit: 20, syncLimit: 10 };
  await withEnsemble([{ make }, { make }, { make }], { settings }, async (ensemble) => {
    result = options.port === "leader"
      ? await mislead(ensemble, options)
      : await attack(ensemble, options, options.port);
  });
  if (result === null) throw new Error("unreachable: the story was told");
  return result;
}

async function attack(
  ensemble: Ensemble,
  options: PeerFuzzOptions,
  port: "quorum" | "election",
): Promise<PeerFuzzResult> {
  const begun = performance.now();
  const untilMs = begun + options.untilMs;
  const leader = await ensemble.startLedBy(3);
  const canary = await Canary.start(leader.ports.client, canaryPath);
  const pid = leader.child?.pid ?? 0;
  const residentMbStart = residentMb(pid);
  let residentMbMax = residentMbStart;
  let frames = 0;
  let stories = 0;
  const failures: string[] = [];
  const watcher = setInterval(() => {
    residentMbMax = Math.max(residentMbMax, residentMb(pid));
    options.progress?.(frames, residentMb(pid));
  }, 250);
  const target: Target = { port: leader.ports[port], sid: 3, sids: [1, 2] };
  const list = port === "quorum" ? hostileLearners : hostileVoters;
  const worker = async (number: number) => {
    const random = new Random(options.seed * 1000 + number);
    while (frames < options.frames && performance.now() < untilMs && failures.length < failuresMax) {
      const story = random.weighted(list);
      try {
        frames += await story(target, random);
        stories++;
      } catch (error) {
        failures.push(`${story.name}: ${error instanceof Error ? error.message : String(error)}`);
        await sleep(100);
      }
    }
  };
  await Promise.all(Array.from({ length: options.workers ?? 4 }, (_, i) => worker(i)));
  clearInterval(watcher);
  await canary.stop();
  if (canary.failure !== null) {
    const turns = leader.history.split("\n").filter((line) => /event=(part_left|elected|serving)/.test(line));
    failures.push(`canary: ${canary.failure.message}\n${turns.slice(-10).join("\n")}`);
  }
  const residentMbEnd = residentMb(pid);
  const logLines = leader.output.split("\n").length;
  failures.push(...await lookedOver(ensemble, canary.value));
  return {
    frames,
    stories,
    canaryRounds: canary.rounds,
    canaryMsMax: canary.latencyMsMax,
    residentMbStart,
    residentMbMax,
    residentMbEnd,
    logLines,
    failures,
    seconds: (performance.now() - begun) / 1000,
  };
}

/**
 * Member 1 alone among hostile ones; then the real ones come, whom it has to follow as if nothing had
 * been. It may have promised epochs to the others, and taken a snapshot of theirs; but a snapshot that
 * no leader was established with must not outlive it.
 */
async function mislead(ensemble: Ensemble, options: PeerFuzzOptions): Promise<PeerFuzzResult> {
  const begun = performance.now();
  const untilMs = begun + options.untilMs;
  const victim = ensemble.of(1);
  const failures: string[] = [];
  victim.start();
  await victim.untilOutput(/event=recovered/, 20_000);
  const pid = victim.child?.pid ?? 0;
  const residentMbStart = residentMb(pid);
  let residentMbMax = residentMbStart;
  const hostile = await HostileLeader.start(
    ensemble.of(3).ports.quorum,
    victim.ports.election,
    new Random(options.seed),
  );
  let seen = -1;
  for (let calm = 0; hostile.pieces < options.frames && performance.now() < untilMs && victim.isRunning;) {
    await sleep(100);
    residentMbMax = Math.max(residentMbMax, residentMb(pid));
    options.progress?.(hostile.pieces, residentMb(pid));
    calm = hostile.connections === seen ? calm + 1 : 0;
    seen = hostile.connections;
    if (calm > 150) {
      failures.push(
        `it stopped looking for a leader after ${seen} connections\n${victim.output.slice(-3000)}`,
      );
      break;
    }
  }
  await hostile.stop();
  if (process.env["ZOOLET_FUZZ_TOLD"] === "1") console.log(hostile.told);
  if (!victim.isRunning) failures.push(`${victim.name} has ended\n${victim.output.slice(-3000)}`);
  const residentMbEnd = residentMb(pid);
  const logLines = victim.output.split("\n").length;
  let rounds = 0;
  let canaryMsMax = 0;
  if (failures.length === 0) {
    ensemble.start(2, 3);
    await ensemble.settled(ensemble.members, 30_000);
    const canary = await Canary.start(victim.ports.client, canaryPath);
    await sleep(500);
    await canary.stop();
    if (canary.failure !== null) failures.push(`canary: ${canary.failure.message}`);
    rounds = canary.rounds;
    canaryMsMax = canary.latencyMsMax;
    failures.push(...await lookedOver(ensemble, canary.value));
  }
  return {
    frames: hostile.pieces,
    stories: hostile.connections,
    canaryRounds: rounds,
    canaryMsMax,
    residentMbStart,
    residentMbMax,
    residentMbEnd,
    logLines,
    failures,
    seconds: (performance.now() - begun) / 1000,
  };
}

/** What is wrong with the ensemble now. */
export async function lookedOver(ensemble: Ensemble, value: string): Promise<readonly string[]> {
  const failures: string[] = [];
  for (const member of ensemble.members) {
    if (!member.isRunning) failures.push(`${member.name} has ended\n${member.output.slice(-3000)}`);
  }
  if (failures.length > 0) return failures;
  await ensemble.settled(ensemble.members, 20_000);
  for (const member of ensemble.members) {
    const session = await WireSession.connect(member.ports.client);
    await session.ask(OpCode.Sync, pathBody("/"));
    const read = await session.ask(OpCode.GetData, pathWatchBody(canaryPath, false));
    const found = textOf(new Reader(read.body).buffer() ?? bytesOf("null"));
    if (found !== value) failures.push(`${member.name} has ${found} where the canary wrote ${value}`);
    await session.close();
  }
  for (const member of ensemble.members) {
    if (await member.child?.stop() !== true) failures.push(`${member.name} did not end in order`);
  }
  return failures;
}

export function peerFuzzText(result: PeerFuzzResult): string {
  return [
    `${result.frames} hostile packets and connections in ${
      result.seconds.toFixed(1)
    } s, ${result.stories} stories`,
    `canary: ${result.canaryRounds} rounds, max ${result.canaryMsMax.toFixed(1)} ms`,
    `resident memory: ${result.residentMbStart.toFixed(0)} MB at the start, at most ${
      result.residentMbMax.toFixed(0)
    } MB, ${result.residentMbEnd.toFixed(0)} MB at the end; ${result.logLines} lines in its log`,
    ...result.failures.map((failure) => `FAILED ${failure}`),
  ].join("\n");
}
