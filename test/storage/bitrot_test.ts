/**
 * No flipped bit of a data file is served as if it were right. ZOOLET_FLIPS says how many bits of each
 * file (3; 1,000 with ZOOLET_TEST_LONG), ZOOLET_SEED where to begin. bitrot_run.ts prints a table.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withDirectory } from "../support/runtime_storage.ts";
import { bitrot, rotFiles } from "./bitrot.ts";

const isLong = (process.env["ZOOLET_TEST_LONG"] ?? "") !== "";
const flips = Number(process.env["ZOOLET_FLIPS"] ?? (isLong ? 1000 : 3));
const only = isLong ? rotFiles : rotFiles.slice(0, 3);
const seed = Number(process.env["ZOOLET_SEED"] ?? 1);

for (const role of ["single", "whole log", "member"] as const) {
  test(`a flipped bit on the disk is noticed or harmless: ${role}`, { timeout: 3_600_000 }, async () => {
    await withDirectory((directory) => {
      let noticed = 0;
      for (const { counts, silent } of bitrot(directory, flips, seed, [role], only)) {
        assert.deepEqual(silent, []);
        for (const [outcome, count] of counts) noticed += outcome === "harmless" ? 0 : count;
      }
      // A harness that no flip reaches would pass as well.
      assert.ok(noticed > flips / 3, `${noticed} flips were noticed`);
    });
  });
}
