/**
 * Secrets: what must not leave through the admin endpoint, which asks nobody for a password.
 *
 * The original tells every property and the whole configuration file, passwords included. Here what
 * stands behind a word that sounds like a secret is replaced, and the word stays, so that one sees it
 * is set. Comments count too: a password that is commented out is still a password.
 */
export const redacted = "<redacted>";

const secretWord = String.raw`passw|super[._-]?digest|secret|credential|private[._-]?key`;
const secretKey = new RegExp(secretWord, "i");
/** All up to the value, and the value. Properties part the two by `=`, `:` or blanks, TOML by `=`. */
const secretLine = new RegExp(String.raw`^(.*?(?:${secretWord})[^\s=:]*[\s=:]+)(\S.*)$`, "i");

export function isSecretKey(key: string): boolean {
  return secretKey.test(key);
}

/**
 * A configuration text, properties or TOML, with its secrets replaced. A value may go on over lines:
 * behind a backslash (properties) or until three quotes (TOML).
 */
export function redactConfig(text: string): string {
  const shown: string[] = [];
  let skipping: { over(line: string): boolean } | null = null;
  for (const line of text.split("\n")) {
    if (skipping !== null) {
      if (skipping.over(line)) skipping = null;
      continue;
    }
    const [, before, value] = secretLine.exec(line) ?? [];
    if (before === undefined || value === undefined) {
      // The value may stand on the next line alone.
      if (isSecretKey(line) && continues(line)) {
        shown.push(`${line.replace(/\\\r?$/, "")}${redacted}`);
        skipping = { over: (next) => !continues(next) };
      } else shown.push(line);
      continue;
    }
    shown.push(before + redacted);
    const quotes = /"""|'''/.exec(value)?.[0];
    if (quotes !== undefined && value.split(quotes).length === 2) {
      skipping = { over: (next) => next.includes(quotes) };
    } else if (continues(line)) skipping = { over: (next) => !continues(next) };
  }
  return shown.join("\n");
}

/** Ends in an odd number of backslashes. */
function continues(line: string): boolean {
  const backslashes = /\\*(?=\r?$)/.exec(line)?.[0].length ?? 0;
  return backslashes % 2 === 1;
}
