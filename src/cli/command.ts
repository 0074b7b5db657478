/**
 * What a shell command is, and what it may touch.
 *
 * Data goes to `out`, everything said about it (`Created`, notices, errors, usage) to `err`: scripts
 * rely on that (operations 5.2). A command that fails throws; the shell turns what it threw into a
 * sentence and an exit code.
 */
import type { Client } from "../client/client.ts";
import type { OptionSpec, ParsedOptions } from "./options.ts";

export interface ShellCommand {
  readonly name: string;
  /** What follows the name in the usage. */
  readonly usage: string;
  /** One line for `help NAME`. */
  readonly about: string;
  readonly options?: OptionSpec;
  /** How many arguments it takes besides options: fewer get its usage, more are left out with a warning. */
  readonly args: readonly [min: number, max: number];
  /** Not in the list of commands: an older name. */
  readonly hidden?: true;
  /** Runs without a server. */
  readonly offline?: true;
  run(context: CommandContext, parsed: ParsedOptions): Promise<void> | void;
}

export interface CommandContext {
  readonly client: Client;
  readonly shell: ShellControl;
  out(line: string): void;
  err(line: string): void;
}

/** What commands about the shell itself change. */
export interface ShellControl {
  readonly commands: readonly ShellCommand[];
  readonly hasChroot: boolean;
  printWatches: boolean;
  /** The last lines, `number - line`. */
  recentLines(): string[];
  redo(index: number): Promise<void>;
  connect(servers: string | null): Promise<void>;
  close(): Promise<void>;
  quit(): void;
  usage(): string;
}

/** A failure that has its sentence already. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  /** Whether the usage of the command should follow. */
  readonly usage: boolean;
  readonly exitCode: number;
  constructor(message: string, options: { readonly usage?: boolean; readonly exitCode?: number } = {}) {
    super(message);
    this.usage = options.usage ?? false;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** The argument at `index`; the shell has counted them. */
export function argOf(parsed: ParsedOptions, index: number): string {
  return parsed.args[index] ?? "";
}
