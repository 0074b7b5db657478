/**
 * Namespace network: each peer in a network namespace of its own, joined by a bridge.
 *
 *     the run (root namespace)   .254 ─┐
 *     zoolet-TAG-1               .1   ─┼─ bridge zoolet-TAG-b      198.18.X.0/24
 *     zoolet-TAG-2               .2   ─┤
 *     zoolet-TAG-3               .3   ─┘
 *
 * A direction is broken by telling the sender's kernel a wrong hardware address of the receiver, for
 * good: frames go out and nobody takes them. No firewall is needed, one-way is as easy as both, and a
 * kernel in the middle of a connection notices as little as with a pulled cable.
 *
 * TAG is the process id: names are this run's own, are removed by exact name, at the end and when the
 * run is interrupted. What a killed run left behind is removed by the next one.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type Direction, directionKey, type Network, type PeerAddress, type Slowness } from "./network.ts";

const commandMsMax = 10_000;
const ports = { client: 2181, quorum: 2888, election: 3888 } as const;

interface Ran {
  readonly ok: boolean;
  readonly said: string;
  readonly stdout: string;
}

function run(command: string, args: readonly string[], input?: string): Ran {
  const ran = spawnSync(command, [...args], {
    encoding: "utf8",
    timeout: commandMsMax,
    ...(input === undefined ? {} : { input }),
  });
  const said = `${ran.error?.message ?? ""}${ran.stderr ?? ""}`.trim();
  return { ok: ran.status === 0, said, stdout: ran.stdout ?? "" };
}

function must(command: string, args: readonly string[], input?: string): void {
  const ran = run(command, args, input);
  if (ran.ok) return;
  throw new Error(`Cannot run ${command} ${args.join(" ")}: ${ran.said || "no reason told"}`);
}

/** Why there can be no namespaces here; null when there can. */
export function namespacesMissing(): string | null {
  if (process.platform !== "linux") return "no Linux";
  if (process.getuid?.() !== 0) return "not root";
  const probe = `zoolet-${tagOf(process.pid)}-x`;
  const made = run("ip", ["netns", "add", probe]);
  if (!made.ok) return `ip netns add: ${made.said || "no such program (apt-get install iproute2)"}`;
  const link = `zoolet-${tagOf(process.pid)}-y`;
  const joined = run("ip", ["link", "add", link, "type", "bridge"]);
  if (joined.ok) run("ip", ["link", "del", link]);
  run("ip", ["netns", "del", probe]);
  return joined.ok ? null : `ip link add type bridge: ${joined.said}`;
}

function tagOf(pid: number): string {
  return pid.toString(36);
}

function macOf(sid: number): string {
  return `02:00:00:00:00:${sid.toString(16).padStart(2, "0")}`;
}

const macOfNobody = "02:00:00:00:00:ff";

/** Where these stand, `netem` makes links late and lossy; else `tbf` makes them narrow. */
const shapers = [
  (severity: number) => ["netem", "delay", `${5 + severity}ms`, "5ms", "loss", `${1 + severity / 20}%`],
  (severity: number) => [
    "tbf",
    ...["rate", `${Math.max(48, 400 - 3 * severity)}kbit`, "burst", "4kb", "latency", "400ms"],
  ],
] as const;

export class NamespaceNetwork implements Network {
  readonly name = "network namespaces";
  readonly peers = new Map<number, PeerAddress>();
  readonly #tag = tagOf(process.pid);
  readonly #subnet: string;
  readonly #broken = new Set<string>();
  readonly #slowed = new Set<number>();
  readonly #onExit = () => this.#remove();

  private constructor(subnet: string, count: number) {
    this.#subnet = subnet;
    for (let sid = 1; sid <= count; sid++) this.peers.set(sid, { host: `${subnet}.${sid}`, ...ports });
  }

  static open(count: number): NamespaceNetwork {
    removeLeftovers();
    const network = new NamespaceNetwork(freeSubnet(), count);
    process.on("exit", network.#onExit);
    try {
      network.#make();
    } catch (error) {
      network.#remove();
      throw error;
    }
    return network;
  }

  #namespace(sid: number): string {
    return `zoolet-${this.#tag}-${sid}`;
  }

  get #bridge(): string {
    return `zoolet-${this.#tag}-b`;
  }

  #make(): void {
    const bridge = this.#bridge;
    must(
      "ip",
      ["-batch", "-"],
      [
        `link add ${bridge} type bridge`,
        `addr add ${this.#subnet}.254/24 dev ${bridge}`,
        `link set ${bridge} up`,
      ].join("\n"),
    );
    const sids = [...this.peers.keys()];
    for (const sid of sids) {
      const namespace = this.#namespace(sid);
      must("ip", ["netns", "add", namespace]);
      must(
        "ip",
        ["-batch", "-"],
        [
          `link add ${namespace} type veth peer name eth0 address ${macOf(sid)} netns ${namespace}`,
          `link set ${namespace} master ${bridge} up`,
        ].join("\n"),
      );
      must(
        "ip",
        ["-n", namespace, "-batch", "-"],
        [
          `link set lo up`,
          `addr add ${this.#subnet}.${sid}/24 dev eth0`,
          `link set eth0 up`,
          ...sids.filter((other) => other !== sid).map((other) => this.#neighbour(other, macOf(other))),
        ].join("\n"),
      );
    }
  }

  #neighbour(sid: number, mac: string): string {
    return `neigh replace ${this.#subnet}.${sid} lladdr ${mac} dev eth0 nud permanent`;
  }

  memberLines(): readonly string[] {
    return [...this.peers].map(([sid, { host, quorum, election }]) =>
      `server.${sid}=${host}:${quorum}:${election}`
    );
  }

  wrapper(sid: number): readonly string[] {
    return ["ip", "netns", "exec", this.#namespace(sid)];
  }

  breakOnly(directions: readonly Direction[]): Promise<void> {
    const wanted = new Set(directions.map(({ from, to }) => directionKey(from, to)));
    for (const from of this.peers.keys()) {
      const lines: string[] = [];
      for (const to of this.peers.keys()) {
        const key = directionKey(from, to);
        if (from === to || wanted.has(key) === this.#broken.has(key)) continue;
        lines.push(this.#neighbour(to, wanted.has(key) ? macOfNobody : macOf(to)));
        if (wanted.has(key)) this.#broken.add(key);
        else this.#broken.delete(key);
      }
      if (lines.length > 0) must("ip", ["-n", this.#namespace(from), "-batch", "-"], lines.join("\n"));
    }
    return Promise.resolve();
  }

  slow(sids: readonly number[], severity: number): Promise<Slowness | null> {
    let text: string | null = null;
    for (const sid of sids) {
      const shaper = shapers.find((candidate) =>
        run("tc", this.#shaping(sid, "replace", candidate(severity))).ok
      );
      if (shaper === undefined) return Promise.resolve(null);
      this.#slowed.add(sid);
      text = `${shaper(severity).join(" ")} on what ${sids.join(" and ")} send`;
    }
    return Promise.resolve(text === null ? null : { text });
  }

  unslow(): Promise<void> {
    for (const sid of this.#slowed) run("tc", this.#shaping(sid, "del", []));
    this.#slowed.clear();
    return Promise.resolve();
  }

  #shaping(sid: number, verb: string, rest: readonly string[]): readonly string[] {
    return ["-n", this.#namespace(sid), "qdisc", verb, "dev", "eth0", "root", ...rest];
  }

  close(): Promise<void> {
    this.#remove();
    return Promise.resolve();
  }

  #remove(): void {
    process.off("exit", this.#onExit);
    removeAll(this.#tag, [...this.peers.keys()]);
  }
}

/** Each namespace takes its end of the pair with it, and with that the other end. */
function removeAll(tag: string, sids: readonly number[]): void {
  for (const sid of sids) {
    run("ip", ["netns", "del", `zoolet-${tag}-${sid}`]);
    run("ip", ["link", "del", `zoolet-${tag}-${sid}`]);
  }
  run("ip", ["link", "del", `zoolet-${tag}-b`]);
}

/** Namespaces and bridges of runs whose process is no more. */
function removeLeftovers(): void {
  const tags = new Map<string, Set<number>>();
  const listed = `${run("ip", ["netns", "list"]).stdout}\n${run("ip", ["-br", "link"]).stdout}`;
  for (const [, tag, end] of listed.matchAll(/^zoolet-([0-9a-z]+)-(\d|b)\b/gm)) {
    if (tag === undefined || existsSync(`/proc/${Number.parseInt(tag, 36)}`)) continue;
    const sids = tags.get(tag) ?? new Set();
    tags.set(tag, sids);
    if (end !== "b") sids.add(Number(end));
  }
  for (const [tag, sids] of tags) removeAll(tag, [...sids]);
}

/** Addresses that are kept for tests of networks, the part of them that nobody has here. */
function freeSubnet(): string {
  const taken = run("ip", ["-4", "-br", "addr"]).stdout;
  for (let tries = 0; tries < 256; tries++) {
    const subnet = `198.18.${(process.pid + tries) % 256}`;
    if (!taken.includes(`${subnet}.`)) return subnet;
  }
  throw new Error("Cannot find a free subnet below 198.18.0.0/16");
}
