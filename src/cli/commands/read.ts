/**
 * Commands that read: ls, ls2, get, stat, getAllChildrenNumber, getEphemerals, sync, config.
 */
import { textOf } from "../../core/base/bytes.ts";
import type { Stat } from "../../core/wire/records.ts";
import { ErrorCode } from "../../core/wire/errors.ts";
import { ZkError } from "../../client/zk_error.ts";
import { argOf, type CommandContext, CommandError, type ShellCommand } from "../command.ts";
import { compareNames } from "../names.ts";
import type { ParsedOptions } from "../options.ts";
import { statLines } from "../texts.ts";
import { walk } from "../walk.ts";

/** Lines gathered before they are written: one write a line is slow for a large tree. */
const linesAtOnce = 500;

export function printStat(context: CommandContext, stat: Stat): void {
  context.out(statLines(stat).join("\n"));
}

/** The old form `ls path watch`: a second argument, whatever it says, asks for a watch. */
function wantsWatch(context: CommandContext, parsed: ParsedOptions, name: string, usage: string): boolean {
  if (parsed.args.length < 2) return parsed.flags.has("w");
  context.err(`'${name} path [watch]' has been deprecated. Please use '${name} ${usage}' instead.`);
  return true;
}

export const ls: ShellCommand = {
  name: "ls",
  usage: "[-s] [-w] [-R] path",
  about: "list children; -s with stat, -w leave a watch, -R the whole subtree",
  options: { flags: ["s", "w", "R"] },
  args: [1, 2],
  async run(context, parsed) {
    const path = argOf(parsed, 0);
    const watch = wantsWatch(context, parsed, "ls", "[-w] path");
    if (parsed.flags.has("R")) return await listAll(context, path, watch);
    await list(context, path, watch, parsed.flags.has("s"));
  },
};

export const ls2: ShellCommand = {
  name: "ls2",
  usage: "path [watch]",
  about: "older name of ls -s",
  args: [1, 2],
  hidden: true,
  async run(context, parsed) {
    context.err("'ls2' has been deprecated. Please use 'ls [-s] path' instead.");
    await list(context, argOf(parsed, 0), parsed.args.length > 1, true);
  },
};

async function list(context: CommandContext, path: string, watch: boolean, withStat: boolean): Promise<void> {
  const { children, stat } = await context.client.getChildren(path, { watch });
  context.out(`[${children.sort(compareNames).join(", ")}]`);
  if (withStat) printStat(context, stat);
}

async function listAll(context: CommandContext, start: string, watch: boolean): Promise<void> {
  let lines: string[] = [];
  for await (const path of walk(context.client, start, { watch })) {
    lines.push(path);
    if (lines.length < linesAtOnce) continue;
    context.out(lines.join("\n"));
    lines = [];
  }
  if (lines.length > 0) context.out(lines.join("\n"));
}

export const get: ShellCommand = {
  name: "get",
  usage: "[-s] [-w] [-b] [-x] path",
  about: "print data; -s with stat, -w leave a watch, -b as base64, -x as a hex table",
  options: { flags: ["s", "w", "b", "x"] },
  args: [1, 2],
  async run(context, parsed) {
    const watch = wantsWatch(context, parsed, "get", "[-s] [-w] path");
    const { data, stat } = await context.client.getData(argOf(parsed, 0), { watch });
    if (data === null) context.out("null");
    else if (parsed.flags.has("x")) context.out(hexTable(data));
    else if (parsed.flags.has("b")) context.out(base64Of(data));
    else context.out(textOf(data));
    if (parsed.flags.has("s")) printStat(context, stat);
  },
};

function base64Of(data: Uint8Array): string {
  let binary = "";
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Sixteen bytes a line, as numbers and as letters. */
function hexTable(data: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < data.length; at += 16) {
    const row = [...data.subarray(at, at + 16)];
    const numbers = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const letters = row.map((byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${numbers}  |${letters}|`);
  }
  return lines.join("\n");
}

export const stat: ShellCommand = {
  name: "stat",
  usage: "[-w] path",
  about: "print the stat; -w leave a watch",
  options: { flags: ["w"] },
  args: [1, 2],
  async run(context, parsed) {
    const path = argOf(parsed, 0);
    const watch = wantsWatch(context, parsed, "stat", "[-w] path");
    const found = await context.client.exists(path, { watch });
    if (found === null) throw new ZkError(ErrorCode.NoNode, path);
    printStat(context, found);
  },
};

export const sync: ShellCommand = {
  name: "sync",
  usage: "path",
  about: "wait until the server has caught up with what was committed before",
  args: [1, 1],
  async run(context, parsed) {
    try {
      await context.client.sync(argOf(parsed, 0));
    } catch (error) {
      if (!(error instanceof ZkError) || error.code === ErrorCode.BadArguments) throw error;
      throw new CommandError(`Sync has failed. rc=${error.code}`);
    }
    context.out("Sync is OK");
  },
};

export const getEphemerals: ShellCommand = {
  name: "getEphemerals",
  usage: "[prefix]",
  about: "list this session's ephemerals whose path begins so",
  args: [0, 1],
  async run(context, parsed) {
    const paths = await context.client.getEphemerals(parsed.args[0] ?? "/");
    context.out(`[${paths.sort(compareNames).join(", ")}]`);
  },
};

export const getAllChildrenNumber: ShellCommand = {
  name: "getAllChildrenNumber",
  usage: "path",
  about: "count everything below",
  args: [1, 1],
  async run(context, parsed) {
    context.out(String(await context.client.getAllChildrenNumber(argOf(parsed, 0))));
  },
};

export const config: ShellCommand = {
  name: "config",
  usage: "[-c] [-w] [-s]",
  about: "print the ensemble's configuration; -c as a connect string, -w leave a watch, -s with stat",
  options: { flags: ["c", "w", "s"] },
  args: [0, 0],
  async run(context, parsed) {
    const { data, stat } = await context.client.getConfig({ watch: parsed.flags.has("w") });
    const text = textOf(data ?? new Uint8Array(0));
    context.out(parsed.flags.has("c") ? connectStringOf(text) : text);
    if (parsed.flags.has("s")) printStat(context, stat);
  },
};

/** `<version> host:port,…`: one place a member, empty where it has no client address. */
function connectStringOf(text: string): string {
  const version = /^version=(.*)$/m.exec(text)?.[1] ?? "";
  const clients = [...text.matchAll(/^server\.\d+=[^;\n]*(?:;(.*))?$/gm)].map((match) => match[1] ?? "");
  return `${version} ${clients.join(",")}`;
}
