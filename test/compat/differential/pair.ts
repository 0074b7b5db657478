/**
 * Pair: two servers from empty directories with the same settings, for one differential run.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startApache } from "../../support/apache.ts";
import { makeTempDirectory } from "../../support/places.ts";
import { Random } from "../../support/random.ts";
import type { RunningServer } from "../../support/servers.ts";
import { type RuntimeName, startZoolet } from "../../support/zoolet.ts";
import { Driver, type RunOptions, type RunResult } from "./driver.ts";
import { Side } from "./side.ts";
import { slotCount, superDigest } from "./vocabulary.ts";

/** No session expires and no container is collected during a run: both would take a zxid at a moment of their own. */
function settingsOf(quotaEnforced: boolean): Record<string, string | number | boolean> {
  return {
    tickTime: 600_000,
    minSessionTimeout: 60_000,
    maxSessionTimeout: 600_000,
    extendedTypesEnabled: true,
    "DigestAuthenticationProvider.superDigest": superDigest,
    ...(quotaEnforced ? { enforceQuota: true } : {}),
  };
}

export type RightServer = { readonly kind: "zoolet"; readonly runtime: RuntimeName } | {
  readonly kind: "apache";
};

export interface PairRun extends RunOptions {
  readonly seed: number;
  readonly right: RightServer;
  /** Changes lines of the right side: to prove that a difference is seen. */
  readonly tamper?: (line: string) => string;
}

export interface PairResult extends RunResult {
  /** Counts of "operation code", from the left side. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly rightOutput: string;
}

export async function runPair(run: PairRun): Promise<PairResult> {
  const place = makeTempDirectory("differential");
  const running: RunningServer[] = [];
  const sides: Side[] = [];
  try {
    const settings = settingsOf(run.quotaEnforced);
    const startOf = (name: string) => {
      const directory = join(place.path, name);
      mkdirSync(directory);
      return { directory, settings };
    };
    const properties = { "znode.container.checkIntervalMs": "86400000", "zookeeper.forceSync": "no" };
    const [left, right] = await Promise.all([
      startApache({ ...startOf("left"), properties }),
      run.right.kind === "apache" ? startApache({ ...startOf("right"), properties }) : startZoolet({
        ...startOf("right"),
        settings: { ...settings, "znode.container.checkIntervalMs": 86_400_000 },
        runtime: run.right.runtime,
      }),
    ]);
    running.push(left, right);
    const leftSide = new Side("apache", left.port, slotCount);
    const rightSide = new Side(
      run.right.kind === "apache" ? "second apache" : right.name,
      right.port,
      slotCount,
    );
    sides.push(leftSide, rightSide);
    if (run.tamper !== undefined) rightSide.tamper = run.tamper;
    const driver = new Driver(leftSide, rightSide, new Random(run.seed));
    let result: RunResult;
    try {
      result = await driver.run(run);
    } catch (error) {
      const told = running.map((server) => `${server.name}: ${server.child.describe()}`).join("\n\n");
      throw new Error(`Seed ${run.seed} ended in the middle.\n${driver.history()}\n\n${told}`, {
        cause: error,
      });
    }
    return { ...result, outcomes: leftSide.facts.outcomes, rightOutput: right.child.describe() };
  } finally {
    for (const side of sides) side.close();
    await Promise.all(running.map((server) => server.stop()));
    place.remove();
  }
}
