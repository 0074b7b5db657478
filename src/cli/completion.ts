/**
 * Completion: names of commands for the first word, paths of the server for a later one.
 */
import type { Client } from "../client/client.ts";
import { childPath } from "../client/paths.ts";
import { commands } from "./commands/all.ts";
import { compareNames } from "./names.ts";

/** More than fit on a screen help nobody. */
const candidatesMax = 500;

/** Candidates, and the part of the line that each of them would replace. */
export async function complete(line: string, client: Client | null): Promise<[string[], string]> {
  const words = line.replace(/^[ \t]+/, "").split(/[ \t]+/);
  const word = words.at(-1) ?? "";
  if (words.length <= 1) {
    const names = commands.filter(({ hidden }) => hidden !== true).map(({ name }) => name);
    const fitting = names.filter((name) => name.startsWith(word));
    // The only one is whole; what follows it can be typed at once.
    return [fitting.length === 1 ? [`${fitting[0]} `] : fitting, word];
  }
  if (!word.startsWith("/") || client === null || client.server === null) return [[], word];
  const slash = word.lastIndexOf("/");
  const parent = slash === 0 ? "/" : word.slice(0, slash);
  const begin = word.slice(slash + 1);
  const names = await client.getChildNames(parent);
  const fitting = names.filter((name) => name.startsWith(begin)).sort(compareNames).slice(0, candidatesMax);
  return [fitting.map((name) => childPath(parent, name)), word];
}
