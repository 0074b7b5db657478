/**
 * Chaos member: one peer as a process that is killed, frozen and started again.
 *
 * What it prints goes to a file next to its data, over all its starts, so that a long run does not
 * grow and a failing one can be read afterwards.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apacheClassPath, findOnPath, javaFlags } from "../support/apache.ts";
import { sendSignal } from "../support/child.ts";
import { settingsText } from "../support/servers.ts";
import { askText } from "../support/wire_connection.ts";
import { projectDirectory, runtimeCommand, type RuntimeName } from "../support/zoolet.ts";
import type { Network, PeerAddress } from "./network.ts";

export type MakeName = RuntimeName | "java";

export type Role = "leader" | "follower" | "looking" | "down";

export interface MemberSettings {
  readonly tickMs: number;
  readonly syncLimit: number;
  readonly initLimit: number;
}

const wordMsMax = 1500;

export class ChaosMember {
  readonly sid: number;
  readonly make: MakeName;
  readonly directory: string;
  readonly address: PeerAddress;
  readonly logFile: string;
  readonly #network: Network;
  readonly #settings: MemberSettings;
  #process: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #isStopped = false;
  starts = 0;
  /** How its last process ended by itself; null when we ended it, or it runs. */
  ending: string | null = null;

  constructor(sid: number, make: MakeName, directory: string, network: Network, settings: MemberSettings) {
    this.sid = sid;
    this.make = make;
    this.directory = directory;
    this.address = network.peers.get(sid) as PeerAddress;
    this.logFile = join(directory, "log");
    this.#network = network;
    this.#settings = settings;
    mkdirSync(this.dataDirectory, { recursive: true });
  }

  get dataDirectory(): string {
    return join(this.directory, "data");
  }

  get name(): string {
    return `peer ${this.sid} (${this.make})`;
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(): void {
    if (this.#process !== null) return;
    writeFileSync(join(this.dataDirectory, "myid"), `${this.sid}\n`);
    const file = join(this.directory, "zoo.cfg");
    const { tickMs, initLimit, syncLimit } = this.#settings;
    const lines = settingsText({
      tickTime: tickMs,
      initLimit,
      syncLimit,
      clientPort: this.address.client,
      clientPortAddress: this.address.host,
      dataDir: this.dataDirectory,
      "admin.enableServer": false,
      "4lw.commands.whitelist": "*",
      maxClientCnxns: 0,
      "autopurge.snapRetainCount": 3,
      "autopurge.purgeInterval": 1,
    });
    writeFileSync(file, `${lines}${this.#network.memberLines(this.sid).join("\n")}\n`);
    const [command, ...args] = [...this.#network.wrapper(this.sid), ...this.#commandLine(file)];
    this.starts++;
    this.ending = null;
    this.note(`start ${this.starts}`);
    const log = openSync(this.logFile, "a");
    const child = spawn(command as string, args, { cwd: projectDirectory, stdio: ["ignore", log, log] });
    closeSync(log);
    this.#process = child;
    this.#exited = new Promise((resolve) => {
      const ended = (how: string) => {
        if (this.#process === child) {
          this.#process = null;
          this.#isStopped = false;
          this.ending = how;
          this.note(`ended by itself: ${how}`);
        }
        resolve();
      };
      child.on("error", (error: Error) => ended(error.message));
      child.on("exit", (code, signal) => ended(signal ?? `exit ${code}`));
    });
  }

  #commandLine(file: string): readonly string[] {
    if (this.make !== "java") {
      const { command, args } = runtimeCommand(this.make, join(projectDirectory, "src", "main.ts"));
      return [command, ...args, "server", file];
    }
    const properties = ["-Dzookeeper.preAllocSize=4096", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info"];
    const flags = javaFlags.filter((flag) => !flag.startsWith("-Dorg.slf4j"));
    const main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
    return [findOnPath("java") ?? "java", ...flags, ...properties, "-cp", apacheClassPath, main, file];
  }

  /** A line of ours in its log, to find one's way by. */
  note(text: string): void {
    appendFileSync(this.logFile, `=== ${new Date().toISOString()} ${text}\n`);
  }

  /** SIGKILL, also of one that is frozen. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    this.#process = null;
    this.#isStopped = false;
    this.note("SIGKILL");
    sendSignal(child.pid ?? -1, "SIGKILL");
    await this.#exited;
  }

  /** SIGTERM; false when it did not end in time and was killed. */
  async end(ms = 8000): Promise<boolean> {
    const child = this.#process;
    if (child === null) return true;
    this.thaw();
    this.#process = null;
    this.note("SIGTERM");
    sendSignal(child.pid ?? -1, "SIGTERM");
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), ms));
    const inTime = await Promise.race([this.#exited.then(() => true), late]);
    clearTimeout(timer);
    if (!inTime) {
      sendSignal(child.pid ?? -1, "SIGKILL");
      await this.#exited;
    }
    return inTime;
  }

  freeze(): void {
    if (this.#process === null || this.#isStopped) return;
    this.#isStopped = true;
    this.note("SIGSTOP");
    sendSignal(this.#process.pid ?? -1, "SIGSTOP");
  }

  thaw(): void {
    if (this.#process === null || !this.#isStopped) return;
    this.#isStopped = false;
    this.note("SIGCONT");
    sendSignal(this.#process.pid ?? -1, "SIGCONT");
  }

  /** A new disk in the old machine. */
  wipe(): void {
    rmSync(this.dataDirectory, { recursive: true, force: true });
    mkdirSync(this.dataDirectory, { recursive: true });
    this.note("wiped");
  }

  /** For the moment the run itself is ended. */
  killNow(): void {
    if (this.#process !== null) sendSignal(this.#process.pid ?? -1, "SIGKILL");
  }

  async role(): Promise<Role> {
    if (this.#process === null || this.#isStopped) return "down";
    try {
      const text = await askText(this.address.client, "srvr", wordMsMax, this.address.host);
      const mode = text.match(/^Mode: (\S+)/m)?.[1];
      return mode === "leader" || mode === "follower" ? mode : "looking";
    } catch {
      // Nobody listens there, or not for long: the role of one that is not there yet.
      return "down";
    }
  }

  tail(chars: number): string {
    return readFileSync(this.logFile, "utf8").slice(-chars);
  }
}
