/**
 * Sources: a configuration file as a list of what is written in it, whatever its format.
 *
 * Always true: bytes are read as data only. A file that is too long, is a directory, holds binary
 * junk or cannot be read becomes a problem with its name, and the list is then empty.
 */
import { type FilesPort, systemCodeOf } from "../runtime/ports.ts";
import { clip, type Place, type Report } from "./config_report.ts";
import { parseProperties, textOfLatin1 } from "./config_properties.ts";
import { parseToml } from "./config_toml.ts";

/** Longest configuration that is read. Real ones have a few thousand bytes. */
export const configBytesMax = 1 << 20;

export type ConfigFiles = Pick<FilesPort, "read" | "info" | "absolute">;

/** One name and value as somebody wrote them. */
export interface Written extends Place {
  /** A dotted path for TOML, else a classic name. */
  readonly name: string;
  /** Text, or what TOML made of it. */
  readonly value: unknown;
  readonly via: "classic" | "toml" | "jvm" | "flag" | "preset";
}

export interface Source {
  readonly text: string | null;
  readonly written: readonly Written[];
}

const nothing: Source = { text: null, written: [] };

export function readSource(files: ConfigFiles, path: string, report: Report): Source {
  const bytes = readBounded(files, path, configBytesMax, "config", report);
  if (bytes === null) return nothing;
  const place = { file: path, line: 0 };
  if (bytes === "missing") {
    report.problem(place, "config", "no such file", "a zoo.cfg or a .toml file", `${path} file is missing`);
    return nothing;
  }
  if (bytes.includes(0)) {
    report.problem(place, "config", "bytes that are no text", "a zoo.cfg or a .toml file");
    return nothing;
  }
  return path.toLowerCase().endsWith(".toml")
    ? tomlSource(path, bytes, report)
    : classicSource(path, bytes, report);
}

/** Null when a problem was told instead. */
export function readBounded(
  files: ConfigFiles,
  path: string,
  bytesMax: number,
  key: string,
  report: Report,
): Uint8Array | "missing" | null {
  const place = { file: path, line: 0 };
  try {
    const info = files.info(path);
    if (info === null) return "missing";
    if (info.isDirectory) {
      report.problem(place, key, "a directory", "a file");
      return null;
    }
    if (info.bytes > bytesMax) {
      report.problem(place, key, `${info.bytes} bytes`, `a file of at most ${bytesMax} bytes`);
      return null;
    }
    const bytes = files.read(path);
    if (bytes.length <= bytesMax) return bytes;
    report.problem(place, key, `${bytes.length} bytes`, `a file of at most ${bytesMax} bytes`);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "") throw error;
    // What lies above it is a file; the key that names that one is told about it.
    if (code === "ENOTDIR") return "missing";
    report.problem(place, key, `${code} when reading it`, "a file that this user may read");
  }
  return null;
}

export function classicSource(path: string, bytes: Uint8Array, report: Report): Source {
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  if (marked) {
    report.warn(
      { file: path, line: 1 },
      "begins with a UTF-8 mark, which Apache would take for part of the first key",
    );
  }
  const text = textOfLatin1(marked ? bytes.subarray(3) : bytes);
  const parsed = parseProperties(text);
  for (const { line, text: found } of parsed.malformed) {
    const sentence = "Malformed \\uxxxx encoding.";
    report.problem(
      { file: path, line },
      "\\u",
      found,
      "four hex digits after \\u, or \\\\ for a backslash",
      sentence,
    );
  }
  return {
    text,
    written: parsed.pairs.map(({ key, value, line }) => {
      return { name: trim(key), value: trim(value), file: path, line, via: "classic" };
    }),
  };
}

function tomlSource(path: string, bytes: Uint8Array, report: Report): Source {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    report.problem({ file: path, line: 0 }, "config", "bytes that are no UTF-8", "a TOML file in UTF-8");
    return nothing;
  }
  const parsed = parseToml(text);
  if (parsed.kind === "malformed") {
    report.problem({ file: path, line: parsed.line }, "config", clip(parsed.message), "TOML");
    return { text, written: [] };
  }
  return {
    text,
    written: parsed.pairs.map(({ key, value, line }) => ({
      name: key,
      value,
      file: path,
      line,
      via: "toml",
    })),
  };
}

/** As Java trims: every character up to the blank, at both ends. */
function trim(text: string): string {
  let from = 0;
  let end = text.length;
  while (from < end && text.charCodeAt(from) <= 0x20) from += 1;
  while (end > from && text.charCodeAt(end - 1) <= 0x20) end -= 1;
  return text.slice(from, end);
}
