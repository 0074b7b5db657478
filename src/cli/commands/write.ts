/**
 * Commands that write: create, set, delete, deleteall, rmr, reconfig.
 */
import { ZkError } from "../../client/zk_error.ts";
import { bytesOf, textOf } from "../../core/base/bytes.ts";
import { ttlMsMax } from "../../core/base/limits.ts";
import { ErrorCode } from "../../core/wire/errors.ts";
import { CreateMode } from "../../core/wire/opcodes.ts";
import { argOf, type CommandContext, CommandError, type ShellCommand } from "../command.ts";
import { numberOf, type ParsedOptions, versionOf } from "../options.ts";
import { parseAcls } from "../texts.ts";
import { walk } from "../walk.ts";
import { printStat } from "./read.ts";

export const create: ShellCommand = {
  name: "create",
  usage: "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
  about: "make a znode; -s sequential, -e ephemeral, -c container, -t with a time to live in ms",
  options: { flags: ["s", "e", "c"], values: ["t"] },
  args: [1, 3],
  async run(context, parsed) {
    const [path = "", data, acl] = parsed.args;
    const { mode, ttlMs } = modeOf(parsed);
    const made = await context.client.create(path, data === undefined ? null : bytesOf(data), {
      mode,
      ...(acl === undefined ? {} : { acls: parseAcls(acl) }),
      ...(ttlMs === undefined ? {} : { ttlMs }),
    }).catch((error: unknown) => {
      if (!(error instanceof ZkError) || error.code !== ErrorCode.Unimplemented) throw error;
      // The bare code tells nobody that it is a matter of the server's settings.
      const hint = ttlMs === undefined ? "" : "\nTTL znodes need extendedTypesEnabled=true at the server";
      throw new CommandError(`KeeperErrorCode = Unimplemented for ${path}${hint}`);
    });
    context.err(`Created ${made.path}`);
  },
};

function modeOf(parsed: ParsedOptions): { readonly mode: number; readonly ttlMs?: number } {
  const isSequential = parsed.flags.has("s");
  const isEphemeral = parsed.flags.has("e");
  const isContainer = parsed.flags.has("c");
  const ttlText = parsed.values.get("t");
  if (isContainer && (isEphemeral || isSequential)) {
    throw new CommandError(
      "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
    );
  }
  if (ttlText !== undefined) {
    const ttlMs = numberOf(ttlText, "-t argument must be a long value");
    if (isEphemeral) throw new CommandError("TTLs cannot be used with Ephemeral znodes");
    if (isContainer) throw new CommandError("TTLs cannot be used with Container znodes");
    if (ttlMs <= 0 || ttlMs > ttlMsMax) {
      throw new CommandError(`ttl must be positive and cannot be larger than: ${ttlMsMax}`);
    }
    return { mode: isSequential ? CreateMode.PersistentSequentialTtl : CreateMode.PersistentTtl, ttlMs };
  }
  if (isContainer) return { mode: CreateMode.Container };
  if (isEphemeral) return { mode: isSequential ? CreateMode.EphemeralSequential : CreateMode.Ephemeral };
  return { mode: isSequential ? CreateMode.PersistentSequential : CreateMode.Persistent };
}

export const set: ShellCommand = {
  name: "set",
  usage: "[-s] [-v version] [-b] path data",
  about: "write data; -s then print the stat, -v only at this version, -b data is base64",
  options: { flags: ["s", "b"], values: ["v"] },
  args: [2, 3],
  async run(context, parsed) {
    const text = argOf(parsed, 1);
    const data = parsed.flags.has("b") ? bytesOfBase64(text) : bytesOf(text);
    const version = versionBehind(
      context,
      parsed,
      2,
      "set path data [version]",
      "set [-v version] path data",
    );
    const stat = await context.client.setData(argOf(parsed, 0), data, version);
    if (parsed.flags.has("s")) printStat(context, stat);
  },
};

/** The version as 3.4 took it, behind the arguments: who writes it means a condition. */
function versionBehind(
  context: CommandContext,
  parsed: ParsedOptions,
  index: number,
  form: string,
  better: string,
): number {
  const text = parsed.args[index];
  if (text === undefined) return versionOf(parsed);
  context.err(`'${form}' has been deprecated. Please use '${better}' instead.`);
  const given = parsed.values.get("v") ?? text;
  return numberOf(given, `The version must be a whole number, found: ${given}`);
}

function bytesOfBase64(text: string): Uint8Array {
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  if (!isBase64) throw new CommandError("-b must be used with data in base64, padding included");
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

export const delete_: ShellCommand = {
  name: "delete",
  usage: "[-v version] path",
  about: "delete a znode without children; -v only at this version",
  options: { values: ["v"] },
  args: [1, 2],
  async run(context, parsed) {
    const version = versionBehind(context, parsed, 1, "delete path [version]", "delete [-v version] path");
    await context.client.delete(argOf(parsed, 0), version);
  },
};

export const deleteall: ShellCommand = {
  name: "deleteall",
  usage: "path [-b batch size]",
  about: "delete a znode and all below it; -b how many deletes are on the way at once",
  options: { values: ["b"] },
  args: [1, 1],
  run: deleteSubtree,
};

export const rmr: ShellCommand = {
  name: "rmr",
  usage: "path",
  about: "older name of deleteall",
  args: [1, 1],
  hidden: true,
  async run(context, parsed) {
    context.err("The command 'rmr' has been deprecated. Please use 'deleteall' instead.");
    await deleteSubtree(context, parsed);
  },
};

const batchDefault = 1000;

async function deleteSubtree(context: CommandContext, parsed: ParsedOptions): Promise<void> {
  const batchText = parsed.values.get("b");
  const batch = batchText === undefined
    ? batchDefault
    : numberOf(batchText, "-b must be followed by a whole number");
  if (batch < 1) throw new CommandError("-b must be at least 1");
  const { client } = context;
  const start = argOf(parsed, 0);
  // The server's own znodes cannot go, and the root neither.
  const isRoot = start === "/" && !context.shell.hasChroot;
  const paths: string[] = [];
  for await (const path of walk(client, start, { enter: (path) => !isRoot || path !== "/zookeeper" })) {
    paths.push(path);
  }
  if (isRoot) paths.shift();
  let failed = 0;
  const gone = (error: unknown): void => {
    if (!(error instanceof ZkError)) throw error;
    if (error.code !== ErrorCode.NoNode) failed++;
  };
  // Backwards, children come before their parents, and one session's writes keep their order.
  paths.reverse();
  for (let at = 0; at < paths.length; at += batch) {
    await Promise.all(paths.slice(at, at + batch).map((path) => client.delete(path).catch(gone)));
  }
  if (failed > 0) throw new CommandError("Failed to delete some node(s) in the subtree!");
}

export const reconfig: ShellCommand = {
  name: "reconfig",
  usage: "[-s] [-v version] [-members serverID=host:port1:port2;port3[,...]*] | " +
    "[-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]",
  about: "change the members of an ensemble",
  options: { flags: ["s"], values: ["v", "members", "add", "remove", "file"] },
  args: [0, 0],
  async run(context, parsed) {
    const value = (name: string): string | undefined => parsed.values.get(name)?.toLowerCase();
    const members = value("members");
    const joining = value("add");
    const leaving = value("remove");
    if (parsed.values.has("file")) {
      throw new CommandError(
        "-file is not read by this shell: give its server lines to -members, with commas between",
      );
    }
    if (members !== undefined && (joining !== undefined || leaving !== undefined)) {
      throw new CommandError(
        "Can't use -file or -members together with -add or -remove " +
          "(mixing incremental and non-incremental modes is not allowed)",
      );
    }
    if (members === undefined && joining === undefined && leaving === undefined) {
      throw new CommandError("One of -members, -add and -remove is needed", { usage: true });
    }
    const versionText = parsed.values.get("v");
    const configId = versionText === undefined ? -1 : Number.parseInt(versionText, 16);
    if (Number.isNaN(configId)) {
      throw new CommandError("-v must be followed by a long (configuration version)");
    }
    const { data, stat } = await context.client.reconfig({
      configId,
      ...(members === undefined ? {} : { members }),
      ...(joining === undefined ? {} : { joining }),
      ...(leaving === undefined ? {} : { leaving }),
    });
    context.out(`Committed new configuration:\n${textOf(data ?? new Uint8Array(0))}`);
    if (parsed.flags.has("s")) printStat(context, stat);
  },
};
