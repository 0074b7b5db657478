/**
 * The process whose writes are recorded: three lives of a storage in one directory.
 *
 * SQLite's calls are seen by the preloaded library. Bun's own file calls are not, for they do not go
 * through libc; so the files port is wrapped and records renames, removals and syncs itself. On Deno
 * both record them, which changes nothing. Acknowledgements go into the same trace, in order.
 *
 * Arguments: directory, trace, seed; and `again` for one more life that only appends, behind what is there.
 */
import * as fs from "node:fs";
import { clock as realClock } from "../../src/runtime/shared/clock.ts";
import { files } from "../../src/runtime/shared/files.ts";
import type { FilesPort } from "../../src/runtime/ports.ts";
import { StorageCore } from "../../src/storage/storage_core.ts";
import type { Zxid } from "../../src/core/base/zxid.ts";
import type { FromWorker, StoredCommand } from "../../src/storage/messages.ts";
import { Random } from "../support/random.ts";
import { isBun, sqlite } from "../support/runtime_storage.ts";
import { driveCore, storyBatch, StoryClock, storyEpochs, storyRows, zxidStart } from "./powercut_story.ts";

const [directory = "", tracePath = "", seedText = "1", again = ""] = process.argv.slice(2);
const trace = fs.openSync(tracePath, "a");
const encoder = new TextEncoder();

function record(
  kind: string,
  inode: number,
  offset: number,
  name = "",
  data: string | Uint8Array = "",
): void {
  const nameBytes = encoder.encode(name);
  const dataBytes = typeof data === "string" ? encoder.encode(data) : data;
  const bytes = new Uint8Array(25 + nameBytes.length + dataBytes.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = kind.charCodeAt(0);
  view.setBigUint64(1, BigInt(inode), true);
  view.setBigInt64(9, BigInt(offset), true);
  view.setUint32(17, nameBytes.length, true);
  view.setUint32(21, dataBytes.length, true);
  bytes.set(nameBytes, 25);
  bytes.set(dataBytes, 25 + nameBytes.length);
  fs.writeSync(trace, bytes);
}

const filesRecorded: FilesPort = {
  ...files,
  makePrivate(path) {
    const there = files.info(path) !== null;
    files.makePrivate(path);
    // The library sees it on Deno, and two files of one name would be one too many.
    if (isBun && !there) record("C", fs.statSync(path).ino, 0, path);
  },
  openInPlace(path) {
    const file = files.openInPlace(path);
    const { ino } = fs.statSync(path);
    return {
      ...file,
      write(bytes, at) {
        file.write(bytes, at);
        record("W", ino, at, "", bytes);
      },
      sync() {
        file.sync();
        record("S", ino, 0);
      },
    };
  },
  rewrite(path) {
    files.rewrite(path);
    const { ino } = fs.statSync(path);
    record("W", ino, 0, "", files.read(path));
    record("S", ino, 0);
  },
  rename(from, to) {
    files.rename(from, to);
    record("R", 0, 0, from, to);
  },
  remove(path) {
    const there = files.info(path) !== null;
    files.remove(path);
    if (there) record("U", 0, 0, path);
  },
  syncDirectory(path) {
    files.syncDirectory(path);
    record("D", 0, 0);
  },
  syncFile(path) {
    files.syncFile(path);
    record("S", fs.statSync(path).ino, 0);
  },
};

const random = new Random(Number(seedText));
const options = {
  dataDir: directory,
  dataLogDir: directory,
  sync: "full",
  logRetainTxns: 100,
  logRetainMs: 0,
  mustExist: false,
  serverId: 3,
} as const;
let next = 1;
let epochs = 0;
let realLast = 0;
let stored: () => void = () => {};

function hear(message: FromWorker): void {
  if (message.kind === "recovered" && again !== "") next = Math.max(1, message.zxidLast - zxidStart + 1);
  if (message.kind === "durable") record("A", 0, Math.min(message.last - zxidStart, realLast));
  if (message.kind === "stored") stored();
  if (message.kind === "failed") {
    record("F", 0, 0, message.code, message.message);
    process.stdout.write(`failed ${message.code} ${message.message}\n`);
    process.exit(0);
  }
}

for (let life = 0; life < 3; life++) {
  const clock = new StoryClock();
  const send = driveCore((post) => new StorageCore({ sqlite, files: filesRecorded, clock }, post), hear);
  const execute = (command: StoredCommand, then: () => void = () => {}): void => {
    stored = then;
    send({ kind: "execute", command });
  };
  const append = (count: number, real: number): void => {
    const { bytes, first, last } = storyBatch(next, count, real);
    realLast = next + real - 1;
    const committed = real === count ? last : zxidStart + next - 1;
    send({ kind: "append", bytes, first, last, txns: count, committed });
    next += real;
  };
  const replace = (): void => {
    const upTo = next - 1 + random.below(150);
    execute({ kind: "replaceBegin" });
    for (const bytes of storyRows(upTo)) execute({ kind: "replaceRows", bytes });
    execute({ kind: "replaceSessions", list: new Int32Array([1, 2, 3000]) });
    if (random.percent(20)) return send({ kind: "reload" });
    execute({ kind: "replaceEnd", zxid: (zxidStart + upTo) as Zxid }, () => {
      record("A", 0, upTo);
      record("X", 0, 0);
    });
    next = upTo + 1;
  };
  send({ kind: "open", options });
  if (again !== "") {
    for (let i = 0; i < 20; i++) append(1, 1);
    break;
  }
  const appends = 30 + random.below(60);
  for (let i = 0; i < appends; i++) {
    const count = random.percent(10) ? 200 : 1 + random.below(8);
    append(count, count);
    if (random.percent(15)) clock.advance(random.percent(50) ? 400 : 2500);
    if (random.percent(6)) {
      const index = ++epochs;
      execute({ kind: "epochs", ...storyEpochs(index) }, () => record("E", 0, index));
    }
    if (random.percent(8)) {
      record("X", 0, 1);
      append(20, random.below(10));
      if (random.percent(30)) clock.advance(2500);
      if (random.percent(30)) replace();
      const after = (zxidStart + next - 1) as Zxid;
      execute({ kind: "truncate", after }, () => record("X", 0, 0));
    }
    if (random.percent(3)) replace();
  }
  if (life < 2) send({ kind: "close" });
}
process.stdout.write(`done ${next - 1} in ${Math.round(realClock.monotonicMs())} ms\n`);
process.exit(0);
