/**
 * Lock files: Bun installs by one and Deno by the other, and a clone must get the same code from both.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./source.ts";

const bunLock = readFileSync(join(root, "bun.lock"), "utf8");
const denoLock = readFileSync(join(root, "deno.lock"), "utf8");
const integrity = "sha512-[A-Za-z0-9+/]+={0,2}";

test("bun.lock and deno.lock hold the same packages, byte for byte", () => {
  const ofBun = [...bunLock.matchAll(new RegExp(`: \\["(@?[^"@]+@[^"]+)", .*"(${integrity})"\\]`, "g"))]
    .map(([, id, hash]) => `${id} ${hash}`);
  // Behind `_` Deno names the peers that a package was put together with.
  const ofDeno = [
    ...denoLock.matchAll(new RegExp(`"(@?[^"@]+@[^"_]+)[^"]*": \\{\\s*"integrity": "(${integrity})"`, "g")),
  ]
    .map(([, id, hash]) => `${id} ${hash}`);
  assert.ok(ofBun.length > 10, `only ${ofBun.length} packages found in bun.lock`);
  assert.deepEqual(ofDeno.sort(), ofBun.sort());
});

test("lock files name no host", () => {
  for (const lock of [bunLock, denoLock]) assert.doesNotMatch(lock, /https?:|tarball|registry/);
});

test("package.json names every version to the digit, and none of ours runs a script when installed", () => {
  const text = readFileSync(join(root, "package.json"), "utf8");
  const { dependencies, devDependencies, scripts } = JSON.parse(text) as Record<
    string,
    Record<string, string>
  >;
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    assert.match(version, /^(?:npm:[a-z-]+@)?\d+\.\d+\.\d+$/, name);
  }
  for (const name of ["preinstall", "install", "postinstall", "prepare"]) {
    assert.equal(scripts?.[name], undefined);
  }
});
