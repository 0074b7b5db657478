/**
 * The shell: `zoolet cli`, for one command, for a script on standard input, or for a person.
 *
 * | | one command | script | person |
 * |---|---|---|---|
 * | greeting, prompt, state changes | no | no | yes |
 * | watch events | no | yes | yes |
 * | exit code | the command's | the last command's | the last command's |
 *
 * Exit codes: 0, 1 for a failure of any kind, 127 for a command that there is not. operations 5.2.
 */
import pc from "picocolors";
import { type Client, connect } from "../client/client.ts";
import { ConnectStringError, parseConnectString } from "../client/servers.ts";
import type { ClientState } from "../client/types.ts";
import { ZkError } from "../client/zk_error.ts";
import { ErrorCode } from "../core/wire/errors.ts";
import type { Runtime } from "../runtime/ports.ts";
import type { CliOptions } from "./args.ts";
import { type CommandContext, CommandError, type ShellCommand, type ShellControl } from "./command.ts";
import { commandByName, commands } from "./commands/all.ts";
import { complete } from "./completion.ts";
import { parseOptions } from "./options.ts";
import { sentenceOf } from "./sentences.ts";
import { eventText, promptState, stateEventText } from "./texts.ts";
import { waitForServer } from "./wait.ts";
import { splitWords } from "./words.ts";

export type ShellRuntime = Pick<Runtime, "tcp" | "clock" | "process">;

/** Runs to the end and returns the exit code. */
export async function runShell(runtime: ShellRuntime, options: CliOptions): Promise<number> {
  const shell = new Shell(runtime, options);
  return options.command.length > 0 ? await shell.runOne(options.command) : await shell.runLines();
}

/** Lines kept for `history` and `redo`. */
const linesMax = 1000;
/** A person sees CONNECTED in the first prompt when it takes no longer. */
const greetMsMax = 1000;
const exitCodeUnknown = 127;

class Shell implements ShellControl, CommandContext {
  readonly commands = commands;
  printWatches: boolean;
  readonly #runtime: ShellRuntime;
  readonly #options: CliOptions;
  readonly #isPerson: boolean;
  readonly #paint: ReturnType<typeof pc.createColors>;
  readonly #lines = new Map<number, string>();
  #servers: string;
  #client: Client | null = null;
  #counter = 0;
  #isOver = false;
  #exitCode = 0;

  constructor(runtime: ShellRuntime, options: CliOptions) {
    const isOne = options.command.length > 0;
    this.#runtime = runtime;
    this.#options = options;
    this.#servers = options.servers;
    this.#isPerson = !isOne && runtime.process.isTerminal();
    this.printWatches = !isOne;
    this.#paint = pc.createColors(this.#isPerson && pc.isColorSupported);
    if (options.clientConfiguration !== null) {
      this.err(
        `-client-configuration ${options.clientConfiguration} is not read: this shell has no settings of its own`,
      );
    }
  }

  // -------------------------------------------------------------------------------- three ways

  async runOne(words: readonly string[]): Promise<number> {
    const code = await this.#runWords(words);
    await this.#leave();
    return code;
  }

  async runLines(): Promise<number> {
    const { terminal } = this.#runtime.process;
    if (this.#isPerson) {
      await this.#greet();
      terminal.complete((line) => complete(line, this.#client));
    }
    while (!this.#isOver) {
      const line = await terminal.question(this.#prompt());
      if (line === null) {
        if (this.#isPerson) this.out("");
        break;
      }
      if (/[^ \t]/.test(line)) this.#exitCode = await this.#runLine(line);
    }
    this.#isOver = true;
    terminal.close();
    await this.#leave();
    return this.#exitCode;
  }

  async #greet(): Promise<void> {
    this.out(`Connecting to ${this.#servers}`);
    this.out("Welcome to ZooKeeper!");
    this.out("help lists the commands, Tab completes, quit ends");
    try {
      this.#open();
      await this.#client?.ready(greetMsMax);
    } catch (error) {
      // Without a connection the prompt says so, and each command says why.
      if (!(error instanceof ZkError)) this.#tellFailure(error, null);
    }
  }

  #prompt(): string {
    const state = promptState(this.#client?.state ?? "closed");
    return `[zk: ${this.#servers}(${state}) ${this.#counter}] `;
  }

  // ----------------------------------------------------------------------------------- commands

  async #runLine(line: string): Promise<number> {
    this.#lines.set(this.#counter, line);
    this.#lines.delete(this.#counter - linesMax);
    const { words, unclosed } = splitWords(line);
    if (unclosed) this.err("A quote is opened and not closed: it is left out, and what follows it are words");
    const code = await this.#runWords(words);
    this.#counter++;
    return code;
  }

  async #runWords(words: readonly string[]): Promise<number> {
    const [name = "", ...rest] = words;
    const command = commandByName.get(name);
    if (command === undefined) {
      const usage = this.#isPerson ? "" : `${this.usage()}\n`;
      this.#errRed(`${usage}Command not found: Command not found ${name}`);
      if (this.#isPerson) this.err("help lists the commands");
      return exitCodeUnknown;
    }
    if (rest.includes("-?")) {
      this.out(`${usageOf(command)}\n\t${command.about}`);
      return 0;
    }
    try {
      const parsed = parseOptions(rest, command.options ?? {});
      const [min, max] = command.args;
      if (parsed.args.length < min) throw new CommandError("", { usage: true });
      const surplus = parsed.args.slice(max);
      if (surplus.length > 0) this.err(`Left out, ${name} takes no more arguments: ${surplus.join(" ")}`);
      if (command.offline !== true) await this.#connected();
      // `quit` ends with the code of the command before it.
      const before = this.#exitCode;
      await command.run(this, parsed);
      return this.#isOver ? before : 0;
    } catch (error) {
      return this.#tellFailure(error, command);
    }
  }

  #tellFailure(error: unknown, command: ShellCommand | null): number {
    if (error instanceof CommandError) {
      const usage = error.usage && command !== null ? [usageOf(command)] : [];
      this.#errRed([error.message, ...usage].filter((line) => line !== "").join("\n"));
      return error.exitCode;
    }
    if (error instanceof ConnectStringError) {
      this.#errRed(error.message);
      return 1;
    }
    if (!(error instanceof ZkError)) throw error;
    const tried = error.code === ErrorCode.ConnectionLoss
      ? this.#client?.failures().map(({ server, cause }) => `\n  ${server}: ${cause}`) ?? []
      : [];
    const hint = error.code === ErrorCode.SessionExpired ? "\n`connect` begins a new session" : "";
    this.#errRed(sentenceOf(error) + tried.join("") + hint);
    return 1;
  }

  usage(): string {
    const shown = commands.filter(({ hidden }) => hidden !== true);
    const lines = shown.map(({ name, usage }) => `\t${name} ${usage}`);
    return ["zoolet cli -server host:port[,host:port...][/chroot] cmd args", ...lines].join("\n");
  }

  // ------------------------------------------------------------------------------------ context

  get client(): Client {
    const client = this.#client;
    if (client === null || client.state === "closed") throw new CommandError("Not connected");
    return client;
  }

  get shell(): ShellControl {
    return this;
  }

  get hasChroot(): boolean {
    return parseConnectString(this.#servers).chroot !== "";
  }

  out(line: string): void {
    this.#runtime.process.stdout(`${line}\n`);
  }

  err(line: string): void {
    this.#runtime.process.stderr(`${line}\n`);
  }

  #errRed(line: string): void {
    if (line !== "") this.err(this.#paint.red(line));
  }

  recentLines(): string[] {
    const lines: string[] = [];
    for (let i = Math.max(0, this.#counter - 10); i <= this.#counter; i++) {
      const line = this.#lines.get(i);
      if (line !== undefined) lines.push(`${i} - ${line}`);
    }
    return lines;
  }

  async redo(index: number): Promise<void> {
    const line = index < this.#counter ? this.#lines.get(index) : undefined;
    if (line === undefined) throw new CommandError("Command index out of range");
    const { words } = splitWords(line);
    if (words[0] === "redo") throw new CommandError("No redoing redos");
    // The history shows what was run, so that it can be redone in turn.
    this.#lines.set(this.#counter, line);
    const code = await this.#runWords(words);
    if (code !== 0) throw new CommandError("", { exitCode: code });
  }

  quit(): void {
    this.#isOver = true;
  }

  // ---------------------------------------------------------------------------------- connection

  async connect(servers: string | null): Promise<void> {
    if (servers !== null) parseConnectString(servers);
    await this.#leave();
    this.#servers = servers ?? this.#servers;
    this.#open();
    await this.#connected();
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  #open(): void {
    const { timeoutMs, readOnly } = this.#options;
    for (const warning of parseConnectString(this.#servers).warnings) this.err(warning);
    let wasConnected = false;
    const client = connect(this.#runtime, {
      servers: this.#servers,
      timeoutMs,
      readOnly,
      onEvent: (event) => {
        if (this.printWatches) this.out(this.#watcherBlock(eventText(event)));
      },
      onState: (state) => {
        const isNews = state !== "connecting" || wasConnected;
        wasConnected ||= state === "connected" || state === "connected-read-only";
        if (isNews) this.#tellState(state);
      },
    });
    this.#client = client;
  }

  #tellState(state: ClientState): void {
    if (this.#isPerson && this.printWatches && !this.#isOver) {
      this.out(this.#watcherBlock(stateEventText(state)));
    }
  }

  #watcherBlock(text: string): string {
    return `\n${this.#paint.dim("WATCHER::")}\n\n${text}`;
  }

  async #connected(): Promise<void> {
    // In a script or for one command the first command that needs a server opens the session.
    if (this.#client === null) this.#open();
    const client = this.client;
    if (client.server !== null) return;
    await waitForServer(client, this.#runtime.clock, {
      servers: this.#servers,
      limitMs: this.#options.timeoutMs,
      isPatient: this.#options.waitForConnection,
    });
  }

  async #leave(): Promise<void> {
    await this.#client?.close();
  }
}

function usageOf(command: ShellCommand): string {
  return `${command.name} ${command.usage}`;
}
