/**
 * Java properties: the format that a `zoo.cfg` really is (operations 1.1).
 *
 * It looks like an INI file and is not one: there are no trailing comments, a backslash is an escape,
 * a colon or a blank separates as well as `=` does, and the bytes are ISO-8859-1. Files that ran for
 * years under Java have to mean the same here, so the rules are followed to the letter. One pass, by
 * hand: no regular expression that a hostile line could make slow.
 *
 * Always true: pairs come in file order, each with the 1-based line its key begins on, and every
 * input has a result; an escape that cannot be read is reported beside the pairs that can.
 */

export interface PropertyPair {
  readonly key: string;
  readonly value: string;
  /** Where the logical line begins. */
  readonly line: number;
}

export interface ParsedProperties {
  readonly pairs: readonly PropertyPair[];
  /** Lines whose `\uXXXX` has not four hex digits; Java refuses the whole file for one of them. */
  readonly malformed: readonly { readonly line: number; readonly text: string }[];
}

/** Bytes as ISO-8859-1: each byte is its own character. (The standard's "latin1" decoder is another table.) */
export function textOfLatin1(bytes: Uint8Array): string {
  const piece = 8192;
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += piece) {
    parts.push(String.fromCharCode(...bytes.subarray(at, at + piece)));
  }
  return parts.join("");
}

export function parseProperties(text: string): ParsedProperties {
  const pairs: PropertyPair[] = [];
  const malformed: { line: number; text: string }[] = [];
  for (const { content, line } of logicalLines(text)) {
    const { keyEnd, valueStart } = split(content);
    const key = unescape(content.slice(0, keyEnd));
    const value = unescape(content.slice(valueStart));
    if (key === null || value === null) malformed.push({ line, text: content });
    else pairs.push({ key, value, line });
  }
  return { pairs, malformed };
}

interface LogicalLine {
  readonly content: string;
  readonly line: number;
}

/** Joins what backslashes at line ends tie together, and drops comments and blank lines. */
function* logicalLines(text: string): Generator<LogicalLine> {
  let at = 0;
  let lineNumber = 0;
  let pending: string[] = [];
  /** Whether the line before is tied to this one. A `\` alone ties nothing: there is no line yet. */
  let continues = false;
  let lineStart = 0;
  while (at < text.length) {
    const end = lineEnd(text, at);
    lineNumber += 1;
    let from = at;
    while (from < end && isBlank(text.charCodeAt(from))) from += 1;
    at = text.charCodeAt(end) === 0x0d && text.charCodeAt(end + 1) === 0x0a ? end + 2 : end + 1;

    if (!continues) {
      if (from === end) continue;
      const first = text.charCodeAt(from);
      if (first === 0x23 /* # */ || first === 0x21 /* ! */) continue;
      lineStart = lineNumber;
    }
    const tied = endsInOddBackslashes(text, from, end);
    const part = text.slice(from, tied ? end - 1 : end);
    if (part !== "") pending.push(part);
    continues = tied && pending.length > 0;
    if (tied) continue;
    const content = pending.join("");
    pending = [];
    if (content.length > 0) yield { content, line: lineStart };
  }
  const content = pending.join("");
  if (content.length > 0) yield { content, line: lineStart };
}

function lineEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (unit === 0x0a || unit === 0x0d) return at;
    at += 1;
  }
  return at;
}

function endsInOddBackslashes(text: string, from: number, end: number): boolean {
  let at = end;
  while (at > from && text.charCodeAt(at - 1) === 0x5c) at -= 1;
  return (end - at) % 2 === 1;
}

/** The key ends at the first unescaped `=`, `:` or blank; one separator and the blanks around it are dropped. */
function split(content: string): { keyEnd: number; valueStart: number } {
  let keyEnd = 0;
  let escaped = false;
  while (keyEnd < content.length) {
    const unit = content.charCodeAt(keyEnd);
    if (!escaped && (isSeparator(unit) || isBlank(unit))) break;
    escaped = unit === 0x5c && !escaped;
    keyEnd += 1;
  }
  let valueStart = keyEnd;
  let separated = false;
  while (valueStart < content.length) {
    const unit = content.charCodeAt(valueStart);
    if (!isBlank(unit)) {
      if (separated || !isSeparator(unit)) break;
      separated = true;
    }
    valueStart += 1;
  }
  return { keyEnd, valueStart };
}

const plainEscapes: Readonly<Record<string, string>> = { t: "\t", r: "\r", n: "\n", f: "\f" };

/** Null when a `\u` has not four hex digits behind it. */
function unescape(raw: string): string | null {
  let at = raw.indexOf("\\");
  if (at < 0) return raw;
  const parts: string[] = [];
  let from = 0;
  while (at >= 0 && at + 1 < raw.length) {
    parts.push(raw.slice(from, at));
    const escaped = raw.charAt(at + 1);
    if (escaped === "u") {
      const digits = raw.slice(at + 2, at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) return null;
      parts.push(String.fromCharCode(Number.parseInt(digits, 16)));
      from = at + 6;
    } else {
      parts.push(plainEscapes[escaped] ?? escaped);
      from = at + 2;
    }
    at = raw.indexOf("\\", from);
  }
  parts.push(raw.slice(from));
  return parts.join("");
}

function isSeparator(unit: number): boolean {
  return unit === 0x3d /* = */ || unit === 0x3a /* : */;
}

/** What Java calls white space here: blank, tab, form feed. */
function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09 || unit === 0x0c;
}
