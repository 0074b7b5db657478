/**
 * Loaded before a test file under `scripts/test` on Bun: `node:test` is then the recorded one.
 */
import { mock } from "bun:test";
import * as real from "node:test";
import { recorded } from "./recorder.ts";

// The functions are taken now: later the module's own exports are ours.
const ours = recorded({ test: real.test, describe: real.describe });
mock.module("node:test", () => ({ ...real, ...ours, default: ours.test }));
