/**
 * Chaos run: an ensemble of real processes, clients that note what they were told, faults, judgement.
 *
 * A run is a row of rounds. In each, clients work on znodes of that round while faults come and go;
 * then everything is healed, has to be well again within a minute, and the round is judged: histories,
 * ledgers, locks, ephemerals, and whether all peers hold the same tree. So a run of hours needs the
 * memory of one round. The first round with a violation is the last.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { ErrorCode, errorName } from "../../src/core/wire/errors.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { readNamesReply } from "../../src/core/wire/replies.ts";
import { createBody, pathNumberBody, pathWatchBody } from "../support/bodies.ts";
import { makeTempDirectory, sleep } from "../support/places.ts";
import { Random } from "../support/random.ts";
import { ChaosMember } from "./chaos_member.ts";
import { Keeper, Leavers } from "./ephemeral_client.ts";
import { faults, type Stage } from "./faults.ts";
import { Judge, opText } from "./judge.ts";
import { LedgerClient } from "./ledger_client.ts";
import { LockClient, LockHistory } from "./lock_client.ts";
import { NamespaceNetwork, namespacesMissing } from "./namespace_network.ts";
import type { Network } from "./network.ts";
import type { ChaosOptions, ChaosResult } from "./options.ts";
import { ProxyNetwork } from "./proxy_network.ts";
import { RegisterClient, Registers } from "./register_client.ts";
import { type Address, ChaosSession } from "./session.ts";
import { SmallDisk } from "./small_disk.ts";
import { differences, dumpTree } from "./tree_dump.ts";

const settledMsMax = 60_000;
const root = "/chaos";
const ephemerals = `${root}/ephemerals`;
const registersPerRound = 5;
const depthOfLedger = 6;
/** The sessions of those who leave without a word. */
const leaverMs = 1400;

export async function chaosRun(options: ChaosOptions): Promise<ChaosResult> {
  const place = makeTempDirectory("chaos");
  const network = await openNetwork(options);
  const run = new ChaosRun(options, network, place.path);
  try {
    await run.toTheEnd();
  } catch (error) {
    run.judge.violation(error instanceof Error ? error.stack ?? error.message : String(error));
  }
  const kept = await run.close();
  if (kept === null) place.remove();
  return run.result(kept);
}

async function openNetwork(options: ChaosOptions): Promise<Network> {
  if (options.network === "proxies") return await ProxyNetwork.open(options.makes.length);
  const missing = namespacesMissing();
  if (missing === null) return NamespaceNetwork.open(options.makes.length);
  if (options.network === "namespaces") throw new Error(`Cannot make network namespaces: ${missing}`);
  options.note(`no network namespaces (${missing}): proxies on loopback`);
  return await ProxyNetwork.open(options.makes.length);
}

class ChaosRun {
  readonly judge = new Judge();
  readonly #options: ChaosOptions;
  readonly #network: Network;
  readonly #directory: string;
  readonly #members: readonly ChaosMember[];
  readonly #addresses: readonly Address[];
  readonly #stage: Stage;
  readonly #faults = new Map<string, number>();
  readonly #settledMs: number[] = [];
  readonly #sessions = new Set<ChaosSession>();
  readonly #disk: SmallDisk | null;
  readonly #begun = performance.now();
  readonly #killNow = () => {
    for (const member of this.#members) member.killNow();
  };
  #rounds = 0;
  #checked = 0;
  #kills = 0;

  constructor(options: ChaosOptions, network: Network, directory: string) {
    this.#options = options;
    this.#network = network;
    this.#directory = directory;
    process.on("exit", this.#killNow);
    const { tickMs, syncLimit } = options;
    this.#members = options.makes.map((make, index) =>
      new ChaosMember(index + 1, make, join(directory, `peer-${index + 1}`), network, {
        tickMs,
        syncLimit,
        initLimit: 30,
      })
    );
    this.#addresses = this.#members.map(({ address }) => ({ host: address.host, port: address.client }));
    // One of ours, and not the same in each run: some of them tend to lead.
    const ours = this.#members.filter(({ make }) => make !== "java");
    const small = ours[options.seed % Math.max(1, ours.length)] ?? this.#members[0] as ChaosMember;
    const isWanted = options.mode === "chaos" &&
      (options.faults.length === 0 || options.faults.includes("disk-full"));
    const { disk, missing } = isWanted
      ? SmallDisk.open(small.dataDirectory)
      : { disk: null, missing: "not asked for" };
    if (disk === null && isWanted) options.note(`no small disk (${missing}): nobody's will be full`);
    this.#disk = disk;
    this.#stage = {
      members: this.#members,
      network,
      random: new Random(options.seed),
      judge: this.judge,
      smallDisk: disk === null ? null : { disk, sid: small.sid },
      leaderKills: [],
      note: options.note,
      pace: options.pace,
    };
  }

  async toTheEnd(): Promise<void> {
    const options = this.#options;
    const { clients } = options;
    for (const member of this.#members) member.start();
    if (!await this.#settled("after the first start")) return;
    const admin = this.#open("admin", 6000);
    await this.#make(admin, root);
    await this.#make(admin, ephemerals);
    const seeds = new Random(options.seed * 7919 + 1);
    const registerClients = Array.from(
      { length: clients },
      (_, i) => new RegisterClient(this.#open(`r${i}`, 3000), new Random(seeds.u32()), options.pauseMs),
    );
    const lockClients = Array.from(
      { length: clients },
      (_, i) => new LockClient(this.#open(`l${i}`, 3000), new Random(seeds.u32())),
    );
    const ledgerClients: LedgerClient[] = [];
    for (let i = 0; i < Math.max(1, clients - 1); i++) {
      const path = `${root}/w${i}`;
      await this.#make(admin, path);
      ledgerClients.push(
        new LedgerClient(this.#open(`w${i}`, 4000), new Random(seeds.u32()), {
          path,
          depth: depthOfLedger,
          pauseMs: 2 * options.pauseMs,
        }),
      );
    }
    const keeper = new Keeper(this.#open("keeper", 3000), ephemerals);
    const leavers = new Leavers({
      open: (name, timeoutMs) => this.#open(name, timeoutMs),
      observer: this.#open("observer", 4000),
      path: ephemerals,
      judge: this.judge,
      random: new Random(seeds.u32()),
      timeoutMs: leaverMs,
    });
    while (!this.#isDone()) {
      const number = ++this.#rounds;
      const base = `${root}/round${number}`;
      await this.#make(admin, base);
      const registers = new Registers(Array.from({ length: registersPerRound }, (_, i) => `${base}/k${i}`));
      for (const path of registers.paths) await this.#make(admin, path);
      const lock = new LockHistory(`${base}/lock`, this.judge);
      await this.#make(admin, lock.path);
      await this.#make(admin, lock.fencePath);

      let over = false;
      const isOver = () => over;
      const working = [
        ...registerClients.map((client) => client.run(registers, isOver)),
        ...lockClients.map((client) => client.run(lock, isOver)),
        ...ledgerClients.map((client) => client.run(isOver)),
        keeper.run(isOver),
        leavers.run(isOver),
        this.#watchMembers(isOver),
      ];
      const all = Promise.all(working);
      // Whatever fails is told after the healing.
      all.catch(() => over = true);
      await this.#faultsOfRound(isOver);
      const settled = await this.#settled(`after the faults of round ${number}`);
      await sleep(200);
      over = true;
      await all;
      if (!settled) return;
      await this.#judgeRound(registers, registerClients, ledgerClients, lock, leavers);
      if (this.judge.violations.length > 0) {
        this.#keepHistory(registers);
        return;
      }
      this.#checked += registers.count;
      await this.#removeAll(admin, base);
    }
    for (const session of [...this.#sessions]) await session.close();
    for (const member of this.#members) {
      if (!await member.end()) this.judge.violation(`${member.name} did not end within 8 s of SIGTERM`);
    }
  }

  get #seconds(): number {
    return (performance.now() - this.#begun) / 1000;
  }

  #isDone(): boolean {
    const { mode, seconds, times } = this.#options;
    return this.judge.violations.length > 0 ||
      (mode === "killall" ? this.#kills >= times : this.#seconds > seconds);
  }

  #open(name: string, timeoutMs: number): ChaosSession {
    const random = new Random(this.#options.seed * 31 + this.#sessions.size);
    const { judge } = this;
    const session = new ChaosSession({ name, judge, addresses: this.#addresses, random, timeoutMs });
    // Those who leave are forgotten by themselves.
    if (!name.startsWith("left")) this.#sessions.add(session);
    return session;
  }

  async #faultsOfRound(isOver: () => boolean): Promise<void> {
    const { mode, roundSeconds, seconds, times } = this.#options;
    const { random } = this.#stage;
    const until = performance.now() + 1000 * Math.min(roundSeconds, Math.max(5, seconds - this.#seconds));
    if (mode === "killall") {
      for (let i = 0; i < 10 && this.#kills < times && !isOver(); i++) await this.#killAll();
      return;
    }
    const wanted = this.#options.faults;
    const list = faults.filter(({ kind, weight }) => wanted.length === 0 ? weight > 0 : wanted.includes(kind))
      .filter(({ kind }) => kind !== "disk-full" || this.#stage.smallDisk !== null);
    await sleep(500);
    while (performance.now() < until && !isOver() && this.judge.violations.length === 0) {
      const fault = random.weighted(list.map((one) => [Math.max(1, one.weight), one] as const));
      const begun = this.judge.nowMs;
      for (const member of this.#members) member.note(`fault ${fault.kind}`);
      const what = await fault.run(this.#stage);
      this.#faults.set(fault.kind, (this.#faults.get(fault.kind) ?? 0) + 1);
      this.#options.note(`${(begun / 1000).toFixed(2)} s ${fault.kind}: ${what}`);
      // At times the next comes before the last is overcome.
      await sleep(random.percent(30) ? 0 : this.#options.pace * (300 + random.below(2500)));
    }
  }

  /** All at once, at any moment of the load, at times again while they start. */
  async #killAll(): Promise<void> {
    const { random, members } = this.#stage;
    const written = this.judge.untilWritten();
    const inTime = await Promise.race([written.then(() => true), sleep(settledMsMax).then(() => false)]);
    if (!inTime) {
      this.judge.violation(
        `no write was answered within ${settledMsMax} ms after ${this.#kills} kills of all`,
      );
      return;
    }
    await sleep(random.below(1200));
    await Promise.all(members.map((member) => member.kill()));
    const recovered = this.judge.untilWritten();
    void recovered.then((ms) => this.#stage.leaderKills.push(ms));
    this.#kills++;
    this.#faults.set("kill-all", this.#kills);
    if (random.percent(30)) {
      for (const member of members) member.start();
      await sleep(random.below(900));
      await Promise.all(members.map((member) => member.kill()));
      this.#faults.set("kill-all-during-start", (this.#faults.get("kill-all-during-start") ?? 0) + 1);
    }
    for (const member of members) member.start();
  }

  /** No peer ends by itself unless its disk is full. */
  async #watchMembers(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      for (const member of this.#members) {
        if (member.ending === null) continue;
        const isFull = this.#stage.smallDisk?.sid === member.sid;
        if (!isFull || !/full|no space|ENOSPC/i.test(member.tail(4000))) {
          this.judge.violation(`${member.name} ended by itself: ${member.ending}\n${member.tail(1500)}`);
          return;
        }
      }
      await sleep(100);
    }
  }

  /** Heals everything and waits until all peers serve and one leads. */
  async #settled(when: string): Promise<boolean> {
    const begun = performance.now();
    await this.#network.breakOnly([]);
    await this.#network.unslow();
    this.#disk?.makeRoom();
    for (const member of this.#members) {
      member.thaw();
      member.start();
    }
    let roles: string[] = [];
    while (performance.now() - begun < settledMsMax) {
      roles = await Promise.all(this.#members.map((member) => member.role()));
      const leaders = roles.filter((role) => role === "leader").length;
      if (leaders === 1 && roles.filter((role) => role === "follower").length === roles.length - 1) {
        this.#settledMs.push(performance.now() - begun);
        return true;
      }
      await sleep(50);
    }
    this.judge.violation(`the ensemble is not well ${settledMsMax} ms ${when}: ${roles.join(", ")}`);
    return false;
  }

  async #judgeRound(
    registers: Registers,
    registerClients: readonly RegisterClient[],
    ledgerClients: readonly LedgerClient[],
    lock: LockHistory,
    leavers: Leavers,
  ): Promise<void> {
    for (const client of registerClients) {
      if (!await client.readAll(registers)) {
        this.judge.violation(`${client.session.name} could not read at the end of a round`);
      }
    }
    for (const client of ledgerClients) {
      let done = false;
      for (let tries = 0; tries < 50 && !done; tries++) {
        done = await client.session.connected(200) && await client.settle();
      }
      if (!done) this.judge.violation(`${client.session.name} could not settle at the end of a round`);
    }
    for (const { path, finding } of registers.check()) this.judge.finding(path, finding);
    for (const sentence of lock.check()) this.judge.violation(sentence);
    const { tickMs } = this.#options;
    const left = leavers.left.length > 0 ? leaverMs + 4 * tickMs + 500 : 0;
    await sleep(left);
    await this.#compareTrees(leavers);
  }

  /** Peers may have a last word to say to each other after a sync, so a difference is looked at again. */
  async #compareTrees(leavers: Leavers): Promise<void> {
    let told: string[] = [];
    for (let tries = 0; tries < 4; tries++) {
      told = [];
      const dumps: { readonly name: string; readonly dump: Map<string, string> }[] = [];
      for (const [index, member] of this.#members.entries()) {
        const session = new ChaosSession({
          name: `dump${member.sid}`,
          judge: this.judge,
          addresses: [this.#addresses[index] as Address],
          random: new Random(member.sid),
          timeoutMs: 6000,
        });
        const dump = await session.connected(8000) ? await dumpTree(session) : null;
        await session.close();
        if (dump === null) told.push(`${member.name} cannot be asked what it holds`);
        else dumps.push({ name: member.name, dump });
      }
      const [first] = dumps;
      for (const { name, dump } of dumps) {
        told.push(...leavers.stillThere(dump));
        if (first !== undefined) told.push(...differences(first.name, first.dump, name, dump));
      }
      if (told.length === 0) {
        leavers.left.length = 0;
        return;
      }
      await sleep(700);
    }
    for (const sentence of told.slice(0, 6)) this.judge.violation(sentence);
  }

  /** Tries until it is there. */
  async #make(admin: ChaosSession, path: string): Promise<void> {
    for (let tries = 0; tries < 300; tries++) {
      if (!await admin.connected(200)) continue;
      const answer = await admin.request(OpCode.Create, createBody(path, bytesOf("0")));
      if (answer.kind === "lost") continue;
      if (answer.err === ErrorCode.Ok || answer.err === ErrorCode.NodeExists) return;
      throw new Error(`Cannot make ${path}: ${errorName(answer.err)}`);
    }
    throw new Error(`Cannot make ${path}: no answer within a minute`);
  }

  async #removeAll(admin: ChaosSession, path: string): Promise<void> {
    const answer = await admin.request(OpCode.GetChildren, pathWatchBody(path, false));
    if (answer.kind === "reply" && answer.err === ErrorCode.Ok) {
      for (const name of readNamesReply(new Reader(answer.body))) {
        await this.#removeAll(admin, `${path}/${name}`);
      }
    }
    await admin.request(OpCode.Delete, pathNumberBody(path, -1));
  }

  #keepHistory(registers: Registers): void {
    const lines = registers.paths.flatMap((
      path,
    ) => [path, ...registers.of(path).map((op) => `  ${opText(op)}`)]);
    writeFileSync(join(this.#directory, "history"), `${lines.join("\n")}\n`);
  }

  /** Ends what was started; the directory to look at when something was wrong. */
  async close(): Promise<string | null> {
    for (const session of this.#sessions) await session.abandon();
    await Promise.all(this.#members.map((member) => member.kill()));
    const failed = this.judge.violations.length > 0;
    if (failed || this.#options.keep) {
      const { violations } = this.judge;
      writeFileSync(
        join(this.#directory, "violations"),
        `${violations.join("\n")}\nrepeat: ${this.#options.command}\n`,
      );
      const small = this.#members.find(({ sid }) => sid === this.#stage.smallDisk?.sid);
      if (small !== undefined) this.#disk?.keep(join(small.directory, "data-kept"));
    }
    this.#disk?.close();
    await this.#network.close();
    process.off("exit", this.#killNow);
    return failed || this.#options.keep ? this.#directory : null;
  }

  result(kept: string | null): ChaosResult {
    const { judge } = this;
    return {
      violations: judge.violations,
      network: this.#network.name,
      seconds: this.#seconds,
      rounds: this.#rounds,
      faults: this.#faults,
      acknowledged: judge.acknowledged,
      answers: judge.answers,
      lost: judge.lost,
      reconnects: judge.reconnects,
      dozes: judge.dozes,
      expired: judge.expired,
      watchEvents: judge.watchEvents,
      locksHeld: judge.locksHeld,
      checked: this.#checked,
      leaderKills: this.#stage.leaderKills,
      settledMs: this.#settledMs,
      kept,
      command: this.#options.command,
    };
  }
}
