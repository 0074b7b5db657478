/**
 * Source text as the house rules look at it: every file under a folder, with comments and the insides
 * of strings blanked out, so that a rule finds code and never prose.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export interface Source {
  /** From the root, with forward slashes: `src/core/base/zxid.ts`. */
  readonly path: string;
  readonly text: string;
  /** As long as the text, line for line; comments, strings and regular expressions are blanks. */
  readonly code: string;
  /** What it imports or exports from, as written. */
  readonly imports: readonly string[];
}

export function sources(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => sourceOf(join(entry.parentPath, entry.name)))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function sourceOf(file: string): Source {
  const text = readFileSync(file, "utf8");
  const code = blanked(text);
  return { path: relative(root, file).split(sep).join("/"), text, code, imports: importsOf(text, code) };
}

/** `path:line: the line` for each place where `pattern` is found in code. */
export function placesOf(source: Source, pattern: RegExp): string[] {
  const global = new RegExp(pattern.source, `${pattern.flags.replace("g", "")}g`);
  return [...source.code.matchAll(global)].map(({ index }) => {
    const number = source.text.slice(0, index).split("\n").length;
    return `${source.path}:${number}: ${source.text.split("\n")[number - 1]?.trim() ?? ""}`;
  });
}

/** The strings behind `from`, `import` and `import(`; found in the code, read in the text. */
function importsOf(text: string, code: string): string[] {
  return [...code.matchAll(/\b(?:from|import)\s*\(?\s*(["'])(?=[ ]*\1)/g)].map((match) => {
    const start = match.index + match[0].length;
    return text.slice(start, text.indexOf(match[1] as string, start));
  });
}

/** The quotes stay, what is between them goes. Code inside `${}` stays. */
export function blanked(text: string): string {
  const out: string[] = [];
  /** Open templates, each with the braces open inside its `${`. */
  const templates: number[] = [];
  let at = 0;
  const keep = (count: number) => {
    out.push(text.slice(at, at + count));
    at += count;
  };
  const blank = (to: number) => {
    out.push(text.slice(at, to).replace(/[^\n]/g, " "));
    at = to;
  };
  const blankTemplate = () => {
    const end = endOf(/`|\$\{/g);
    const opens = text.startsWith("${", end);
    blank(end);
    keep(opens ? 2 : 1);
    if (opens) templates.push(0);
  };
  /** Where the pattern is next, escapes passed over; the end of the text when nowhere. */
  const endOf = (pattern: RegExp): number => {
    const escaped = new RegExp(`\\\\[^]|${pattern.source}`, "g");
    escaped.lastIndex = at;
    for (let match = escaped.exec(text); match !== null; match = escaped.exec(text)) {
      if (!match[0].startsWith("\\")) return match.index;
    }
    return text.length;
  };
  const indexOr = (found: number) => (found < 0 ? text.length : found);

  while (at < text.length) {
    const char = text[at] as string;
    if (text.startsWith("//", at)) blank(indexOr(text.indexOf("\n", at)));
    else if (text.startsWith("/*", at)) blank(Math.min(text.length, indexOr(text.indexOf("*/", at)) + 2));
    else if (char === '"' || char === "'") {
      keep(1);
      blank(endOf(new RegExp(`${char}|\n`)));
      keep(1);
    } else if (char === "`") {
      keep(1);
      blankTemplate();
    } else if (char === "/" && startsPattern(out)) {
      keep(1);
      blank(endOf(/\/(?![^[\n]*\])|\n/));
      keep(1);
    } else if (char === "}" && templates.at(-1) === 0) {
      templates.pop();
      keep(1);
      blankTemplate();
    } else {
      const open = templates.at(-1);
      if (open !== undefined && char === "{") templates[templates.length - 1] = open + 1;
      if (open !== undefined && char === "}") templates[templates.length - 1] = open - 1;
      keep(1);
    }
  }
  return out.join("");
}

/** A slash begins a regular expression where a value may begin, and divides elsewhere. */
function startsPattern(before: readonly string[]): boolean {
  const tail = before.slice(-40).join("").trimEnd();
  return tail === "" || /[(,=:[!&|?{};+*<>~^%-]$|\b(?:return|case|typeof|of|in)$/.test(tail);
}
