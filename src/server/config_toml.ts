/**
 * TOML: the pleasant shape of the same settings.
 *
 * The parser gives values without their lines, and an operator wants the line. So the text is walked
 * once more, lightly, for where each key stands. The walk only serves messages: where it is mistaken
 * a message names a line nearby, and no value changes.
 *
 * Always true: every input has a result, and tables deeper than any setting are reported by their
 * path instead of being followed down.
 */
import { parse, TomlError } from "@std/toml";

export type TomlLeaf = string | number | boolean | readonly unknown[] | object;

export interface TomlPair {
  /** Dotted: `client.port`. */
  readonly key: string;
  readonly value: TomlLeaf;
  /** 1-based; 0 where it was not found. */
  readonly line: number;
}

export type ParsedToml =
  | { readonly kind: "pairs"; readonly pairs: readonly TomlPair[] }
  | { readonly kind: "malformed"; readonly line: number; readonly message: string };

/** Deepest nesting that is looked into; our own keys have two levels. */
const depthMax = 6;

export function parseToml(text: string): ParsedToml {
  let root: object;
  try {
    root = parse(text, { maxDepth: 32, unsafeKeyBehaviour: "throw" });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The library's message goes on with a picture of the line; its first line says it all.
    return { kind: "malformed", line: error.line, message: firstLine(error.message) };
  }
  const lines = linesOfKeys(text);
  const pairs: TomlPair[] = [];
  const walk = (table: object, path: string, depth: number): void => {
    for (const [name, value] of Object.entries(table)) {
      const key = path === "" ? name : `${path}.${name}`;
      if (isTable(value) && depth < depthMax) walk(value, key, depth + 1);
      else pairs.push({ key, value, line: lineOf(lines, key) });
    }
  };
  walk(root, "", 1);
  return { kind: "pairs", pairs };
}

function firstLine(message: string): string {
  const text = message.split("\n", 1)[0] ?? "";
  return text.replace(/^Invalid TOML document: /, "");
}

function isTable(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The key's own line, or that of the nearest table above it (inline tables share their line). */
function lineOf(lines: ReadonlyMap<string, number>, key: string): number {
  let path = key;
  for (let level = 0; level <= depthMax; level += 1) {
    const line = lines.get(path);
    if (line !== undefined) return line;
    const dot = path.lastIndexOf(".");
    if (dot < 0) return 0;
    path = path.slice(0, dot);
  }
  return 0;
}

/** Keys and `[tables]` that begin a line outside multi-line strings, each with its first line. */
function linesOfKeys(text: string): Map<string, number> {
  const found = new Map<string, number>();
  let table = "";
  let inside: '"""' | "'''" | null = null;
  let number = 0;
  for (const whole of text.split("\n")) {
    number += 1;
    let line = whole.trim();
    if (inside !== null) {
      const close = line.indexOf(inside);
      if (close < 0) continue;
      line = line.slice(close + 3);
      inside = null;
    }
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("[")) {
      const close = line.indexOf("]");
      const name = close > 0 ? bareKey(line.slice(line.startsWith("[[") ? 2 : 1, close)) : null;
      if (name !== null) {
        table = name;
        if (!found.has(name)) found.set(name, number);
      }
    } else {
      const equals = line.indexOf("=");
      const name = equals > 0 ? bareKey(line.slice(0, equals)) : null;
      if (name !== null) {
        const key = table === "" ? name : `${table}.${name}`;
        if (!found.has(key)) found.set(key, number);
      }
    }
    inside = opensMultiline(line);
  }
  return found;
}

/** `a . "b"` as `a.b`, or null for what is no key. Keys longer than any of ours are not looked at. */
function bareKey(text: string): string | null {
  if (text.length > 200) return null;
  const parts = text.split(".").map((part) => part.trim().replace(/^(["'])(.*)\1$/, "$2"));
  return parts.every((part) => part !== "") ? parts.join(".") : null;
}

function opensMultiline(line: string): '"""' | "'''" | null {
  for (const mark of ['"""', "'''"] as const) {
    const open = line.indexOf(mark);
    if (open >= 0 && line.indexOf(mark, open + 3) < 0) return mark;
  }
  return null;
}
