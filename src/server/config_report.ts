/**
 * Report: what reading a configuration has to say, gathered until the end.
 *
 * Apache stops at the first wrong key and which one that is depends on a hash. Here everything is
 * looked at and every problem is told at once, so nothing in this room throws for what is in a file.
 *
 * Always true: each list is bounded, whatever a file holds.
 */
import { inTomlWords } from "./config_known.ts";
import type { ConfigProblem } from "./config_types.ts";

/** Where a value stands. */
export interface Place {
  /** As the operator named it; a variable's or a flag's name where it is no file. */
  readonly file: string;
  /** 1-based; 0 where there is no line. */
  readonly line: number;
}

const problemsMax = 100;
const warningsMax = 200;

export class Report {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: string[] = [];
  readonly notes: string[] = [];

  problem(place: Place, key: string, found: string, allowed: string, sentence = ""): void {
    if (this.problems.length >= problemsMax) return;
    const words = wordsFor(place);
    this.problems.push({
      file: place.file,
      line: place.line,
      key: clip(words(key)),
      found: clip(found),
      allowed: words(allowed),
      sentence,
    });
  }

  warn(place: Place, text: string): void {
    if (this.warnings.length < warningsMax) {
      this.warnings.push(`${placeText(place)}: ${wordsFor(place)(text)}`);
    }
  }

  note(place: Place, text: string): void {
    if (this.notes.length < warningsMax) this.notes.push(`${placeText(place)}: ${text}`);
  }
}

/** Who writes TOML is told the names that stand there. */
function wordsFor(place: Place): (text: string) => string {
  return place.file.toLowerCase().endsWith(".toml") ? inTomlWords : (text) => text;
}

export function placeText(place: Place): string {
  return place.line > 0 ? `${place.file}:${place.line}` : place.file;
}

/** Text from a file as part of a message: short, on one line, and unable to move a terminal's cursor. */
export function clip(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  let safe = "";
  for (const char of short) {
    const code = char.codePointAt(0) ?? 0;
    safe += code < 0x20 || (code >= 0x7f && code < 0xa0) ? `\\x${code.toString(16).padStart(2, "0")}` : char;
  }
  return safe;
}
