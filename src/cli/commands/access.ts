/**
 * Commands about who may: getAcl, setAcl, addauth, whoami.
 */
import { bytesOf } from "../../core/base/bytes.ts";
import { argOf, type ShellCommand } from "../command.ts";
import { versionOf } from "../options.ts";
import { aclLines, parseAcls } from "../texts.ts";
import { walk } from "../walk.ts";
import { printStat } from "./read.ts";

export const getAcl: ShellCommand = {
  name: "getAcl",
  usage: "[-s] path",
  about: "print who may do what; -s with stat",
  options: { flags: ["s"] },
  args: [1, 1],
  async run(context, parsed) {
    const { acls, stat } = await context.client.getAcl(argOf(parsed, 0));
    for (const line of aclLines(acls)) context.out(line);
    if (parsed.flags.has("s")) printStat(context, stat);
  },
};

export const setAcl: ShellCommand = {
  name: "setAcl",
  usage: "[-s] [-v version] [-R] path acl",
  about: "say who may do what, as scheme:id:perms,...; -R for all below, too",
  options: { flags: ["s", "R"], values: ["v"] },
  args: [2, 2],
  async run(context, parsed) {
    const { client } = context;
    const path = argOf(parsed, 0);
    const acls = parseAcls(argOf(parsed, 1));
    const version = versionOf(parsed);
    if (!parsed.flags.has("R")) {
      const stat = await client.setAcl(path, acls, version);
      if (parsed.flags.has("s")) printStat(context, stat);
      return;
    }
    for await (const below of walk(client, path)) {
      const stat = await client.setAcl(below, acls, version);
      if (parsed.flags.has("s")) printStat(context, stat);
    }
  },
};

export const addauth: ShellCommand = {
  name: "addauth",
  usage: "scheme auth",
  about: "add a credential to this connection, such as: addauth digest user:password",
  args: [2, 2],
  async run(context, parsed) {
    await context.client.addAuth(argOf(parsed, 0), bytesOf(argOf(parsed, 1)));
  },
};

export const whoami: ShellCommand = {
  name: "whoami",
  usage: "",
  about: "list the identities of this connection",
  args: [0, 0],
  async run(context) {
    context.out("Auth scheme: User");
    for (const { scheme, user } of await context.client.whoAmI()) context.out(`${scheme}: ${user}`);
  },
};
