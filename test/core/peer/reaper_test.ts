/** Containers and TTLs: what goes, when, and how fast. server-semantics 3.11. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import {
  writeCreateRequest,
  writeCreateTtlRequest,
  writeDeleteRequest,
  writeSetDataRequest,
} from "../../../src/core/wire/requests.ts";
import { Driver, type DriverLine, type DriverOptions } from "./driver.ts";

const checkMs = 1000;

function start(reaper: Partial<DriverOptions["reaper"]> = {}): { driver: Driver; line: DriverLine } {
  const driver = new Driver({ reaper: { checkMs, perMinuteMax: 60_000, neverUsedMs: 0, ...reaper } });
  return { driver, line: driver.connect(40_000) };
}

function container(line: DriverLine, path: string): void {
  line.ask(OpCode.CreateContainer, (w) => writeCreateRequest(w, path, null, aclOpen, 4));
}

function child(line: DriverLine, path: string): void {
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, path, null, aclOpen, 0));
}

function remove(line: DriverLine, path: string): void {
  line.ask(OpCode.Delete, (w) => writeDeleteRequest(w, path, -1));
}

function later(driver: Driver, ms: number): void {
  for (let at = 0; at < ms; at += 500) {
    driver.tick(500);
    driver.settle();
  }
}

const has = (driver: Driver, path: string) => driver.peer.tree.findText(path) !== 0;

test("a container goes when it was used and is empty; one never used stays", () => {
  const { driver, line } = start();
  for (const path of ["/used", "/fresh", "/full"]) container(line, path);
  child(line, "/used/a");
  child(line, "/full/a");
  later(driver, 3000);
  assert.deepEqual(["/used", "/fresh", "/full"].map((path) => has(driver, path)), [true, true, true]);
  remove(line, "/used/a");
  later(driver, 3000);
  assert.deepEqual(["/used", "/fresh", "/full"].map((path) => has(driver, path)), [false, true, true]);
  assert.equal(driver.peer.applier.digestMismatches, 0);
});

test("one never used goes as well where that is asked for", () => {
  const { driver, line } = start({ neverUsedMs: 5000 });
  container(line, "/fresh");
  later(driver, 4500);
  assert.equal(has(driver, "/fresh"), true);
  later(driver, 3000);
  assert.equal(has(driver, "/fresh"), false);
});

test("a TTL counts from the last setData, and never takes one with children", () => {
  const { driver, line } = start();
  for (const path of ["/t", "/u", "/v"]) {
    line.ask(OpCode.CreateTtl, (w) => writeCreateTtlRequest(w, path, null, aclOpen, 5, 4000));
  }
  child(line, "/v/c");
  later(driver, 3000);
  line.ask(OpCode.SetData, (w) => writeSetDataRequest(w, "/u", null, -1));
  later(driver, 3000);
  assert.deepEqual(["/t", "/u", "/v"].map((path) => has(driver, path)), [false, true, true]);
  later(driver, 3000);
  assert.deepEqual(["/u", "/v"].map((path) => has(driver, path)), [false, true]);
});

test("a container that gets a child while its deletion is due stays", () => {
  const { driver, line } = start();
  container(line, "/c");
  child(line, "/c/a");
  remove(line, "/c/a");
  line.send(OpCode.Create, (w) => writeCreateRequest(w, "/c/b", null, aclOpen, 0));
  later(driver, 3000);
  assert.deepEqual([has(driver, "/c"), has(driver, "/c/b")], [true, true]);
});

test("the pace is one of minutes, however often the shell ticks", () => {
  for (const tickMs of [100, 1000, 2000]) {
    const { driver, line } = start({ perMinuteMax: 60 });
    for (let i = 0; i < 100; i++) {
      container(line, `/c${i}`);
      child(line, `/c${i}/a`);
      remove(line, `/c${i}/a`);
    }
    const before = driver.peer.tree.liveCount;
    for (let ms = 0; ms < 20_000; ms += tickMs) {
      driver.tick(tickMs);
      driver.settle();
    }
    const gone = before - driver.peer.tree.liveCount;
    assert.ok(gone >= 17 && gone <= 22, `${gone} in 20 s with ticks of ${tickMs} ms`);
  }
});
