/**
 * Ensembles from seeds, every day as many as fit the time; with `--long` for almost two minutes.
 *
 * The seeds of one day are not those of the next, so that over the weeks all are met; a failure
 * names the command that repeats it wherever it is run.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import process from "node:process";
import { repeatCommand, runSeeds } from "./simulate.ts";

const long = process.env["ZOOLET_TEST_LONG"] === "1";
const msMax = long ? 110_000 : 8_000;

function claim(from: number, share: number): void {
  const { failures, seeds, coverage } = runSeeds({
    from,
    seeds: 1_000_000,
    peers: "mix",
    plant: "none",
    strict: true,
    failuresMax: 1,
    msMax: msMax * share,
    tell: null,
  });
  const [failure] = failures;
  assert.equal(
    failure,
    undefined,
    failure === undefined
      ? ""
      : `seed ${failure.seed}: ${failure.message}\nRepeat it: ${repeatCommand(failure)}`,
  );
  // A busy machine does a fraction of what an idle one does.
  assert.ok(seeds > 5, `only ${seeds} seeds fit`);
  for (
    const what of ["leaders established", "crashes", "txns committed", "reads answered", "sessions moved"]
  ) {
    assert.ok((coverage.counts.get(what) ?? 0) > 0, `${what} was met`);
  }
}

test("ensembles keep every promise through faults and make progress after them, first seeds", {
  timeout: 150_000,
}, () => {
  claim(1, 0.5);
});

test("ensembles keep every promise through faults and make progress after them, seeds of the day", {
  timeout: 150_000,
}, () => {
  claim(1_000_000 + Math.floor(Date.now() / 86_400_000) * 10_000, 0.5);
});
