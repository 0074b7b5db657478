/**
 * Desk: a log and a tree table in memory, and what follows the one with the other, without a worker.
 */
import { clock } from "../../src/runtime/shared/clock.ts";
import { Leisure } from "../../src/storage/leisure.ts";
import { LogFile } from "../../src/storage/log_file.ts";
import { logSchema, treeSchema } from "../../src/storage/schema.ts";
import { fillFreshTree, TreeFile } from "../../src/storage/tree_file.ts";
import { sqlite } from "../support/runtime_storage.ts";

export interface Desk {
  readonly log: LogFile;
  readonly tree: TreeFile;
  readonly leisure: Leisure;
  close(): void;
}

export function makeDesk(retainTxns: number): Desk {
  const logDatabase = sqlite.open({ path: ":memory:", readonly: false, mustExist: false });
  logDatabase.exec(logSchema);
  const treeDatabase = sqlite.open({ path: ":memory:", readonly: false, mustExist: false });
  treeDatabase.exec(treeSchema);
  fillFreshTree(treeDatabase, "test");
  const log = new LogFile(logDatabase, "log");
  const tree = new TreeFile(treeDatabase, "tree");
  const options = {
    dataDir: "",
    dataLogDir: "",
    sync: "off",
    logRetainTxns: retainTxns,
    logRetainMs: 0,
    mustExist: false,
  } as const;
  const leisure = new Leisure(log, tree, options, clock);
  return {
    log,
    tree,
    leisure,
    close() {
      log.close();
      tree.close();
    },
  };
}
