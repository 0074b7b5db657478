/**
 * The command line of `zoolet`, from words to one value.
 *
 * Pure: it prints nothing and ends nothing; help and mistakes come back as values for `main.ts` to
 * print. The stock shell's options have one dash (`-server`), so those are accepted beside two.
 *
 * What starts a server is read by `plainCommand` alone, because commander takes 8 ms to load on Bun
 * and 18 ms on Deno, a third of a start. Both readers agree; the test holds them to it.
 */
import type { Command, InvalidArgumentError, Option } from "commander";
import { sessionTimeoutMsDefault } from "../client/limits.ts";
import { zooletVersion } from "../core/base/version.ts";
import type { LogLevel } from "../server/logger.ts";
import type { SyncMode } from "../storage/storage.ts";

/** Null where the command line says nothing. */
export interface LogChoice {
  readonly format: "text" | "json" | null;
  readonly level: LogLevel | null;
}

export interface CliOptions {
  /** `host:port[,host:port…][/chroot]` */
  readonly servers: string;
  readonly timeoutMs: number;
  readonly readOnly: boolean;
  readonly waitForConnection: boolean;
  /** A properties file that the stock shell would read; we only say that we do not. */
  readonly clientConfiguration: string | null;
  /** One command to run; empty for the shell. */
  readonly command: readonly string[];
}

export type ParsedCommand =
  | {
    readonly kind: "server";
    readonly configPath: string | null;
    readonly check: boolean;
    readonly printEffective: boolean;
    /** Stop at the end of standard input: so a process that started us takes us along when it dies. */
    readonly endWithInput: boolean;
    readonly log: LogChoice;
  }
  | {
    readonly kind: "dev";
    readonly port: number | null;
    readonly dataDir: string | null;
    readonly peers: number;
    /** Start a peer that ended again. */
    readonly restart: boolean;
    readonly adminPort: number | null;
    readonly sync: SyncMode | null;
    readonly log: LogChoice;
  }
  | { readonly kind: "cli"; readonly options: CliOptions }
  | { readonly kind: "version"; readonly text: string }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "error"; readonly message: string; readonly exitCode: number };

export const serversDefault = "localhost:2181";
const peersDefault = 3;
const peersMax = 9;

/** `argv` without the runtime and the script. */
export async function parseCommandLine(argv: readonly string[]): Promise<ParsedCommand> {
  return plainCommand(argv) ?? parseWithCommander(argv, await import("commander"));
}

const logUnchosen: LogChoice = { format: null, level: null };

/** `server`, `server CONFIG`, the same with `--end-with-input`, and `dev`: nothing in it to weigh. Null for all else. */
export function plainCommand(argv: readonly string[]): ParsedCommand | null {
  const [kind, file, more] = argv;
  const isWord = file === undefined || (file !== "" && !file.startsWith("-"));
  const endWithInput = argv.length === 3 && more === "--end-with-input";
  if (kind === "server" && isWord && (argv.length <= 2 || endWithInput)) {
    return {
      kind,
      configPath: file ?? null,
      check: false,
      printEffective: false,
      endWithInput,
      log: logUnchosen,
    };
  }
  if (kind === "dev" && argv.length === 1) {
    return {
      kind,
      port: null,
      dataDir: null,
      peers: peersDefault,
      restart: true,
      adminPort: null,
      sync: null,
      log: logUnchosen,
    };
  }
  return null;
}

type Commander = typeof import("commander");

/** Thrown by commander's own parts and made a value here. */
export function parseWithCommander(argv: readonly string[], commander: Commander): ParsedCommand {
  let text = "";
  let parsed: ParsedCommand | null = null;
  const program = makeProgram(commander, (command) => parsed = command);
  const commands = [program, ...program.commands];
  for (const command of commands) {
    command.exitOverride();
    command.configureOutput({
      writeOut: (part) => text += part,
      writeErr: (part) => text += part,
      outputError: (part, write) => write(part),
    });
  }
  const { words, subcommand } = withTwoDashes(argv);
  try {
    if (words.length === 0) return { kind: "help", text: program.helpInformation() };
    program.parse(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof commander.CommanderError)) throw error;
    if (error.code === "commander.version") return { kind: "version", text: versionText };
    if (error.code === "commander.helpDisplayed" || error.code === "commander.help") {
      return { kind: "help", text };
    }
    const known = program.commands.some((command) => command.name() === subcommand);
    const advice = `Run \`zoolet ${known ? `${subcommand} ` : ""}--help\` to see what there is\n`;
    const message = `${error.message.replace(/^error: /, "Error: ")}\n${advice}`;
    // The stock shell ends with 1, the stock server with 2.
    return { kind: "error", message, exitCode: subcommand === "cli" ? 1 : 2 };
  }
  return parsed ?? { kind: "help", text: program.helpInformation() };
}

const versionText = `zoolet ${zooletVersion}\n`;

// ------------------------------------------------------------------------------------- the words

const flagNames = new Set([
  "check",
  "print-effective",
  "end-with-input",
  "no-restart",
  "read-only",
  "waitforconnection",
  "version",
  "help",
]);
const valueNames = new Set([
  "server",
  "timeout",
  "client-configuration",
  "log-format",
  "log-level",
  "port",
  "data",
  "peers",
  "admin-port",
  "sync",
]);

interface Words {
  readonly words: readonly string[];
  /** `server`, `dev`, `cli`, or whatever stands there; null for none. */
  readonly subcommand: string | null;
}

/** `-server` to `--server`; behind the first word of a shell command nothing is touched. */
function withTwoDashes(argv: readonly string[]): Words {
  const words = [...argv];
  let subcommand: string | null = null;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (!word.startsWith("-")) {
      if (subcommand === "cli") break;
      subcommand ??= word;
      continue;
    }
    const name = /^--?([a-z-]+?)(=.*)?$/.exec(word)?.[1];
    if (name === undefined || !(flagNames.has(name) || valueNames.has(name))) continue;
    if (!word.startsWith("--")) words[i] = `-${word}`;
    if (valueNames.has(name) && !word.includes("=")) i++;
  }
  return { words, subcommand };
}

// ----------------------------------------------------------------------------------- the program

function makeProgram(commander: Commander, found: (command: ParsedCommand) => void): Command {
  const program = new commander.Command("zoolet");
  program
    .description("A coordination server that speaks Apache ZooKeeper's protocols, and a shell for it")
    .version(versionText, "-V, --version", "print the version")
    .enablePositionalOptions();
  for (const option of logOptions(commander)) program.addOption(option);
  addServer(commander, program, found);
  addDev(commander, program, found);
  addCli(commander, program, found);
  return program;
}

interface LogValues {
  readonly logFormat?: "text" | "json";
  readonly logLevel?: LogLevel;
}

function logOptions(commander: Commander): Option[] {
  return [
    new commander.Option("--log-format <format>", "how log lines look").choices(["text", "json"]),
    new commander.Option("--log-level <level>", "the least that is logged").choices([
      "debug",
      "info",
      "warn",
      "error",
    ]),
  ];
}

function logChoice(values: LogValues): LogChoice {
  return { format: values.logFormat ?? null, level: values.logLevel ?? null };
}

function addServer(commander: Commander, program: Command, found: (command: ParsedCommand) => void): void {
  const command = program.command("server [CONFIG]")
    .description("run a server; CONFIG is a zoo.cfg or a .toml file")
    .option("--check", "read the configuration, say what is wrong with it, start nothing")
    .option("--print-effective", "print every setting as it would be used, and where it came from")
    .option("--end-with-input", "stop when standard input ends, as it does when the process behind it dies");
  for (const option of logOptions(commander)) command.addOption(option);
  command.action((config: string | undefined, _values, self: Command) => {
    const values = self.optsWithGlobals<
      LogValues & { check?: true; printEffective?: true; endWithInput?: true }
    >();
    found({
      kind: "server",
      configPath: config ?? null,
      check: values.check ?? false,
      printEffective: values.printEffective ?? false,
      endWithInput: values.endWithInput ?? false,
      log: logChoice(values),
    });
  });
}

function addDev(commander: Commander, program: Command, found: (command: ParsedCommand) => void): void {
  const port = wholeNumber(commander.InvalidArgumentError, 0, 65_535);
  const peers = wholeNumber(commander.InvalidArgumentError, 1, peersMax);
  const command = program.command("dev")
    .description("run an ensemble for development, without a configuration file")
    .option("--port <port>", "client port of the first peer, the others' follow; 0 takes free ones", port)
    .option("--data <directory>", "where the data goes")
    .option("--peers <count>", "how many peers, each a process; 1 is a server alone", peers, peersDefault)
    .option("--admin-port <port>", "the same for the admin endpoints", port)
    .option("--no-restart", "leave a peer that ended down")
    .addOption(
      new commander.Option("--sync <mode>", "off: faster, and a power cut may lose what was acknowledged")
        .choices(["full", "off"]),
    );
  for (const option of logOptions(commander)) command.addOption(option);
  command.action((_values, self: Command) => {
    const values = self.optsWithGlobals<
      LogValues & {
        port?: number;
        data?: string;
        peers: number;
        restart: boolean;
        adminPort?: number;
        sync?: SyncMode;
      }
    >();
    found({
      kind: "dev",
      port: values.port ?? null,
      dataDir: values.data ?? null,
      peers: values.peers,
      restart: values.restart,
      adminPort: values.adminPort ?? null,
      sync: values.sync ?? null,
      log: logChoice(values),
    });
  });
}

function addCli(commander: Commander, program: Command, found: (command: ParsedCommand) => void): void {
  program.command("cli [COMMAND...]")
    .description("run one command against a server, or a shell when none is given")
    .passThroughOptions()
    .option("--server <servers>", "host:port[,host:port...][/chroot]", serversDefault)
    .option(
      "--timeout <ms>",
      "session timeout, and how long to wait for a connection",
      wholeNumber(commander.InvalidArgumentError, 1, 0x7fff_ffff),
      sessionTimeoutMsDefault,
    )
    .option("-r, --read-only", "be content with a server that can only read at the moment")
    .option("--waitforconnection", "wait the whole timeout even where nothing listens")
    .addOption(new commander.Option("--client-configuration <file>").hideHelp())
    .addHelpText(
      "after",
      "\nOptions may be written with one dash (-server), as the stock shell's. `zoolet cli help` lists the commands.",
    )
    .action((words: string[], _values, self: Command) => {
      const values = self.opts<
        {
          server: string;
          timeout: number;
          readOnly?: true;
          waitforconnection?: true;
          clientConfiguration?: string;
        }
      >();
      found({
        kind: "cli",
        options: {
          servers: values.server,
          timeoutMs: values.timeout,
          readOnly: values.readOnly ?? false,
          waitForConnection: values.waitforconnection ?? false,
          clientConfiguration: values.clientConfiguration ?? null,
          command: words,
        },
      });
    });
}

function wholeNumber(
  Refusal: typeof InvalidArgumentError,
  min: number,
  max: number,
): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new Refusal(`expected a whole number from ${min} to ${max}`);
    }
    return value;
  };
}
