/**
 * Paths, checked before they are sent: client-protocol 4.6.
 *
 * The server checks again and is the judge. This is for the person at the keyboard: a sentence that
 * names the place beats a bare BadArguments. The sentences are those of the stock shell.
 */

/** Why this is no path; null when it is one. A sequential create is asked about with a digit behind it. */
export function pathProblem(path: string): string | null {
  if (path.length === 0) return "Path length must be > 0";
  if (path.charCodeAt(0) !== 0x2f) return "Path must start with / character";
  if (path.length === 1) return null;
  if (path.endsWith("/")) return "Path must not end with / character";
  let start = 1;
  for (let i = 1; i <= path.length; i++) {
    const code = i < path.length ? path.charCodeAt(i) : 0x2f;
    if (code === 0x2f) {
      const name = path.slice(start, i);
      if (name === "") return invalid(path, `empty node name specified @${i}`);
      if (name === "." || name === "..") return invalid(path, `relative paths not allowed @${i - 1}`);
      start = i + 1;
    } else if (code === 0) {
      return invalid(path, `null character not allowed @${i}`);
    } else if (isForbidden(code)) {
      return invalid(path, `invalid character @${i}`);
    }
  }
  return null;
}

function invalid(path: string, cause: string): string {
  return `Invalid path string "${path}" caused by ${cause}`;
}

/** UTF-16 units: control characters, surrogates, private use and specials. */
function isForbidden(code: number): boolean {
  return code <= 0x1f || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xf8ff) ||
    code >= 0xfff0;
}

export function parentPath(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

export function childPath(parent: string, name: string): string {
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}
