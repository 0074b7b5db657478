/**
 * The files port, alike on both runtimes.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemCodeOf } from "../../src/runtime/ports.ts";
import { files } from "../../src/runtime/shared/files.ts";
import { withDirectory } from "../support/runtime_storage.ts";

function codeOf(call: () => void): string {
  try {
    call();
  } catch (error) {
    return systemCodeOf(error);
  }
  return "none";
}

test("files are written, read, listed, renamed and removed", async () => {
  await withDirectory((directory) => {
    const inner = join(directory, "a", "b");
    files.makeDirectory(inner);
    files.makeDirectory(inner);
    const path = join(inner, "f");
    files.write(path, "grüße");
    assert.equal(files.readText(path), "grüße");
    assert.deepEqual([...files.read(path).subarray(0, 2)], [0x67, 0x72]);
    files.writeAtomic(path, new Uint8Array([1, 2, 3]));
    assert.deepEqual([...files.read(path)], [1, 2, 3]);
    files.syncFile(path);
    files.syncDirectory(inner);
    assert.deepEqual(files.list(inner), ["f"]);
    files.rename(path, join(inner, "g"));
    assert.deepEqual(files.list(inner), ["g"]);
    assert.equal(files.info(join(inner, "g"))?.bytes, 3);
    assert.equal(files.info(inner)?.isDirectory, true);
    assert.ok(Math.abs((files.info(inner)?.modifiedMs ?? 0) - Date.now()) < 60_000);
    files.remove(join(directory, "a"));
    assert.equal(existsSync(inner), false);
    files.remove(join(directory, "a"));
  });
});

test("what is missing is null, what fails says why", async () => {
  await withDirectory((directory) => {
    const path = join(directory, "none");
    assert.equal(files.info(path), null);
    assert.equal(files.readTextMaybe(path), null);
    assert.equal(codeOf(() => files.readText(path)), "ENOENT");
    assert.equal(codeOf(() => files.readTextMaybe(directory)), "EISDIR");
    assert.equal(codeOf(() => files.writeAtomic(join(path, "x"), "")), "ENOENT");
    files.write(path, "");
    assert.equal(codeOf(() => files.makeDirectory(join(path, "x"))), "ENOTDIR");
  });
});

test("an atomic write that fails leaves nothing behind", async () => {
  await withDirectory((directory) => {
    files.makeDirectory(join(directory, "taken"));
    assert.notEqual(codeOf(() => files.writeAtomic(join(directory, "taken"), "x")), "none");
    assert.deepEqual(files.list(directory), ["taken"]);
  });
});

test("a path becomes absolute and free space is told", () => {
  assert.equal(files.absolute("/a/../b"), "/b");
  assert.ok(files.absolute("x").startsWith("/"));
  assert.ok((files.freeBytes("/") ?? 1) > 0);
  assert.equal(files.freeBytes("/no/such/place"), null);
});
