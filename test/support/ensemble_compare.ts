/**
 * Ensemble compare: do all members hold the same?
 *
 * Each is asked by itself, after a sync, for every znode with its data, its ACL and its whole Stat,
 * for the sessions it knows, and for what it counted of digests that did not match.
 */
import { bytesOf, hexOf } from "../../src/core/base/bytes.ts";
import { type Client, connect } from "../../src/client/client.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import type { Ensemble } from "./ensemble.ts";
import type { Member } from "./member.ts";
import { sleep } from "./places.ts";

const runtime = await currentRuntime();

/** Requests of a dump that are under way at once. */
const inFlightMax = 500;
const dumpMsMax = 60_000;

export interface ClientChoice {
  readonly timeoutMs?: number;
  /** A credential to add, `user:password`. */
  readonly digest?: string;
}

/** A client of these members alone, connected. */
export async function clientOf(
  members: readonly Member[] | Member,
  choice: ClientChoice = {},
): Promise<Client> {
  const list = "sid" in members ? [members] : members;
  const client = connect(runtime, {
    servers: list.map((member) => member.server).join(","),
    timeoutMs: choice.timeoutMs ?? 20_000,
    reconnectMsMax: 200,
  });
  await client.ready(20_000);
  if (choice.digest !== undefined) await client.addAuth("digest", bytesOf(choice.digest));
  return client;
}

/** Path to one line of text about it. */
export type TreeDump = ReadonlyMap<string, string>;

/** The znode of the configuration has times of its own on every server: it is written at home. */
const configPath = "/zookeeper/config";

export async function dumpTree(member: Member, digest = "super:super"): Promise<Map<string, string>> {
  const client = await clientOf(member, { digest, timeoutMs: dumpMsMax });
  const dump = new Map<string, string>();
  try {
    await client.sync("/");
    let level = ["/"];
    while (level.length > 0) {
      const next: string[] = [];
      for (let at = 0; at < level.length; at += inFlightMax) {
        const portion = level.slice(at, at + inFlightMax);
        const lines = await Promise.all(portion.map((path) => znode(client, path)));
        for (const [index, { line, children }] of lines.entries()) {
          const path = portion[index] as string;
          dump.set(path, line);
          for (const child of children) next.push(path === "/" ? `/${child}` : `${path}/${child}`);
        }
      }
      level = next;
    }
  } finally {
    await client.close();
  }
  return dump;
}

async function znode(client: Client, path: string): Promise<{ line: string; children: readonly string[] }> {
  const [{ data, stat }, { acls }, { children }] = await Promise.all([
    client.getData(path),
    client.getAcl(path),
    client.getChildren(path),
  ]);
  const acl = acls.map(({ perms, id }) => `${perms}:${id.scheme}:${id.id}`).join(",");
  const { czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner } = stat;
  // DIVERGENCES "quota statistics": ours are a count, those of the original may be wrong for a while.
  const isStatistics = path.endsWith("/zookeeper_stats");
  const bytes = isStatistics
    ? "statistics"
    : data === null
    ? "null"
    : data.length > 200
    ? `${data.length} bytes ${sumOf(data)}`
    : hexOf(data);
  const times = path === configPath ? "" : `ctime=${ctime} mtime=${mtime} mzxid=${hex(mzxid)} `;
  const line = `${bytes} acl=${acl} czxid=${hex(czxid)} pzxid=${hex(pzxid)} ${times}` +
    `version=${version} cversion=${cversion} aversion=${aversion} owner=${ephemeralOwner.toString(16)} ` +
    `length=${isStatistics ? "any" : stat.dataLength} children=${stat.numChildren}`;
  return { line, children };
}

function hex(zxid: number): string {
  return zxid.toString(16);
}

function sumOf(data: Uint8Array): number {
  let sum = 0;
  for (const byte of data) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}

/** What differs between the two, at most a few lines; empty when nothing does. */
export function differences(leftName: string, left: TreeDump, rightName: string, right: TreeDump): string[] {
  const told: string[] = [];
  for (const path of new Set([...left.keys(), ...right.keys()])) {
    const [here, there] = [left.get(path), right.get(path)];
    if (here === there) continue;
    told.push(`${path}\n  ${leftName}: ${here ?? "(not there)"}\n  ${rightName}: ${there ?? "(not there)"}`);
    if (told.length >= 5) break;
  }
  return told;
}

/** Ids of the sessions in its `dump`; those of followers and observers too. */
export async function sessionsOf(member: Member): Promise<readonly string[]> {
  const text = await member.word("dump");
  const ids = [...text.matchAll(/^\s*(?:0x)?([0-9a-f]{8,16})\b/gm)].map((match) =>
    (match[1] ?? "").padStart(16, "0")
  );
  return [...new Set(ids)].sort();
}

/**
 * Throws unless the members hold the same znodes and no digest ever differed. Returns what they
 * hold, for a test that looks for something in it.
 */
export async function compareAll(
  ensemble: Ensemble,
  members: readonly Member[] = ensemble.running,
): Promise<TreeDump> {
  const dump = await compareTrees(ensemble, members);
  await compareDigests(members);
  return dump;
}

/** The znodes alone. `digest` names the super user's credential where it is another one. */
export async function compareTrees(
  ensemble: Ensemble,
  members: readonly Member[],
  digest?: string,
): Promise<TreeDump> {
  const dumps: TreeDump[] = [];
  for (const member of members) {
    const dump = await dumpTree(member, digest);
    if (ensemble.hasGates) dump.delete(configPath);
    dumps.push(dump);
  }
  const [first] = members;
  const [dump] = dumps;
  if (first === undefined || dump === undefined) throw new Error("Nobody runs: there is nothing to compare");
  const told = members.slice(1).flatMap((member, index) =>
    differences(first.name, dump, member.name, dumps[index + 1] as TreeDump)
  );
  if (told.length > 0) throw new Error(`Members hold different trees\n${told.join("\n")}`);
  return dump;
}

/** How many txns left another tree than their leader said. */
export async function digestMismatches(member: Member): Promise<number> {
  const count = (await member.metrics()).get("digest_mismatches_count");
  if (count === undefined) throw new Error(`${member.name} has no digest_mismatches_count in mntr`);
  return Number(count);
}

/**
 * Counters, and the digests that `hash` keeps of every so many txns. An original that changed its part
 * while it ran has replayed the end of its log over what it had applied, and counted that: among
 * originals too. Its counter says nothing then, its digests still do.
 */
export async function compareDigests(members: readonly Member[]): Promise<void> {
  for (const member of members) {
    const count = await digestMismatches(member);
    const parts = [...member.output.matchAll(/Peer state changed: \w+ - discovery/g)].length;
    if (count !== 0 && !(member.make.isJava && parts > 1)) {
      throw new Error(`${member.name} counted ${count} digests that did not match`);
    }
  }
  const known = new Map<string, { readonly digest: string; readonly name: string }>();
  for (const member of members) {
    for (const [, zxid = "", digest = ""] of (await member.word("hash")).matchAll(/^([0-9a-f]+): (\S+)$/gm)) {
      // 0: it keeps no digests.
      if (digest === "0") continue;
      const other = known.get(zxid);
      if (other !== undefined && other.digest !== digest) {
        throw new Error(`At ${zxid} ${member.name} had digest ${digest} and ${other.name} ${other.digest}`);
      }
      known.set(zxid, { digest, name: member.name });
    }
  }
}

/** Waits until the sessions that members know are these, or the same everywhere. */
export async function untilSessionsAgree(members: readonly Member[], ms = 5000): Promise<readonly string[]> {
  const until = performance.now() + ms;
  while (true) {
    const lists = await Promise.all(members.map(sessionsOf));
    const [first] = lists;
    if (first !== undefined && lists.every((list) => list.join() === first.join())) return first;
    if (performance.now() > until) {
      const seen = members.map((member, index) => `${member.name}: ${lists[index]?.join(" ")}`).join("\n");
      throw new Error(`Members know different sessions\n${seen}`);
    }
    await sleep(50);
  }
}
