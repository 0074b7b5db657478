/**
 * Paths, as bytes.
 *
 * A path that names a znode is valid because only valid paths are ever created; so the rules are
 * asked only on the way to a refusal and on create. They speak of UTF-16 units; here they are told
 * in UTF-8. Bytes that are no UTF-8 would reach the original as U+FFFD, which is forbidden as well.
 * server-semantics 2.
 */
import { bytesEqualAt, bytesOf } from "../base/bytes.ts";

const slash = 0x2f;
const dot = 0x2e;

/** May these bytes be the path of a znode? */
export function pathIsValid(bytes: Uint8Array, start: number, end: number): boolean {
  if (end <= start || bytes[start] !== slash) return false;
  if (end - start === 1) return true;
  let componentAt = start + 1;
  for (let i = start + 1; i <= end; i++) {
    const byte = i < end ? (bytes[i] as number) : slash;
    if (byte === slash) {
      const length = i - componentAt;
      if (length === 0) return false;
      if (length === 1 && bytes[componentAt] === dot) return false;
      if (length === 2 && bytes[componentAt] === dot && bytes[componentAt + 1] === dot) return false;
      componentAt = i + 1;
    } else if (byte < 0x20 || byte === 0x7f) return false;
    else if (byte >= 0x80) {
      const width = unitWidth(bytes, i, end);
      if (width === 0) return false;
      i += width - 1;
    }
  }
  return true;
}

/** Bytes of the allowed character at `i`, or 0 where it is forbidden or no UTF-8. */
function unitWidth(bytes: Uint8Array, i: number, end: number): number {
  const first = bytes[i] as number;
  if (first >= 0xc2 && first <= 0xdf) {
    if (i + 1 >= end || !isTail(bytes[i + 1])) return 0;
    const code = ((first & 0x1f) << 6) | ((bytes[i + 1] as number) & 0x3f);
    return code <= 0x9f ? 0 : 2;
  }
  if (first >= 0xe0 && first <= 0xef) {
    if (i + 2 >= end || !isTail(bytes[i + 1]) || !isTail(bytes[i + 2])) return 0;
    const code = ((first & 0x0f) << 12) | (((bytes[i + 1] as number) & 0x3f) << 6) |
      ((bytes[i + 2] as number) & 0x3f);
    if (code < 0x800) return 0;
    return (code >= 0xd800 && code <= 0xf8ff) || code >= 0xfff0 ? 0 : 3;
  }
  // Four bytes are a surrogate pair in UTF-16, and surrogates are forbidden.
  return 0;
}

function isTail(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

export function pathHasNul(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] === 0) return true;
  return false;
}

/** Where the last slash is, or -1. The parent's path is the text before it, empty for the root. */
export function slashLast(bytes: Uint8Array, start: number, end: number): number {
  for (let i = end - 1; i >= start; i--) if (bytes[i] === slash) return i;
  return -1;
}

const reserved = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"].map(bytesOf);

/** The four znodes that can't be deleted. */
export function pathIsReserved(bytes: Uint8Array, start: number, end: number): boolean {
  for (const path of reserved) {
    if (path.length === end - start && bytesEqualAt(bytes, start, path)) return true;
  }
  return false;
}

/** The parent of a valid path other than "/", as text. */
export function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}
