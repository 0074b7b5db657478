/**
 * Run: the fuzz by hand, as long as wanted.
 *
 *     bun test/fuzz/run.ts --frames 1000000 --seed 7
 *     bun test/fuzz/run.ts --frames 1000000 --seed 7 --runtime deno
 *     bun test/fuzz/run.ts --frames 100000 --port quorum        or election, or leader
 *
 * Exits 1 when anything failed.
 */
import { parseArgs } from "node:util";
import { runtimeUnderTest } from "../support/zoolet.ts";
import { fuzzPeers, peerFuzzText, type PeerPort } from "./fuzz_peers.ts";
import { fuzzRun, fuzzText } from "./fuzz_run.ts";

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    runtime: { type: "string", default: runtimeUnderTest() },
    port: { type: "string", default: "client" },
    connections: { type: "string", default: "8" },
    minutes: { type: "string", default: "20" },
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
} else if (peerPorts.includes(values.port)) {
  const result = await fuzzPeers(runtime, { ...common, port: values.port as PeerPort });
  text = peerFuzzText(result);
  failed = result.failures.length > 0;
} else {
  throw new Error(`--port ${values.port} is none of client, ${peerPorts.join(", ")}`);
}
console.log(`seed ${values.seed} on ${runtime}, port ${values.port}: ${text}`);
process.exit(failed ? 1 : 0);
