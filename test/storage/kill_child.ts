/**
 * A process that writes as fast as it can and says on standard output what is durable, until it is
 * killed. Now and then it stores epochs, writes what it has to truncate again, or takes a snapshot
 * in place of all. Arguments: directory, first number, txns a batch, number of the epochs.
 */
import { clock } from "../../src/runtime/shared/clock.ts";
import { worker } from "../../src/runtime/shared/worker.ts";
import type { StoredCommand } from "../../src/storage/messages.ts";
import { openStorage } from "../../src/storage/worker_storage.ts";
import { storyBatch, storyEpochs, storyRows, zxidStart } from "./powercut_story.ts";
import type { Zxid } from "../../src/core/base/zxid.ts";

const [directory = "", nextText = "1", countText = "1", epochsText = "0"] = process.argv.slice(2);
let next = Number(nextText);
const count = Number(countText);
let epochs = Number(epochsText);
let turn = 0;

const storage = openStorage({ worker, clock }, {
  // KILL_DATA names one directory for both.
  dataDir: process.env["KILL_DATA"] ?? `${directory}/data`,
  dataLogDir: process.env["KILL_DATA"] ?? `${directory}/log`,
  sync: "full",
  logRetainTxns: 50,
  logRetainMs: 0,
  mustExist: false,
});

function append(): void {
  const { bytes, first, last } = storyBatch(next, count);
  storage.append(bytes, first as Zxid, last as Zxid, count);
  next += count;
}

function execute(command: StoredCommand): Promise<void> {
  return new Promise((resolve) => {
    storage.onStored = resolve;
    storage.execute(command);
  });
}

async function replace(): Promise<void> {
  await execute({ kind: "replaceBegin" });
  for (const bytes of storyRows(next)) await execute({ kind: "replaceRows", bytes });
  await execute({ kind: "replaceEnd", zxid: (zxidStart + next) as Zxid });
  process.stdout.write(`durable ${next}\n`);
  next++;
}

async function more(): Promise<void> {
  turn++;
  if (turn % 4 === 1) {
    await execute({ kind: "epochs", ...storyEpochs(epochs + 1) });
    process.stdout.write(`epochs ${++epochs}\n`);
  }
  if (turn % 9 === 2) await replace();
  if (turn % 6 !== 3) return append();
  wrong = true;
  const { bytes, first, last } = storyBatch(next, 30, 0);
  storage.append(bytes, first as Zxid, last as Zxid, 30, (zxidStart + next - 1) as Zxid);
}

let wrong = false;
storage.onFailure = (error) => {
  process.stdout.write(`failed ${error.message}\n`);
  process.exit(1);
};
storage.onDurable = async (last) => {
  if (wrong) {
    wrong = false;
    await execute({ kind: "truncate", after: (zxidStart + next - 1) as Zxid });
  } else {
    process.stdout.write(`durable ${last - zxidStart}\n`);
    storage.committed(last);
  }
  await more();
};
await storage.recover({ rows() {}, session() {}, treeComplete() {}, batch() {} });
process.stdout.write("open\n");
// What a killed one left may have to go again.
if (next > 1) await execute({ kind: "truncate", after: (zxidStart + next - 1) as Zxid });
append();
