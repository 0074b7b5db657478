/**
 * Words of a typed line. Quotes, of either kind, make one word of what they enclose when they begin
 * it; they cannot be escaped or nested, there are no variables and no globs. operations 5.2.
 */

/** Null when a quote is opened and never closed. */
export function splitWords(line: string): string[] | null {
  const words: string[] = [];
  let at = 0;
  while (at < line.length) {
    const char = line[at] as string;
    if (/\s/.test(char)) {
      at++;
    } else if (char === '"' || char === "'") {
      const end = line.indexOf(char, at + 1);
      if (end < 0) return null;
      words.push(line.slice(at + 1, end));
      at = end + 1;
    } else {
      const rest = line.slice(at);
      const length = rest.search(/\s/);
      const word = length < 0 ? rest : rest.slice(0, length);
      words.push(word);
      at += word.length;
    }
  }
  return words;
}
