/**
 * Blanks at the ends of a text, as Java trims them: what comes up to U+0020, and no more.
 *
 * JavaScript's own `trim` and `\s` also take U+00A0, U+3000 and others, which may stand in a path, a
 * host or a value: those would change without a word.
 */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(start, end);
}
