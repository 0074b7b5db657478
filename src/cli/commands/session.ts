/**
 * Commands about the shell and its session: connect, close, history, redo, help, version, quit.
 */
import { versionText } from "../../core/base/version.ts";
import { argOf, CommandError, type ShellCommand } from "../command.ts";
import { numberOf } from "../options.ts";

export const connect: ShellCommand = {
  name: "connect",
  usage: "host:port",
  about: "begin a new session, at other servers if told",
  args: [0, 1],
  offline: true,
  async run(context, parsed) {
    await context.shell.connect(parsed.args[0] ?? null);
  },
};

export const close: ShellCommand = {
  name: "close",
  usage: "",
  about: "end the session",
  args: [0, 0],
  async run(context) {
    await context.shell.close();
  },
};

export const history: ShellCommand = {
  name: "history",
  usage: "",
  about: "the last lines and their numbers",
  args: [0, 0],
  offline: true,
  run(context) {
    for (const line of context.shell.recentLines()) context.out(line);
  },
};

export const redo: ShellCommand = {
  name: "redo",
  usage: "cmdno",
  about: "run a line of the history again",
  args: [1, 1],
  offline: true,
  async run(context, parsed) {
    const text = argOf(parsed, 0);
    await context.shell.redo(numberOf(text, `Command index must be a number, found: ${text}`));
  },
};

export const help: ShellCommand = {
  name: "help",
  usage: "[command]",
  about: "this list, or about one command",
  args: [0, 1],
  offline: true,
  run(context, parsed) {
    const name = parsed.args[0];
    if (name === undefined) return context.out(context.shell.usage());
    const command = context.shell.commands.find((each) => each.name === name);
    if (command === undefined) throw new CommandError(`Command not found: ${name}\nhelp lists all commands`);
    context.out(`${`${command.name} ${command.usage}`.trim()}\n\t${command.about}`);
  },
};

export const version: ShellCommand = {
  name: "version",
  usage: "",
  about: "which shell this is",
  args: [0, 0],
  offline: true,
  run(context) {
    context.out(`ZooKeeper CLI version: ${versionText}`);
  },
};

export const quit: ShellCommand = {
  name: "quit",
  usage: "",
  about: "end the session and the shell",
  args: [0, 0],
  offline: true,
  run(context) {
    context.shell.quit();
  },
};

export const exit: ShellCommand = { ...quit, name: "exit", hidden: true };
