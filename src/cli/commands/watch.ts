/**
 * Commands about watches: addWatch, removewatches, printwatches.
 */
import { AddWatchMode, WatcherType } from "../../core/wire/opcodes.ts";
import { argOf, CommandError, type ShellCommand } from "../command.ts";

const modes: ReadonlyMap<string, number> = new Map([
  ["PERSISTENT", AddWatchMode.Persistent],
  ["PERSISTENT_RECURSIVE", AddWatchMode.PersistentRecursive],
]);

export const addWatch: ShellCommand = {
  name: "addWatch",
  usage:
    "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE",
  about: "leave a watch that stays",
  options: { values: ["m"] },
  args: [1, 1],
  async run(context, parsed) {
    const mode = modes.get((parsed.values.get("m") ?? "PERSISTENT_RECURSIVE").toUpperCase());
    if (mode === undefined) throw new CommandError("", { usage: true });
    await context.client.addWatch(argOf(parsed, 0), mode);
  },
};

export const removewatches: ShellCommand = {
  name: "removewatches",
  usage: "path [-c|-d|-a|-p|-r] [-l]",
  about:
    "take watches away; -c of children, -d of data, -p persistent, -r recursive, -a any; -l even if only here",
  options: { flags: ["c", "d", "a", "p", "r", "l"] },
  args: [1, 1],
  async run(context, parsed) {
    const { flags } = parsed;
    const type = flags.has("c")
      ? WatcherType.Children
      : flags.has("d")
      ? WatcherType.Data
      : flags.has("p")
      ? WatcherType.Persistent
      : flags.has("r")
      ? WatcherType.PersistentRecursive
      : WatcherType.Any;
    await context.client.removeWatches(argOf(parsed, 0), type, { local: flags.has("l") });
  },
};

export const printwatches: ShellCommand = {
  name: "printwatches",
  usage: "on|off",
  about: "whether watch events are printed",
  args: [0, 1],
  offline: true,
  run(context, parsed) {
    const choice = parsed.args[0];
    if (choice === undefined) {
      return context.out(`printwatches is ${context.shell.printWatches ? "on" : "off"}`);
    }
    context.shell.printWatches = choice === "on";
  },
};
