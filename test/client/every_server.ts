/**
 * The servers that client tests run against: our own, and the original where it is installed.
 */
import { apacheMissing, startApache } from "../support/apache.ts";
import type { RunningServer, ServerStart } from "../support/servers.ts";
import { startZoolet, zooletMissing } from "../support/zoolet.ts";

export interface ServerChoice {
  readonly name: string;
  /** Why it cannot be run here; null when it can. */
  readonly missing: string | null;
  start(start: ServerStart): Promise<RunningServer>;
}

export const everyServer: readonly ServerChoice[] = [
  { name: "zoolet", missing: zooletMissing(), start: startZoolet },
  { name: "Apache ZooKeeper", missing: apacheMissing(), start: startApache },
];
