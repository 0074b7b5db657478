/**
 * Cast: who plays in a scenario, and how a scenario becomes a test for each cast.
 *
 * Every scenario has two parts to give away: the original, in one of its versions, and ours, on the
 * runtime under test. With `ZOOLET_ENSEMBLE_PURE=1` the original plays ours too: what fails then is a
 * mistake of the scenario. Everyday tests play with Debian's version alone, each on one
 * runtime: of a story that is played both ways, one way on Bun and the other on Deno.
 */
import { test } from "node:test";
import { debianVersion, javaVersions } from "../../support/java_jars.ts";
import { javaMake } from "../../support/java_member.ts";
import type { Make } from "../../support/member.ts";
import { runtimeUnderTest } from "../../support/zoolet.ts";
import { zooletMake } from "../../support/zoolet_member.ts";

export interface Cast {
  readonly name: string;
  readonly java: Make;
  readonly ours: Make;
  readonly version: string;
}

export interface ScenarioOptions {
  /** Only with ZOOLET_TEST_LONG=1. */
  readonly long?: boolean;
  readonly timeoutMs?: number;
  /**
   * Only with versions of the original that keep their own promises when members are killed while they
   * catch up: before 3.9.4 they lose txns, or find each other again after initLimit (quorum-protocol 12.1).
   */
  readonly sound?: boolean;
  /** Only with versions that begin so, because of what is told here. */
  readonly only?: { readonly version: string; readonly because: string };
}

export const isLong = process.env["ZOOLET_TEST_LONG"] === "1";
const isPure = process.env["ZOOLET_ENSEMBLE_PURE"] === "1";

/** The first version named when versions are named, so that a person can try one. */
const everydayVersion = process.env["ZOOLET_JAVA_VERSIONS"] === undefined
  ? debianVersion
  : javaVersions[0] ?? debianVersion;

const casts: readonly Cast[] = (isLong ? javaVersions : [everydayVersion]).map((version) => {
  const java = javaMake(version);
  const ours = isPure ? java : zooletMake(runtimeUnderTest());
  return {
    name: isPure ? `${java.name} alone` : `${ours.name} and ${java.name}`,
    java,
    ours,
    version,
  };
});

function isSound(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return major > 3 || minor > 9 || (minor === 9 && patch >= 4);
}

function notNow({ long, sound, only }: ScenarioOptions, { version }: Cast): string | null {
  if (long === true && !isLong) return "takes long: ZOOLET_TEST_LONG=1 runs it";
  if (sound === true && !isSound(version)) {
    return "originals before 3.9.4 do not survive this among themselves";
  }
  return only === undefined || version.startsWith(only.version) ? null : only.because;
}

/** Scenarios of this file that run every day, so far. */
let everyday = 0;

/** A Java ensemble is slow to start: every day each runtime plays every other scenario. */
function notHere({ long }: ScenarioOptions): string | null {
  if (isLong || long === true) return null;
  const turn = everyday++ % 2 === 0 ? "bun" : "deno";
  return turn === runtimeUnderTest()
    ? null
    : `every day it is ${turn}'s turn: ZOOLET_TEST_LONG=1 runs it on both`;
}

/** One test for each cast. */
export function scenario(name: string, options: ScenarioOptions, story: (cast: Cast) => Promise<void>): void {
  const elsewhere = notHere(options);
  for (const cast of casts) {
    const skip = cast.java.missing ?? cast.ours.missing ?? notNow(options, cast) ?? elsewhere ?? false;
    test(`${name}, ${cast.name}`, { timeout: options.timeoutMs ?? 90_000, skip }, () => story(cast));
  }
}

/** The same story with the parts given both ways: who leads, and who learns. */
export function scenarioBothWays(
  name: string,
  options: ScenarioOptions,
  story: (leader: Make, learner: Make) => Promise<void>,
): void {
  scenario(`${name}: we learn`, options, ({ java, ours }) => story(java, ours));
  scenario(`${name}: we lead`, options, ({ java, ours }) => story(ours, java));
}
