/**
 * What `import … from "node:test"` means under `scripts/test` on Deno, by way of `import_map.json`.
 */
import * as real from "node:test";
import { recorded } from "./recorder.ts";

export const { after, afterEach, before, beforeEach, mock } = real;
export const { test, it, describe, suite } = recorded(real);
export default test;
