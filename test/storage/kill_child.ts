/**
 * A process that writes as fast as it can and says on standard output what is durable, until it is
 * killed. Arguments: directory, first number, txns a batch.
 */
import { clock } from "../../src/runtime/shared/clock.ts";
import { worker } from "../../src/runtime/shared/worker.ts";
import { openStorage } from "../../src/storage/worker_storage.ts";
import { storyBatch, zxidStart } from "./powercut_story.ts";
import type { Zxid } from "../../src/core/base/zxid.ts";

const [directory = "", nextText = "1", countText = "1"] = process.argv.slice(2);
let next = Number(nextText);
const count = Number(countText);

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

storage.onFailure = (error) => {
  process.stdout.write(`failed ${error.message}\n`);
  process.exit(1);
};
storage.onDurable = (last) => {
  process.stdout.write(`durable ${last - zxidStart}\n`);
  storage.committed(last);
  append();
};
await storage.recover({ rows() {}, session() {}, treeComplete() {}, batch() {} });
process.stdout.write("open\n");
append();
