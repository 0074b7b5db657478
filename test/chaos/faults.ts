/**
 * Faults: what is done to the ensemble, one at a time or two at once, and how it is undone.
 *
 * Each is drawn from the seed. A fault ends with its own undoing, so that at the end of all of them
 * the ensemble is whole: every peer runs, none is frozen, no direction is broken.
 */
import { readFileSync } from "node:fs";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import type { ChaosMember } from "./chaos_member.ts";
import type { Judge } from "./judge.ts";
import { between, type Direction, type Network } from "./network.ts";
import type { SmallDisk } from "./small_disk.ts";

export interface Stage {
  readonly members: readonly ChaosMember[];
  readonly network: Network;
  readonly random: Random;
  readonly judge: Judge;
  readonly smallDisk: { readonly disk: SmallDisk; readonly sid: number } | null;
  /** Milliseconds from the kill of a leader to the next answered write. */
  readonly leaderKills: number[];
  readonly note: (text: string) => void;
  /** Factor for how long faults last. */
  readonly pace: number;
}

export interface Fault {
  readonly kind: string;
  readonly weight: number;
  readonly run: (stage: Stage) => Promise<string>;
}

export const faults: readonly Fault[] = [
  { kind: "kill-leader", weight: 12, run: async (stage) => killAndRestart(stage, [await leaderOf(stage)]) },
  {
    kind: "kill-follower",
    weight: 6,
    run: async (stage) => killAndRestart(stage, [await followerOf(stage)]),
  },
  { kind: "kill-majority", weight: 4, run: killMajority },
  { kind: "kill-all", weight: 4, run: (stage) => killAndRestart(stage, stage.members) },
  { kind: "end-leader", weight: 3, run: endLeader },
  { kind: "freeze-leader", weight: 6, run: async (stage) => freeze(stage, [await leaderOf(stage)]) },
  { kind: "freeze-follower", weight: 4, run: async (stage) => freeze(stage, [await followerOf(stage)]) },
  { kind: "freeze-majority", weight: 2, run: (stage) => freeze(stage, some(stage, majorityOf(stage))) },
  { kind: "cut-off-one", weight: 4, run: (stage) => cutOff(stage, stage.random.pick(stage.members)) },
  { kind: "leader-alone", weight: 6, run: async (stage) => cutOff(stage, await leaderOf(stage)) },
  { kind: "halves", weight: 5, run: halves },
  { kind: "one-way", weight: 5, run: oneWay },
  {
    kind: "leader-deaf",
    weight: 3,
    run: async (stage) => oneWayOf(stage, await leaderOf(stage), "hears nobody"),
  },
  {
    kind: "leader-mute",
    weight: 3,
    run: async (stage) => oneWayOf(stage, await leaderOf(stage), "is not heard"),
  },
  { kind: "bridge", weight: 4, run: bridge },
  { kind: "majority-ring", weight: 4, run: majorityRing },
  { kind: "slow", weight: 4, run: slow },
  { kind: "flaky", weight: 4, run: flaky },
  { kind: "kill-leader-in-partition", weight: 3, run: killInPartition },
  { kind: "disk-full", weight: 4, run: diskFull },
  { kind: "wipe-majority", weight: 0, run: wipeMajority },
];

function majorityOf(stage: Stage): number {
  return Math.floor(stage.members.length / 2) + 1;
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const rest = [...list];
  return list.map(() => rest.splice(random.below(rest.length), 1)[0] as T);
}

function some(stage: Stage, count: number): readonly ChaosMember[] {
  return shuffled(stage.members, stage.random).slice(0, count);
}

function names(members: readonly ChaosMember[]): string {
  return members.map((member) => member.sid).join(" and ");
}

function lasting(stage: Stage, minMs: number, maxMs: number): number {
  return stage.pace * (minMs + stage.random.below(maxMs - minMs + 1));
}

/**
 * No ensemble survives this, so it is drawn only when named: a run with it has to end with violations,
 * or it would not see lost writes at all.
 */
async function wipeMajority(stage: Stage): Promise<string> {
  const wiped = stage.members.filter((member) => member.sid !== stage.smallDisk?.sid).slice(
    0,
    majorityOf(stage),
  );
  await Promise.all(stage.members.map((member) => member.kill()));
  for (const member of wiped) member.wipe();
  for (const member of wiped) member.start();
  await sleep(lasting(stage, 2000, 3000));
  for (const member of stage.members) member.start();
  return `${names(wiped)} lost their disks`;
}

/** Who says that it leads; somebody when nobody does. */
async function leaderOf(stage: Stage): Promise<ChaosMember> {
  const roles = await Promise.all(stage.members.map((member) => member.role()));
  const other = stage.random.pick(stage.members);
  return stage.members.find((_, index) => roles[index] === "leader") ?? other;
}

async function followerOf(stage: Stage): Promise<ChaosMember> {
  const leader = await leaderOf(stage);
  return stage.random.pick(stage.members.filter((member) => member !== leader));
}

async function killAndRestart(stage: Stage, members: readonly ChaosMember[]): Promise<string> {
  const downMs = lasting(stage, 0, 3000);
  await kill(stage, members);
  await sleep(downMs);
  // At times the next start is cut short as well.
  if (stage.random.percent(20)) {
    for (const member of members) member.start();
    await sleep(stage.random.below(600));
    await Promise.all(members.map((member) => member.kill()));
  }
  for (const member of members) member.start();
  return `${names(members)} for ${downMs.toFixed(0)} ms`;
}

async function kill(stage: Stage, members: readonly ChaosMember[]): Promise<void> {
  const wasLed = members.length === 1 && await members[0]?.role() === "leader";
  const recovered = stage.judge.untilWritten();
  await Promise.all(members.map((member) => member.kill()));
  if (wasLed) void recovered.then((ms) => stage.leaderKills.push(ms));
}

async function killMajority(stage: Stage): Promise<string> {
  return await killAndRestart(stage, some(stage, majorityOf(stage)));
}

async function endLeader(stage: Stage): Promise<string> {
  const leader = await leaderOf(stage);
  const inTime = await leader.end();
  if (!inTime) stage.judge.violation(`${leader.name} did not end within 8 s of SIGTERM`);
  await sleep(lasting(stage, 0, 2000));
  leader.start();
  return `${leader.sid}`;
}

async function freeze(stage: Stage, members: readonly ChaosMember[]): Promise<string> {
  const frozenMs = lasting(stage, 300, 6000);
  for (const member of members) member.freeze();
  await sleep(frozenMs);
  for (const member of members) member.thaw();
  return `${names(members)} for ${frozenMs.toFixed(0)} ms`;
}

async function broken(stage: Stage, directions: readonly Direction[], minMs = 700): Promise<number> {
  const ms = lasting(stage, minMs, 6000);
  await stage.network.breakOnly(directions);
  await sleep(ms);
  await stage.network.breakOnly([]);
  return Math.round(ms);
}

function sidsOf(members: readonly ChaosMember[]): number[] {
  return members.map((member) => member.sid);
}

async function cutOff(stage: Stage, one: ChaosMember): Promise<string> {
  const rest = sidsOf(stage.members.filter((member) => member !== one));
  return `${one.sid} for ${await broken(stage, between([one.sid], rest))} ms`;
}

async function halves(stage: Stage): Promise<string> {
  const sids = sidsOf(shuffled(stage.members, stage.random));
  const count = 1 + stage.random.below(sids.length - 1);
  const [left, right] = [sids.slice(0, count), sids.slice(count)];
  return `${left.join(",")} | ${right.join(",")} for ${await broken(stage, between(left, right))} ms`;
}

async function oneWay(stage: Stage): Promise<string> {
  const [from, to] = sidsOf(some(stage, 2)) as [number, number];
  return `${from} to ${to} for ${await broken(stage, [{ from, to }])} ms`;
}

async function oneWayOf(
  stage: Stage,
  one: ChaosMember,
  how: "hears nobody" | "is not heard",
): Promise<string> {
  const rest = sidsOf(stage.members.filter((member) => member !== one));
  const directions = rest.map((other) =>
    how === "hears nobody" ? { from: other, to: one.sid } : { from: one.sid, to: other }
  );
  return `${one.sid} ${how} for ${await broken(stage, directions)} ms`;
}

/** Two sides that see each other through one peer alone. */
async function bridge(stage: Stage): Promise<string> {
  const [middle, ...rest] = sidsOf(shuffled(stage.members, stage.random)) as [number, ...number[]];
  const half = Math.ceil(rest.length / 2);
  const [left, right] = [rest.slice(0, half), rest.slice(half)];
  const ms = await broken(stage, between(left, right));
  return `${left.join(",")} - ${middle} - ${right.join(",")} for ${ms} ms`;
}

/**
 * Each sees a majority and no two see the same: neighbours on a ring. Three peers are all neighbours,
 * so there each hears one of the others only.
 */
async function majorityRing(stage: Stage): Promise<string> {
  const sids = sidsOf(shuffled(stage.members, stage.random));
  const count = sids.length;
  const reach = Math.floor(count / 4);
  const directions = sids.flatMap((from, i) =>
    sids.flatMap((to, j) => {
      const apart = Math.min((i - j + count) % count, (j - i + count) % count);
      const cut = count <= 3 ? (i + 1) % count === j : apart > reach;
      return from !== to && cut ? [{ from, to }] : [];
    })
  );
  return `${sids.join(" ")} for ${await broken(stage, directions)} ms`;
}

async function slow(stage: Stage): Promise<string> {
  const members = some(stage, 1 + stage.random.below(stage.members.length));
  const slowness = await stage.network.slow(sidsOf(members), stage.random.below(100));
  if (slowness === null) return "not possible here";
  await sleep(lasting(stage, 1500, 6000));
  await stage.network.unslow();
  return slowness.text;
}

/** Packets get lost for moments, again and again. */
async function flaky(stage: Stage): Promise<string> {
  const bursts = 5 + stage.random.below(15);
  for (let i = 0; i < bursts; i++) {
    const [one, other] = sidsOf(some(stage, 2)) as [number, number];
    await stage.network.breakOnly(
      stage.random.percent(50) ? between([one], [other]) : [{ from: one, to: other }],
    );
    await sleep(lasting(stage, 20, 250));
    await stage.network.breakOnly([]);
    await sleep(lasting(stage, 20, 250));
  }
  return `${bursts} bursts`;
}

async function killInPartition(stage: Stage): Promise<string> {
  const leader = await leaderOf(stage);
  const other = stage.random.pick(stage.members.filter((member) => member !== leader));
  await stage.network.breakOnly(
    between([other.sid], sidsOf(stage.members.filter((member) => member !== other))),
  );
  await sleep(lasting(stage, 300, 2500));
  await kill(stage, [leader]);
  // Now those are left that have each other but not all that was written, or one that lags behind.
  if (stage.random.percent(50)) await stage.network.breakOnly([]);
  await sleep(lasting(stage, 300, 3000));
  leader.start();
  await sleep(lasting(stage, 0, 1500));
  await stage.network.breakOnly([]);
  return `${leader.sid} while ${other.sid} was cut off`;
}

const fullMsMax = 12_000;
const backMsMax = 25_000;

/** The peer ends with a message that says so or refuses, and comes back once there is room. */
async function diskFull(stage: Stage): Promise<string> {
  if (stage.smallDisk === null) return "not possible here";
  const { disk, sid } = stage.smallDisk;
  const member = stage.members.find((one) => one.sid === sid) as ChaosMember;
  const logged = readFileSync(member.logFile).length;
  member.note("its disk is full now");
  let outcome = "stayed";
  try {
    disk.fill();
    for (let waited = 0; waited < fullMsMax * stage.pace && member.ending === null; waited += 50) {
      await sleep(50);
    }
    if (member.ending !== null) outcome = judgeEnding(stage, member, logged);
    // It has no room to start either, and has to say so.
    if (member.ending !== null && stage.random.percent(50)) {
      member.start();
      await sleep(1500);
    }
  } finally {
    disk.makeRoom();
  }
  member.note("its disk has room again");
  if (member.ending !== null) member.start();
  for (let waited = 0; waited < backMsMax; waited += 100) {
    if (member.ending !== null) {
      // A start on a full disk may end only after room was made; it gets one more.
      outcome += `, then ${member.ending}`;
      member.start();
    }
    const role = await member.role();
    if (role === "leader" || role === "follower") return `${sid} ${outcome}, back after ${waited} ms`;
    await sleep(100);
  }
  stage.judge.violation(`${member.name} did not come back within ${backMsMax} ms after its disk had room`);
  return `${sid} ${outcome}, not back`;
}

function judgeEnding(stage: Stage, member: ChaosMember, logged: number): string {
  const said = readFileSync(member.logFile).subarray(logged).toString("utf8");
  const ending = member.ending ?? "";
  if (!/full|no space|ENOSPC/i.test(said)) {
    stage.judge.violation(
      `${member.name} ended (${ending}) on a full disk without a word about it: ${said.slice(-600)}`,
    );
  }
  if (!ending.startsWith("exit")) {
    stage.judge.violation(`${member.name} ended by ${ending} on a full disk`);
  }
  return `ended (${ending})`;
}
