/**
 * Words of a typed line. Quotes, of either kind, make one word of what they enclose when they begin
 * it; they cannot be escaped or nested, there are no variables and no globs. operations 5.2.
 *
 * Only spaces and tabs separate: any other blank is part of a name or a value.
 */

export interface Words {
  readonly words: readonly string[];
  /** A quote was opened and never closed. It is left out, and what follows it are words, as in the stock shell. */
  readonly unclosed: boolean;
}

export function splitWords(line: string): Words {
  const words: string[] = [];
  let unclosed = false;
  let at = 0;
  while (at < line.length) {
    const char = line[at] as string;
    if (char === " " || char === "\t") {
      at++;
      continue;
    }
    if (char === '"' || char === "'") {
      const end = line.indexOf(char, at + 1);
      if (end < 0) unclosed = true;
      else words.push(line.slice(at + 1, end));
      at = end < 0 ? at + 1 : end + 1;
      continue;
    }
    const rest = line.slice(at);
    const length = rest.search(/[ \t]/);
    const word = length < 0 ? rest : rest.slice(0, length);
    words.push(word);
    at += word.length;
  }
  return { words, unclosed };
}
