/**
 * Run: the fuzz by hand, as long as wanted.
 *
 *     bun test/fuzz/run.ts --frames 1000000 --seed 7
 *     bun test/fuzz/run.ts --frames 1000000 --seed 7 --runtime deno
 *     bun test/fuzz/run.ts --frames 100000 --port quorum        or election, or leader
 *     bun test/fuzz/run.ts --port all --minutes 10              everything at once: siege.ts; --only NAMES for some
 *
 * Exits 1 when anything failed.
 */
import { parseArgs } from "node:util";
import { runtimeUnderTest } from "../support/zoolet.ts";
import { fuzzPeers, peerFuzzText, type PeerPort } from "./fuzz_peers.ts";
import { fuzzRun, fuzzText } from "./fuzz_run.ts";
import { siege, siegeText } from "./siege.ts";

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    runtime: { type: "string", default: runtimeUnderTest() },
    port: { type: "string", default: "client" },
    connections: { type: "string", default: "8" },
    minutes: { type: "string", default: "20" },
    znodes: { type: "string", default: "200000" },
    only: { type: "string", default: "" },
  },
});

const runtime = values.runtime === "deno" ? "deno" : "bun";
const common = {
  seed: Number(values.seed),
  frames: Number(values.frames),
  untilMs: Number(values.minutes) * 60_000,
  progress: (frames: number, resident: number) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${frames} frames, ${resident.toFixed(0)} MB `);
  },
};
const peerPorts: readonly string[] = ["quorum", "election", "leader"] satisfies PeerPort[];

let text: string;
let failed: boolean;
if (values.port === "client") {
  const result = await fuzzRun(runtime, { ...common, connections: Number(values.connections) });
  text = fuzzText(result);
  failed = result.failures.length > 0;
} else if (values.port === "all") {
  const result = await siege(runtime, {
    seed: common.seed,
    ms: common.untilMs,
    znodes: Number(values.znodes),
    only: values.only === "" ? [] : values.only.split(","),
    progress: (line) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${line} `);
    },
  });
  text = siegeText(result);
  failed = result.members.some(({ isRunning }) => !isRunning) || result.leaderChanges > 0;
} else if (peerPorts.includes(values.port)) {
  const result = await fuzzPeers(runtime, { ...common, port: values.port as PeerPort });
  text = peerFuzzText(result);
  failed = result.failures.length > 0;
} else {
  throw new Error(`--port ${values.port} is none of client, all, ${peerPorts.join(", ")}`);
}
console.log(`seed ${values.seed} on ${runtime}, port ${values.port}: ${text}`);
process.exit(failed ? 1 : 0);
