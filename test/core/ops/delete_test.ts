/** Delete, and the paths that look like others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import {
  writeCreateRequest,
  writeDeleteRequest,
  writeWatchableRequest,
} from "../../../src/core/wire/requests.ts";
import { Driver } from "../peer/driver.ts";

test("a path with an empty component names nothing that could be deleted", () => {
  const driver = new Driver();
  const line = driver.connect();
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/x", null, aclOpen, 0));
  for (const path of ["//x", "/x/", "//", "/x//", "///x", "//zookeeper"]) {
    const { err } = line.ask(OpCode.Delete, (w) => writeDeleteRequest(w, path, -1));
    assert.equal(err, ErrorCode.NoNode, path);
  }
  assert.equal(line.ask(OpCode.Exists, (w) => writeWatchableRequest(w, "/x", false)).err, 0);
});

test("the four reserved znodes stay", () => {
  const line = new Driver().connect();
  for (const path of ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "", "x", "/a\0"]) {
    const { err } = line.ask(OpCode.Delete, (w) => writeDeleteRequest(w, path, -1));
    assert.equal(err, ErrorCode.BadArguments, JSON.stringify(path));
  }
});
