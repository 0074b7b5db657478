/**
 * Dev ensemble: `zoolet dev`, several peers on this machine, each a process of its own.
 *
 * The process that the user started serves nothing itself. It writes a configuration for each peer,
 * starts them all at once through `scripts/zoolet server`, hands on what they log, tells once when all
 * of them serve, and starts one that ended again, with a line that says so.
 *
 * Always true: no peer outlives it. Each has our pipe as its standard input and stops when that ends,
 * whether we close it or are killed. Data stays where it is: `<data>/peer-N/`, beside what a server
 * alone (`--peers 1`) has kept in `<data>`.
 */
import type { ParsedCommand } from "./cli/args.ts";
import { makePeers, type PeerPlan } from "./dev_peers.ts";
import type { ChildEnd, ChildProcess, Runtime } from "./runtime/ports.ts";
import { systemCodeOf } from "./runtime/ports.ts";
import { type Logger, makeLogger } from "./server/logger.ts";

export type DevCommand = Extract<ParsedCommand, { kind: "dev" }>;

const exitUnexpected = 1;
/** Long enough to be seen in the others' answers, short enough not to be waited for. */
const restartMs = 1_000;
/** A peer that ends so soon after its start, so often in a row, would go on doing so. */
const shortLifeMs = 5_000;
const shortLivesMax = 5;
const stopMsMax = 15_000;
const patienceMs = 20_000;

interface Peer {
  readonly plan: PeerPlan;
  child: ChildProcess | null;
  startedMs: number;
  shortLives: number;
  /** From its ready line; null while it does not serve. */
  ready: ReadonlyMap<string, string> | null;
}

export async function devEnsemble(runtime: Runtime, command: DevCommand): Promise<void> {
  const { process, clock } = runtime;
  const logger = makeLogger({
    clock,
    output: process.logs.stderr,
    format: command.log.format ?? "text",
    level: command.log.level ?? "info",
  });
  process.onCrash((error) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    logger.error("crash", `Unexpected error, the peers are stopped: ${text}`);
    process.exit(exitUnexpected);
  });
  let plans: readonly PeerPlan[];
  try {
    plans = await makePeers(runtime, command);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error.name !== "DevError" && systemCodeOf(error) === "") throw error;
    process.stderr(`Cannot start ${command.peers} peers: ${error.message}\n`);
    return process.exit(exitUnexpected);
  }
  new Ensemble(runtime, command, plans, logger).start();
}

class Ensemble {
  readonly #runtime: Runtime;
  readonly #command: DevCommand;
  readonly #logger: Logger;
  readonly #peers: readonly Peer[];
  #announced = false;
  /** The exit code, once the end has begun. */
  #ending: number | null = null;

  constructor(runtime: Runtime, command: DevCommand, plans: readonly PeerPlan[], logger: Logger) {
    this.#runtime = runtime;
    this.#command = command;
    this.#logger = logger;
    this.#peers = plans.map((plan) => ({ plan, child: null, startedMs: 0, shortLives: 0, ready: null }));
  }

  start(): void {
    const { process, clock } = this.#runtime;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.onSignal(signal, () => {
        if (this.#ending === null) this.#stop(0, signal);
        else this.#killAll();
      });
    }
    for (const peer of this.#peers) this.#startPeer(peer);
    clock.after(patienceMs, () => {
      const late = this.#peers.filter(({ ready }) => ready === null).map(({ plan }) => plan.name);
      if (this.#announced || this.#ending !== null) return;
      this.#logger.warn(
        "dev_waiting",
        `Still waiting for ${late.join(", ")} to serve; what they log is above`,
      );
    });
  }

  #startPeer(peer: Peer): void {
    const { process, clock } = this.#runtime;
    const { info } = process;
    const { plan } = peer;
    const own = info.executable.slice(0, Math.max(0, info.executable.lastIndexOf("/")));
    peer.startedMs = clock.monotonicMs();
    peer.ready = null;
    const child = process.spawn({
      command: plan.script,
      args: ["server", plan.configFile, "--end-with-input"],
      // The same runtime as ours, also where it is not on the PATH.
      env: {
        ZOOLET_RUNTIME: info.runtime,
        ...(own === "" ? {} : { PATH: `${info.env["PATH"] ?? ""}:${own}` }),
      },
    }, {
      line: (from, text) => this.#heard(peer, from, text),
      ended: (end) => this.#ended(peer, end),
    });
    peer.child = child;
  }

  #heard(peer: Peer, from: "stdout" | "stderr", text: string): void {
    const { process } = this.#runtime;
    if (from === "stderr") {
      const named = text.startsWith("{")
        ? `{"peer":${peer.plan.sid},${text.slice(1)}`
        : `${peer.plan.name}  ${text}`;
      process.logs.stderr.write(`${named}\n`);
      return;
    }
    if (!text.startsWith("zoolet ready ")) {
      process.logs.stdout.write(`${peer.plan.name}  ${text}\n`);
      return;
    }
    peer.ready = new Map(
      text.split(" ").slice(2).map((word) => {
        const equals = word.indexOf("=");
        return [word.slice(0, equals), word.slice(equals + 1)] as const;
      }),
    );
    if (this.#announced) {
      this.#logger.info("dev_peer_serves", `${peer.plan.name} serves again, as ${peer.ready.get("mode")}`);
    } else if (this.#peers.every(({ ready }) => ready !== null) && this.#ending === null) {
      this.#announced = true;
      process.logs.stdout.write(this.#readyText());
    }
  }

  #ended(peer: Peer, end: ChildEnd): void {
    const { clock } = this.#runtime;
    peer.child = null;
    peer.ready = null;
    if (this.#ending !== null) {
      if (this.#peers.every(({ child }) => child === null)) this.#exit();
      return;
    }
    const { name, configFile } = peer.plan;
    const how = end.cause ?? (end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`);
    if (!this.#announced && end.signal === null) {
      this.#logger.error("dev_peer_ended", `${name} could not start (${how}); stopping the others`);
      this.#stop(end.code === null || end.code === 0 ? exitUnexpected : end.code, `the end of ${name}`);
      return;
    }
    const lived = clock.monotonicMs() - peer.startedMs;
    peer.shortLives = lived < shortLifeMs ? peer.shortLives + 1 : 0;
    const again = this.#command.restart && peer.shortLives < shortLivesMax;
    const by = again
      ? `starting it again in ${restartMs / 1000} s`
      : `start it again with: ./scripts/zoolet server ${configFile}`;
    const often = this.#command.restart && !again ? `, ${shortLivesMax} times in a row` : "";
    this.#logger.warn("dev_peer_ended", `${name} ended (${how})${often}: ${this.#whatIsLeft()}; ${by}`);
    if (again) {
      clock.after(restartMs, () => {
        if (this.#ending === null && peer.child === null) this.#startPeer(peer);
      });
    } else if (this.#peers.every(({ child }) => child === null)) {
      this.#logger.error("dev_all_ended", "No peer is left");
      this.#runtime.process.exit(exitUnexpected);
    }
  }

  #whatIsLeft(): string {
    const left = this.#peers.filter(({ child }) => child !== null);
    return left.length * 2 > this.#peers.length
      ? "the others serve on"
      : `${left.length} of ${this.#peers.length} are left, which is no quorum, so nothing is served until one more is back`;
  }

  #stop(code: number, reason: string): void {
    const { clock } = this.#runtime;
    this.#ending = code;
    this.#logger.info("stopping", `Stopping all peers on ${reason}`);
    for (const { child } of this.#peers) child?.endInput();
    if (this.#peers.every(({ child }) => child === null)) this.#exit();
    clock.after(stopMsMax, () => this.#killAll());
  }

  #killAll(): void {
    this.#ending = exitUnexpected;
    this.#logger.warn("killing", "Killing the peers that are left");
    for (const { child } of this.#peers) child?.kill();
  }

  #exit(): void {
    this.#logger.info("stopped", "Stopped");
    this.#runtime.process.exit(this.#ending ?? exitUnexpected);
  }

  #readyText(): string {
    const { info } = this.#runtime.process;
    const of = (key: string): string[] => this.#peers.map(({ ready }) => ready?.get(key) ?? "none");
    const clients = of("client");
    const lines = this.#peers.map(({ plan, ready, child }, i) =>
      `  ${plan.name}  ${(ready?.get("mode") ?? "").padEnd(8)}  ${clients[i]}  ${
        ready?.get("admin")
      }  pid ${child?.pid}`
    );
    return `zoolet ready mode=ensemble peers=${this.#peers.length} client=${clients.join(",")} ` +
      `admin=${of("admin").join(",")} data=${this.#peers[0]?.plan.dataDir.replace(/\/peer-\d+$/, "")} ` +
      `sync=${of("sync")[0]} runtime=${info.runtime}/${info.runtimeVersion} pid=${info.pid}\n` +
      `${lines.join("\n")}\n` +
      `Ports: ${rangesText(this.#peers.flatMap(({ plan }) => plan.ports))}\n` +
      `Connect with: ./scripts/zoolet cli -server ${clients.join(",")}   (or zkCli.sh, kazoo, any ` +
      "ZooKeeper client). Stop with Ctrl-C.\n";
  }
}

/** `2181-2189, 8080-8082` */
function rangesText(ports: readonly number[]): string {
  const ranges: { from: number; to: number }[] = [];
  for (const port of [...ports].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && port === last.to + 1) last.to = port;
    else ranges.push({ from: port, to: port });
  }
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}
