/**
 * Ensemble: several members on loopback, started, broken and mended together.
 *
 * Every wait has a limit and ends with what each member is and said. Ports lie below the range from
 * which the system takes the ports of outgoing connections: a member that is down must find its own
 * free when it comes back.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Make, Member, type MemberPorts, type Role, type Settings } from "./member.ts";
import { makeTempDirectory, sleep } from "./places.ts";
import { TcpGate } from "./tcp_gate.ts";

export interface MemberSpec {
  readonly make: Make;
  /** Its place in the list, from 1, unless told. */
  readonly sid?: number;
  readonly observer?: boolean;
  readonly settings?: Settings;
  readonly properties?: Readonly<Record<string, string>>;
}

export interface EnsembleOptions {
  readonly settings?: Settings;
  readonly heapMb?: number;
  /** More lines beside the members': groups and weights. */
  readonly lines?: readonly string[];
  /** Each member reaches each other's ports through gates of that pair. */
  readonly gates?: boolean;
  /** Each member has a loopback address of its own for its peers, for ports that are the same for all. */
  readonly ownAddresses?: boolean;
}

/** Password `super` of user `super`. */
export const superDigest = "super:gG7s8t3oDEtIqF6DM9LlI/R+9Ss=";

const settingsOfAll: Settings = {
  tickTime: 1000,
  initLimit: 10,
  syncLimit: 5,
  "admin.enableServer": false,
  "4lw.commands.whitelist": "*",
  maxClientCnxns: 0,
  extendedTypesEnabled: true,
  "DigestAuthenticationProvider.superDigest": superDigest,
};

const portMin = 11_000;
const portMax = 31_000;

export class Ensemble {
  readonly members: readonly Member[];
  readonly #gates: { readonly from: number; readonly to: number; readonly gate: TcpGate }[] = [];

  constructor(members: readonly Member[]) {
    this.members = members;
  }

  of(sid: number): Member {
    const member = this.members.find((candidate) => candidate.sid === sid);
    if (member === undefined) throw new Error(`There is no member ${sid}`);
    return member;
  }

  /** Configurations name gates, which are others on each member. */
  get hasGates(): boolean {
    return this.#gates.length > 0;
  }

  /** Makes `from` reach the peer ports of `to` through gates, and returns their ports. */
  async gate(from: Member, to: Member): Promise<MemberPorts> {
    const [quorum, election] = await pickPorts(2) as [number, number];
    for (const [port, target] of [[quorum, to.ports.quorum], [election, to.ports.election]] as const) {
      this.#gates.push({ from: from.sid, to: to.sid, gate: await TcpGate.open(port, target) });
    }
    return { ...to.ports, quorum, election };
  }

  /** Nothing passes between this member and the others, and nobody is told. */
  isolate(member: Member): void {
    for (const { gate } of this.#gatesOf(member)) gate.cut();
  }

  heal(member: Member): void {
    for (const { gate } of this.#gatesOf(member)) gate.heal();
  }

  #gatesOf(member: Member) {
    return this.#gates.filter(({ from, to }) => from === member.sid || to === member.sid);
  }

  #closeGates(): void {
    for (const { gate } of this.#gates) gate.close();
  }

  get running(): readonly Member[] {
    return this.members.filter((member) => member.isRunning);
  }

  /** For a client of all of them, or of some. */
  servers(members: readonly Member[] = this.members): string {
    return members.map((member) => member.server).join(",");
  }

  start(...sids: readonly number[]): void {
    for (const sid of sids) this.of(sid).start();
  }

  /**
   * Starts all so that `leader` leads from empty directories: with one of a smaller sid first, for of
   * equals the largest sid wins, and a newcomer follows whoever leads.
   */
  async startLedBy(leader: number, ms = 30_000): Promise<Member> {
    const second = this.members.find((member) => !member.isObserver && member.sid < leader);
    if (second === undefined) throw new Error(`Member ${leader} has no smaller voter to begin with`);
    const first = [this.of(leader), second];
    const rest = this.members.filter((member) => !first.includes(member));
    this.start(leader, second.sid);
    const led = await this.settled(first, ms);
    if (led.sid !== leader) throw new Error(`${led.name} leads and not ${leader}`);
    if (rest.length > 0) {
      this.start(...rest.map((member) => member.sid));
      await this.settled(this.members, ms);
    }
    return led;
  }

  async roles(members: readonly Member[] = this.members): Promise<readonly Role[]> {
    return await Promise.all(members.map((member) => member.role()));
  }

  /** Waits until all of them serve and one of them, or of the others, leads; returns the leader. */
  async settled(members: readonly Member[] = this.running, ms = 30_000): Promise<Member> {
    const until = performance.now() + ms;
    while (true) {
      const roles = await this.roles(members);
      const leaders = members.filter((_, index) => roles[index] === "leader");
      const serve = roles.every((role) => role === "leader" || role === "follower" || role === "observer");
      const [leader] = leaders;
      if (serve && leaders.length === 1 && leader !== undefined) return leader;
      const dead = members.find((member) => !member.isRunning);
      if (dead !== undefined) throw new Error(`${dead.name} has ended\n${this.told()}`);
      if (performance.now() > until) {
        const seen = members.map((member, index) => `${member.name} ${roles[index]}`).join(", ");
        throw new Error(`The ensemble did not settle within ${ms} ms: ${seen}\n${this.told()}`);
      }
      await sleep(20);
    }
  }

  /** Waits until all that run have applied what the leader has now. */
  async level(leader: Member, ms = 20_000): Promise<void> {
    const until = performance.now() + ms;
    const wanted = await leader.zxid();
    for (const member of this.running) {
      while (await member.zxid() < wanted) {
        if (performance.now() > until) {
          throw new Error(`${member.name} is not level after ${ms} ms\n${this.told()}`);
        }
        await sleep(20);
      }
    }
  }

  /** Waits for one member to have a role. */
  async untilRole(member: Member, wanted: readonly Role[], ms = 20_000): Promise<Role> {
    const until = performance.now() + ms;
    while (true) {
      const role = await member.role();
      if (wanted.includes(role)) return role;
      if (performance.now() > until) {
        throw new Error(
          `${member.name} is ${role} and not ${wanted.join(" or ")} after ${ms} ms\n${this.told()}`,
        );
      }
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    for (const member of this.members) member.thaw();
    await Promise.all(this.members.map((member) => member.stop()));
  }

  /** Tears it down at the end of a test, when nobody looks at the data any more. */
  async killAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    this.#closeGates();
  }

  told(): string {
    return this.members.map((member) =>
      `----- ${member.name} ports ${JSON.stringify(member.ports)}\n${member.history.slice(-2500)}`
    ).join("\n");
  }
}

/** Runs `story` with an ensemble that nobody started yet, and takes all of it away afterwards. */
export async function withEnsemble(
  specs: readonly MemberSpec[],
  options: EnsembleOptions,
  story: (ensemble: Ensemble) => Promise<void>,
): Promise<void> {
  const place = makeTempDirectory("ensemble");
  const ports = await pickPorts(specs.length * 3);
  const members = specs.map((spec, index) => {
    const sid = spec.sid ?? index + 1;
    const directory = join(place.path, `member-${sid}`);
    mkdirSync(directory);
    const [client, quorum, election] = ports.slice(index * 3) as [number, number, number];
    const isObserver = spec.observer === true;
    return new Member({
      sid,
      isObserver,
      directory,
      make: spec.make,
      ports: { client, quorum, election },
      settings: {
        ...settingsOfAll,
        ...(isObserver ? { peerType: "observer" } : {}),
        ...options.settings,
        ...spec.settings,
      },
      options: { heapMb: options.heapMb ?? 128, properties: spec.properties ?? {} },
    });
  });
  const ensemble = new Ensemble(members);
  try {
    for (const member of members) {
      const lines: string[] = [];
      for (const other of members) {
        const host = options.ownAddresses === true ? `127.0.0.${other.sid}` : "127.0.0.1";
        const isGated = options.gates === true && other !== member;
        lines.push(memberLine(other, host, isGated ? await ensemble.gate(member, other) : other.ports));
      }
      member.memberLines = [...lines, ...options.lines ?? []];
    }
    await story(ensemble);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${keepLogs(ensemble)}`, {
      cause: error,
    });
  } finally {
    await ensemble.killAll();
    place.remove();
  }
}

function memberLine(member: Member, host: string, { quorum, election }: MemberPorts): string {
  const role = member.isObserver ? "observer" : "participant";
  return `server.${member.sid}=${host}:${quorum}:${election}:${role}`;
}

/** With `ZOOLET_KEEP_LOGS=1` all that members said stays in files; else the end of it is in the message. */
function keepLogs(ensemble: Ensemble): string {
  if ((process.env["ZOOLET_KEEP_LOGS"] ?? "") === "") return ensemble.told();
  const directory = join(tmpdir(), "zoolet-ensemble-logs", String(Date.now()));
  mkdirSync(directory, { recursive: true });
  for (const member of ensemble.members) {
    writeFileSync(
      join(directory, `${member.sid}-${member.make.name.replaceAll(" ", "-")}.log`),
      member.history,
    );
  }
  return `What the members said is in ${directory}`;
}

/** One more port, for what all members share. */
export async function pickPort(): Promise<number> {
  return (await pickPorts(1))[0] as number;
}

/** Ports that are free now and that no outgoing connection will be given. */
async function pickPorts(count: number): Promise<readonly number[]> {
  const picked: number[] = [];
  for (let tries = 0; picked.length < count; tries++) {
    if (tries > 1000) throw new Error(`Cannot find ${count} free ports between ${portMin} and ${portMax}`);
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (!picked.includes(port) && await isFree(port)) picked.push(port);
  }
  return picked;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

export type { MemberPorts };
