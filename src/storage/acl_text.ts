/**
 * An encoded ACL vector as a person reads it: `world:anyone:cdrwa`.
 */
import { readAcls } from "../core/wire/records.ts";
import { Reader } from "../core/wire/reader.ts";
import { Perm } from "../core/wire/opcodes.ts";

const letters: readonly (readonly [number, string])[] = [
  [Perm.Create, "c"],
  [Perm.Delete, "d"],
  [Perm.Read, "r"],
  [Perm.Write, "w"],
  [Perm.Admin, "a"],
];

export function aclText(bytes: Uint8Array): string {
  const reader = new Reader(bytes);
  const list = readAcls(reader);
  if (reader.failed || list === null) return "unreadable";
  return list.map(({ perms, scheme, id }) => {
    const shown = letters.map(([perm, letter]) => (perms & perm) !== 0 ? letter : "").join("");
    return `${scheme ?? ""}:${id ?? ""}:${shown}`;
  }).join(", ");
}
