/**
 * Run: chaos by hand, as long as wanted.
 *
 *     bun test/chaos/run.ts --minutes 60 --peers 5 --seed 7 --runtime mixed
 *     bun test/chaos/run.ts --mode killall --times 100
 *     bun test/chaos/run.ts --minutes 1 --faults kill-leader,halves --network proxies
 *
 * `--java N` makes the last N peers Apache ZooKeeper 3.8.0. Exits 1 when a promise was broken; logs, data
 * and histories of such a run stay.
 */
import { parseArgs } from "node:util";
import { apacheMissing } from "../support/apache.ts";
import { runtimeUnderTest } from "../support/zoolet.ts";
import type { MakeName } from "./chaos_member.ts";
import { chaosRun } from "./chaos_run.ts";
import { faults } from "./faults.ts";
import { chaosDefaults, type ChaosOptions, chaosText } from "./options.ts";

const { values } = parseArgs({
  options: {
    mode: { type: "string", default: "chaos" },
    minutes: { type: "string", default: "1" },
    times: { type: "string", default: String(chaosDefaults.times) },
    peers: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    runtime: { type: "string", default: runtimeUnderTest() },
    java: { type: "string", default: "0" },
    network: { type: "string", default: chaosDefaults.network },
    round: { type: "string", default: String(chaosDefaults.roundSeconds) },
    tick: { type: "string", default: String(chaosDefaults.tickMs) },
    sync: { type: "string", default: String(chaosDefaults.syncLimit) },
    clients: { type: "string", default: String(chaosDefaults.clients) },
    pause: { type: "string", default: String(chaosDefaults.pauseMs) },
    faults: { type: "string", default: "" },
    keep: { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
  },
});

function stopWith(sentence: string): never {
  console.error(sentence);
  process.exit(2);
}

function number(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= min && value <= max)) {
    stopWith(`--${name}: found ${JSON.stringify(text)}, expected a number from ${min} to ${max}`);
  }
  return value;
}

function oneOf<T extends string>(name: string, text: string, list: readonly T[]): T {
  const found = list.find((one) => one === text);
  return found ?? stopWith(`--${name}: found ${JSON.stringify(text)}, expected ${list.join(", ")}`);
}

function makes(): readonly MakeName[] {
  const peers = number("peers", values.peers, 3, 9);
  const java = number("java", values.java, 0, peers);
  const runtime = oneOf("runtime", values.runtime, ["bun", "deno", "mixed"]);
  const missing = java > 0 ? apacheMissing() : null;
  if (missing !== null) stopWith(`--java: ${missing}`);
  return Array.from({ length: peers }, (_, i) => {
    if (i >= peers - java) return "java";
    if (runtime === "mixed") return i % 2 === 0 ? "bun" : "deno";
    return runtime;
  });
}

const kinds = values.faults === "" ? [] : values.faults.split(",");
for (const kind of kinds) oneOf("faults", kind, faults.map((fault) => fault.kind));

const options: ChaosOptions = {
  mode: oneOf("mode", values.mode, ["chaos", "killall"]),
  seconds: 60 * number("minutes", values.minutes, 0.05, 24 * 60),
  times: number("times", values.times, 1, 100_000),
  makes: makes(),
  seed: number("seed", values.seed, 0, 2 ** 31),
  network: oneOf("network", values.network, ["auto", "namespaces", "proxies"]),
  roundSeconds: number("round", values.round, 2, 3600),
  tickMs: number("tick", values.tick, 50, 10_000),
  syncLimit: number("sync", values.sync, 2, 100),
  clients: number("clients", values.clients, 1, 50),
  pauseMs: number("pause", values.pause, 0, 10_000),
  faults: kinds,
  pace: 1,
  keep: values.keep,
  command: ["bun test/chaos/run.ts", ...process.argv.slice(2)].join(" "),
  note: (text) => {
    if (!values.quiet) console.log(text);
  },
};

// What the run made is taken away by its own exit handlers.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));

const result = await chaosRun(options);
console.log(`seed ${options.seed}, ${options.makes.join(" ")}: ${chaosText(result)}`);
process.exit(result.violations.length > 0 ? 1 : 0);
