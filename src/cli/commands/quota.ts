/**
 * Quotas: setquota, listquota, delquota.
 *
 * To the server a quota is two znodes: `/zookeeper/quota<path>/zookeeper_limits`, which we write, and
 * `zookeeper_stats` beside it, which we make and the server keeps. server-semantics 7. The four
 * limits stand in one text, `count=5,bytes=100=;byteHardLimit=-1;countHardLimit=10`, -1 for none;
 * the stray `=` keeps readers from before 3.7 from seeing what they do not know.
 */
import type { Client } from "../../client/client.ts";
import { childPath, parentPath } from "../../client/paths.ts";
import { ZkError } from "../../client/zk_error.ts";
import { bytesOf, textOf } from "../../core/base/bytes.ts";
import { ErrorCode } from "../../core/wire/errors.ts";
import { argOf, type CommandContext, CommandError, type ShellCommand } from "../command.ts";
import { numberOf, type ParsedOptions } from "../options.ts";
import { walk } from "../walk.ts";

const quotaRoot = "/zookeeper/quota";
const limitsName = "zookeeper_limits";
const statsName = "zookeeper_stats";

/** The letters of the options and what they limit. */
const limitKeys = { n: "count", b: "bytes", N: "countHardLimit", B: "byteHardLimit" } as const;
type LimitLetter = keyof typeof limitKeys;
const letters = Object.keys(limitKeys) as LimitLetter[];

type Limits = Map<string, number>;

function parseLimits(text: string): Limits {
  const limits: Limits = new Map();
  for (const piece of text.split(/[,;]+/)) {
    const [key = "", value = ""] = piece.split("=");
    if (key !== "" && value !== "") limits.set(key, Number(value));
  }
  return limits;
}

function limitsText(limits: Limits): string {
  const of = (key: string): number => limits.get(key) ?? -1;
  return `count=${of("count")},bytes=${of("bytes")}=;byteHardLimit=${of("byteHardLimit")};countHardLimit=${
    of("countHardLimit")
  }`;
}

async function textAt(client: Client, path: string): Promise<string | null> {
  try {
    const { data } = await client.getData(path);
    return textOf(data ?? new Uint8Array(0));
  } catch (error) {
    if (error instanceof ZkError && error.code === ErrorCode.NoNode) return null;
    throw error;
  }
}

/** The server counts by the real path, which a shell behind a chroot cannot name. */
function quotaPath(context: CommandContext, path: string): string {
  if (context.shell.hasChroot) {
    throw new CommandError(
      "Quotas cannot be reached through a chroot: connect without /path behind the servers",
    );
  }
  return path === "/" ? quotaRoot : quotaRoot + path;
}

export const setquota: ShellCommand = {
  name: "setquota",
  usage: "-n|-b|-N|-B val path",
  about:
    "limit what is below; -n znodes and -b bytes are warnings, -N and -B are refusals where quotas are enforced",
  options: { values: letters },
  args: [1, 1],
  async run(context, parsed) {
    const { client } = context;
    const path = argOf(parsed, 0);
    const chosen = letters.filter((letter) => parsed.values.has(letter));
    const [letter] = chosen;
    if (letter === undefined || chosen.length > 1) {
      throw new CommandError(
        chosen.length > 1
          ? `Only one limit at a time, found: ${chosen.map((each) => `-${each}`).join(" ")}`
          : "Missing required option: [-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]",
        { usage: true },
      );
    }
    const value = limitOf(parsed, letter);
    await refuseForeign(context, path);
    await write(client, quotaPath(context, path), limitKeys[letter], value);
    await warnIfOver(context, path, limitKeys[letter], value);
  },
};

function limitOf(parsed: ParsedOptions, letter: LimitLetter): number {
  const text = parsed.values.get(letter) ?? "";
  const value = numberOf(text, "NumberFormatException happens when parsing the option value");
  const isCount = letter === "n" || letter === "N";
  if (isCount && value <= 0) throw new CommandError("the num quota must be greater than zero");
  if (!isCount && value < 0) throw new CommandError("the bytes quota must be greater than or equal to zero");
  return value;
}

/** Only the deepest quota over a znode is counted, so quotas in one another would not add up. */
async function refuseForeign(context: CommandContext, path: string): Promise<void> {
  const { client } = context;
  const at = quotaPath(context, path);
  if (path === "/" || path === "/zookeeper") throw new CommandError(`cannot set a quota on ${path}`);
  if (path === quotaRoot || path.startsWith(`${quotaRoot}/`)) {
    throw new CommandError(`cannot set a quota under the path: ${quotaRoot}`);
  }
  if ((await client.exists(path)) === null) throw new CommandError(`${path} does not exist.`);
  for (let above = parentPath(path); above !== "/"; above = parentPath(above)) {
    if ((await client.exists(childPath(quotaPath(context, above), limitsName))) !== null) {
      throw new CommandError(`${path} has a parent ${above} which has a quota`);
    }
  }
  if ((await client.exists(at)) === null) return;
  for await (const below of walk(client, at)) {
    const isLimits = below.endsWith(`/${limitsName}`);
    const owner = parentPath(below);
    if (isLimits && owner !== at) {
      throw new CommandError(`${path} has a child ${owner.slice(quotaRoot.length)} which has a quota`);
    }
  }
}

async function write(client: Client, at: string, key: string, value: number): Promise<void> {
  const limitsAt = childPath(at, limitsName);
  const found = await textAt(client, limitsAt);
  if (found !== null) {
    const limits = parseLimits(found);
    limits.set(key, value);
    await client.setData(limitsAt, bytesOf(limitsText(limits)));
    return;
  }
  const names = at.slice(quotaRoot.length + 1).split("/");
  for (let i = 0; i <= names.length; i++) {
    await ensure(client, [quotaRoot, ...names.slice(0, i)].join("/"), null);
  }
  await ensure(client, limitsAt, limitsText(new Map([[key, value]])));
  await ensure(client, childPath(at, statsName), "count=0,bytes=0");
}

async function ensure(client: Client, path: string, text: string | null): Promise<void> {
  try {
    await client.create(path, text === null ? null : bytesOf(text));
  } catch (error) {
    if (!(error instanceof ZkError) || error.code !== ErrorCode.NodeExists) throw error;
  }
}

async function warnIfOver(context: CommandContext, path: string, key: string, limit: number): Promise<void> {
  const stats = parseLimits(
    await textAt(context.client, childPath(quotaPath(context, path), statsName)) ?? "",
  );
  const kind = key.startsWith("count") ? "count" : "bytes";
  const used = stats.get(kind) ?? 0;
  if (used > limit) {
    context.out(`[Warning]: the ${kind} quota you create is less than the existing ${kind}:${used}`);
  }
}

export const listquota: ShellCommand = {
  name: "listquota",
  usage: "path",
  about: "print limits and what is used",
  args: [1, 1],
  async run(context, parsed) {
    const path = argOf(parsed, 0);
    const at = quotaPath(context, path);
    context.err(`absolute path is ${childPath(at, limitsName)}`);
    const limits = await textAt(context.client, childPath(at, limitsName));
    if (limits === null) return context.err(`quota for ${path} does not exist.`);
    context.out(`Output quota for ${path} ${limits}`);
    const stats = await textAt(context.client, childPath(at, statsName));
    if (stats !== null) context.out(`Output stat for ${path} ${stats}`);
  },
};

export const delquota: ShellCommand = {
  name: "delquota",
  usage: "[-n|-b|-N|-B] path",
  about: "take limits away; all of them unless told which",
  options: { flags: letters },
  args: [1, 1],
  async run(context, parsed) {
    const { client } = context;
    const path = argOf(parsed, 0);
    const at = quotaPath(context, path);
    const found = await textAt(client, childPath(at, limitsName));
    if (found === null) return context.out(`Quota does not exist for ${path}`);
    if (parsed.flags.size > 0) {
      const limits = parseLimits(found);
      for (const letter of letters) if (parsed.flags.has(letter)) limits.set(limitKeys[letter], -1);
      await client.setData(childPath(at, limitsName), bytesOf(limitsText(limits)));
      return;
    }
    for (const name of [limitsName, statsName]) await remove(client, childPath(at, name));
    for (let above = at; above !== quotaRoot; above = parentPath(above)) {
      if (!await remove(client, above)) break;
    }
  },
};

/** False when something else is still below. */
async function remove(client: Client, path: string): Promise<boolean> {
  try {
    await client.delete(path);
    return true;
  } catch (error) {
    if (!(error instanceof ZkError)) throw error;
    if (error.code === ErrorCode.NoNode) return true;
    if (error.code === ErrorCode.NotEmpty) return false;
    throw error;
  }
}
