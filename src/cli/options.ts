/**
 * Options of shell commands: `-s`, `-v 3`, `-v3`, `-sw`, `-members LIST`, before or behind the
 * arguments, as the stock shell takes them. A negative number is an argument; `--` ends the options.
 */
import { CommandError } from "./command.ts";

export interface OptionSpec {
  /** Options that stand alone. */
  readonly flags?: readonly string[];
  /** Options with a value. */
  readonly values?: readonly string[];
}

export interface ParsedOptions {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly args: readonly string[];
}

export function parseOptions(words: readonly string[], spec: OptionSpec): ParsedOptions {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const args: string[] = [];
  const knownFlags = new Set(spec.flags);
  const knownValues = new Set(spec.values);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    const name = word.slice(word.startsWith("--") ? 2 : 1);
    if (word === "--") {
      args.push(...words.slice(i + 1));
      break;
    } else if (!word.startsWith("-") || word === "-" || /^-\d+$/.test(word)) {
      args.push(word);
    } else if (knownFlags.has(name)) {
      flags.add(name);
    } else if (knownValues.has(name)) {
      const value = words[++i];
      if (value === undefined) {
        throw new CommandError(`Missing argument for option: ${name}`, { usage: true });
      }
      values.set(name, value);
    } else if (knownValues.has(name[0] ?? "")) {
      values.set(name[0] as string, name.slice(1));
    } else if ([...name].every((letter) => knownFlags.has(letter))) {
      for (const letter of name) flags.add(letter);
    } else {
      throw new CommandError(`Unrecognized option: ${word}`, { usage: true });
    }
  }
  return { flags, values, args };
}

/** A whole number, or a sentence about what was found instead. */
export function numberOf(text: string, sentence: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new CommandError(sentence);
  return value;
}

/** `-v`: a version, -1 for any. */
export function versionOf(parsed: ParsedOptions): number {
  const text = parsed.values.get("v");
  return text === undefined ? -1 : numberOf(text, `-v must be followed by a whole number, found: ${text}`);
}
