/**
 * Stories of three peers, told message by message, compared with the text beside this file.
 *
 * `ZOOLET_REWRITE=1 bun test test/transcripts` writes the texts anew; commit them once the difference
 * is understood.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import type { SeatClient } from "../core/zab/seat.ts";
import { SmallDisk } from "../core/zab/small_disk.ts";
import { createBody } from "../support/bodies.ts";
import { Stage } from "./stage.ts";

const here = dirname(fileURLToPath(import.meta.url));

const create = (stage: Stage, client: SeatClient, path: string) =>
  stage.ask(client, OpCode.Create, createBody(path, new TextEncoder().encode("x")), path);

/** Three members that serve; 3 leads. */
function three(stage = new Stage()): Stage {
  stage.start(1, 2, 3);
  stage.run(300);
  stage.beginsHere();
  return stage;
}

const stories: Readonly<Record<string, () => Stage>> = {
  "cold start": () => {
    const stage = new Stage();
    stage.start(1, 2, 3);
    stage.run(300);
    return stage;
  },

  "one create through a follower": () => {
    const stage = three();
    const client = stage.client(1);
    stage.run(20);
    create(stage, client, "/a");
    stage.run(20);
    create(stage, client, "/a");
    stage.run(20);
    return stage;
  },

  "the leader's disk falls silent": () => {
    const stage = three();
    const client = stage.client(1);
    stage.run(20);
    stage.silence(3);
    create(stage, client, "/a");
    stage.run(20);
    create(stage, client, "/b");
    stage.run(6000);
    const again = stage.client(1, client);
    stage.run(20);
    create(stage, again, "/c");
    stage.run(20);
    stage.heal();
    stage.run(300);
    return stage;
  },

  "the leader dies, its last proposal on one follower": () => {
    const stage = three();
    const client = stage.client(3);
    stage.run(20);
    stage.stall(3, 1);
    stage.stall(2, 3);
    create(stage, client, "/a");
    stage.run(20);
    stage.crash(3);
    stage.run(200);
    stage.heal();
    stage.start(3);
    stage.run(200);
    return stage;
  },

  "the leader dies, its last proposal on nobody else": () => {
    const stage = three();
    const client = stage.client(3);
    stage.run(20);
    stage.stall(3, 1);
    stage.stall(3, 2);
    create(stage, client, "/a");
    stage.run(20);
    stage.crash(3);
    stage.run(200);
    stage.heal();
    stage.start(3);
    stage.run(200);
    return stage;
  },

  "an old leader's last proposal, and others wrote meanwhile": () => {
    const stage = three();
    const client = stage.client(3);
    stage.run(20);
    stage.stall(3, 1);
    stage.stall(3, 2);
    create(stage, client, "/lost");
    stage.run(20);
    stage.crash(3);
    stage.run(200);
    stage.heal();
    const other = stage.client(1);
    stage.run(20);
    create(stage, other, "/kept");
    stage.run(20);
    stage.start(3);
    stage.run(200);
    return stage;
  },

  "an empty disk gets the tree": () => {
    const stage = three(new Stage({ ensemble: { historyBytesMax: 1, snapshotSizeFactor: 0 } }));
    const client = stage.client(3);
    stage.run(20);
    for (const path of ["/a", "/b", "/c"]) {
      create(stage, client, path);
      stage.run(20);
    }
    stage.crash(1);
    stage.run(20);
    stage.wipe(1);
    for (const sid of [2, 3]) stage.actor(sid).store.logFloor = stage.actor(sid).store.last;
    stage.start(1);
    stage.run(200);
    return stage;
  },

  "an observer": () => {
    const stage = three(new Stage({ observers: [4] }));
    const client = stage.client(3);
    stage.run(20);
    stage.start(4);
    stage.run(300);
    const other = stage.client(4);
    stage.run(20);
    create(stage, other, "/o");
    stage.run(20);
    create(stage, client, "/p");
    stage.run(20);
    return stage;
  },

  "a session moves": () => {
    const stage = three();
    const client = stage.client(1);
    stage.run(20);
    create(stage, client, "/a");
    stage.run(20);
    const moved = stage.client(2, client);
    stage.run(20);
    create(stage, moved, "/b");
    stage.run(20);
    create(stage, client, "/late");
    stage.run(20);
    return stage;
  },

  "a follower that promised a later epoch": () => {
    const stage = new Stage();
    stage.start(2, 3);
    stage.run(400);
    stage.beginsHere();
    const store = new SmallDisk();
    store.accepted = 7;
    stage.disk(1, "it accepted epoch 7 and never followed anybody", store);
    stage.start(1);
    stage.run(5000);
    stage.crash(3);
    stage.run(1500);
    return stage;
  },

  "an epoch has no zxids left": () => {
    const stage = three(new Stage({ ensemble: { counterMax: 3 } }));
    const client = stage.client(1);
    stage.run(20);
    create(stage, client, "/a");
    stage.run(20);
    create(stage, client, "/b");
    stage.run(300);
    return stage;
  },
};

for (const [name, play] of Object.entries(stories)) {
  test(name, () => {
    const file = join(here, `${name.replaceAll(/[,']/g, "").replaceAll(" ", "_")}.txt`);
    const told = play().text;
    if (process.env["ZOOLET_REWRITE"] === "1") writeFileSync(file, told);
    const expected = existsSync(file) ? readFileSync(file, "utf8") : "";
    const lines = told.split("\n");
    const at = expected.split("\n").findIndex((line, i) => line !== lines[i]);
    const about = lines.slice(Math.max(0, at - 5), at + 5).join("\n");
    assert.equal(told, expected, `${name}.txt differs from line ${at + 1}; now it is told like this:\n${about}`);
  });
}
