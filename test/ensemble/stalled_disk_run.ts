/**
 * Stalled disks by hand: no fsync returns for a while on a leader, on a follower, on two followers of five.
 *
 *     bun test/ensemble/stalled_disk_run.ts --hold 20 --runtime deno
 *     bun test/ensemble/stalled_disk_run.ts --hold 20 --held leader --bytes 100000 --in-flight 20
 *
 * Exits 1 when a session was lost.
 */
import { parseArgs } from "node:util";
import { runtimeUnderTest } from "../support/zoolet.ts";
import { type Held, stallDisks } from "./stalled_disk.ts";

const { values } = parseArgs({
  options: {
    hold: { type: "string", default: "20" },
    held: { type: "string", default: "all" },
    runtime: { type: "string", default: runtimeUnderTest() },
    tick: { type: "string", default: "2000" },
    bytes: { type: "string", default: "100" },
    "in-flight": { type: "string", default: "4" },
  },
});

let lost = 0;
for (const held of ["leader", "follower", "two followers"] satisfies Held[]) {
  if (values.held !== "all" && values.held !== held) continue;
  const report = await stallDisks({
    runtime: values.runtime === "deno" ? "deno" : "bun",
    members: held === "two followers" ? 5 : 3,
    held,
    holdMs: Number(values.hold) * 1000,
    tickMs: Number(values.tick),
    dataBytes: Number(values.bytes),
    inFlight: Number(values["in-flight"]),
  });
  if ("reason" in report) {
    console.log(`cannot be run here: ${report.reason}`);
    break;
  }
  lost += report.sessionsLost;
  console.log(
    `${values.runtime}, fsync held for ${values.hold} s on ${held}: longest pause of writes ` +
      `${Math.round(report.pauseMs)} ms (before it ${Math.round(report.pauseMsBefore)} ms), ` +
      `${report.writes} writes answered, ${report.sessionsLost} of ${report.sessions} sessions lost, ` +
      `leader ${report.moved ? "moved" : "stayed"}`,
  );
}
process.exit(lost > 0 ? 1 : 0);
