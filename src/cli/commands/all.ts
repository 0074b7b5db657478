/**
 * All shell commands, sorted by name as the usage lists them.
 */
import type { ShellCommand } from "../command.ts";
import { addauth, getAcl, setAcl, whoami } from "./access.ts";
import { delquota, listquota, setquota } from "./quota.ts";
import { config, get, getAllChildrenNumber, getEphemerals, ls, ls2, stat, sync } from "./read.ts";
import { close, connect, exit, help, history, quit, redo, version } from "./session.ts";
import { addWatch, printwatches, removewatches } from "./watch.ts";
import { create, delete_, deleteall, reconfig, rmr, set } from "./write.ts";

const list: readonly ShellCommand[] = [
  addWatch,
  addauth,
  close,
  config,
  connect,
  create,
  delete_,
  deleteall,
  delquota,
  exit,
  get,
  getAcl,
  getAllChildrenNumber,
  getEphemerals,
  help,
  history,
  listquota,
  ls,
  ls2,
  printwatches,
  quit,
  reconfig,
  redo,
  removewatches,
  rmr,
  set,
  setAcl,
  setquota,
  stat,
  sync,
  version,
  whoami,
];

export const commands: readonly ShellCommand[] = list;

export const commandByName: ReadonlyMap<string, ShellCommand> = new Map(
  list.map((each) => [each.name, each]),
);
