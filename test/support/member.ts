/**
 * Member: one server of an ensemble as a process, ours or the original, driven in the same way.
 *
 * A member keeps its directory, its sid and its ports over any number of starts, as a machine would.
 * What its processes printed is kept for all of them, newest last, so that a test can ask what was
 * said since a moment and a failure can show it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child, sendSignal } from "./child.ts";
import { sleep } from "./places.ts";
import { settingsText } from "./servers.ts";
import { askText } from "./wire_connection.ts";

export type Settings = Readonly<Record<string, string | number | boolean>>;

export interface MemberPorts {
  readonly client: number;
  readonly quorum: number;
  readonly election: number;
}

/** What stands behind a member: how its process is started. */
export interface Make {
  /** As in `apache 3.8.0` and `zoolet bun`. */
  readonly name: string;
  readonly isJava: boolean;
  /** Null when it can be run here. */
  readonly missing: string | null;
  start(file: string, options: MakeOptions): Child;
}

export interface MakeOptions {
  readonly heapMb: number;
  /** Java system properties; for what a zoo.cfg cannot say. */
  readonly properties: Readonly<Record<string, string>>;
}

export type Role = "leader" | "follower" | "observer" | "standalone" | "read-only" | "looking" | "down";

const outputCharsMax = 600_000;

export class Member {
  readonly sid: number;
  readonly isObserver: boolean;
  readonly ports: MemberPorts;
  readonly directory: string;
  make: Make;
  settings: Settings;
  options: MakeOptions;
  /** The `server.N` and group lines, as this member is told them. */
  memberLines: readonly string[] = [];
  child: Child | null = null;
  starts = 0;
  #told = "";
  #frozen = false;

  constructor(
    start: {
      readonly sid: number;
      readonly isObserver: boolean;
      readonly ports: MemberPorts;
      readonly directory: string;
      readonly make: Make;
      readonly settings: Settings;
      readonly options: MakeOptions;
    },
  ) {
    this.sid = start.sid;
    this.isObserver = start.isObserver;
    this.ports = start.ports;
    this.directory = start.directory;
    this.make = start.make;
    this.settings = start.settings;
    this.options = start.options;
  }

  get name(): string {
    return `${this.make.name} (${this.sid})`;
  }

  get dataDirectory(): string {
    return join(this.directory, "data");
  }

  get isRunning(): boolean {
    return this.child !== null && this.child.exit === null;
  }

  get server(): string {
    return `127.0.0.1:${this.ports.client}`;
  }

  start(): void {
    if (this.isRunning) throw new Error(`${this.name} runs already`);
    this.#keepOutput();
    mkdirSync(this.dataDirectory, { recursive: true });
    writeFileSync(join(this.dataDirectory, "myid"), `${this.sid}\n`);
    const file = join(this.directory, "zoo.cfg");
    const lines = settingsText({
      clientPort: this.ports.client,
      clientPortAddress: "127.0.0.1",
      dataDir: this.dataDirectory,
      ...this.settings,
    });
    writeFileSync(file, `${lines}${this.memberLines.join("\n")}\n`);
    this.child = this.make.start(file, this.options);
    this.starts++;
  }

  /** In order. */
  async stop(): Promise<void> {
    this.thaw();
    await this.child?.stop();
  }

  /** SIGKILL, also of one that is frozen. */
  async kill(): Promise<void> {
    this.#frozen = false;
    this.child?.kill("SIGKILL");
    if (this.child !== null && !await this.child.exited(5000)) {
      throw new Error(`${this.name} survived SIGKILL`);
    }
  }

  /**
   * SIGSTOP: to the others it is a machine that went silent; its kernel still takes what is sent. Waits
   * until every thread stands: on a busy machine some run on for a while.
   */
  async freeze(): Promise<void> {
    if (!this.isRunning || this.child === null) throw new Error(`${this.name} does not run`);
    const { pid } = this.child;
    process.kill(pid, "SIGSTOP");
    this.#frozen = true;
    const until = performance.now() + 5000;
    while (!standsStill(pid)) {
      if (performance.now() > until) throw new Error(`${this.name} runs on after SIGSTOP`);
      await sleep(5);
    }
  }

  thaw(): void {
    if (this.#frozen && this.isRunning && this.child !== null) sendSignal(this.child.pid, "SIGCONT");
    this.#frozen = false;
  }

  /** A new disk in the old machine. */
  wipe(): void {
    if (this.isRunning) throw new Error(`${this.name} runs: its data cannot be wiped`);
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  word(text: string, timeoutMs = 10_000): Promise<string> {
    return askText(this.ports.client, text, timeoutMs).catch((error: unknown) => {
      throw new Error(`Cannot ask ${this.name} for ${text}: ${String(error)}`, { cause: error });
    });
  }

  async role(): Promise<Role> {
    if (!this.isRunning || this.#frozen) return "down";
    let text: string;
    try {
      text = await this.word("srvr", 2000);
    } catch {
      // Nobody listens there, or not for long: the role of a server that is not there yet.
      return "down";
    }
    const mode = text.match(/^Mode: (\S+)/m)?.[1];
    switch (mode) {
      case "leader":
      case "follower":
      case "observer":
      case "standalone":
      case "read-only":
        return mode;
      default:
        return "looking";
    }
  }

  /** The last zxid that it applied. */
  async zxid(): Promise<number> {
    const text = (await this.word("srvr")).match(/^Zxid: 0x([0-9a-f]+)/m)?.[1];
    return text === undefined ? -1 : Number.parseInt(text, 16);
  }

  /** The metrics of `mntr` without their `zk_`. */
  async metrics(): Promise<ReadonlyMap<string, string>> {
    const text = await this.word("mntr");
    const lines = text.split("\n").flatMap((line) => {
      const [key, value] = line.split("\t");
      return key !== undefined && value !== undefined ? [[key.replace(/^zk_/, ""), value] as const] : [];
    });
    return new Map(lines);
  }

  /** The number in an epoch file of the original; null where there is none. */
  epochFile(name: "acceptedEpoch" | "currentEpoch"): number | null {
    const file = join(this.dataDirectory, "version-2", name);
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : null;
  }

  /** All that the present process printed. */
  get output(): string {
    return this.child === null ? "" : `${this.child.stdout}${this.child.stderr}`;
  }

  /** All that all its processes printed, the end of it. */
  get history(): string {
    return `${this.#told}${this.output}`;
  }

  async untilOutput(pattern: RegExp, ms: number): Promise<RegExpMatchArray> {
    const until = performance.now() + ms;
    while (true) {
      const match = this.output.match(pattern);
      if (match !== null) return match;
      if (!this.isRunning || performance.now() > until) {
        throw new Error(`${this.name} never printed ${pattern}\n${this.output.slice(-4000)}`);
      }
      await sleep(10);
    }
  }

  #keepOutput(): void {
    if (this.child === null) return;
    const exit = this.child.exit;
    this.#told = `${this.#told}${this.output}\n=== ended: ${exit?.signal ?? exit?.code ?? "?"}, start ${
      this.starts + 1
    }\n`.slice(-outputCharsMax);
  }
}

/** Where the system does not tell of its threads, they are believed to. */
function standsStill(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return true;
  return readdirSync(tasks).every((task) => {
    try {
      return /\) [TtZX]/.test(readFileSync(join(tasks, task, "stat"), "utf8"));
    } catch {
      // A thread that ended meanwhile runs no more.
      return true;
    }
  });
}
