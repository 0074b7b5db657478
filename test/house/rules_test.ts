/**
 * The house rules that a machine can see: who may name the runtime, what the core never does, which
 * room may import from which.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blanked, placesOf, type Source, sources } from "./source.ts";

const all = sources("src");
const core = all.filter(({ path }) => path.startsWith("src/core/"));
const places = (files: readonly Source[], pattern: RegExp) =>
  files.flatMap((file) => placesOf(file, pattern));

describe("house", () => {
  test("only src/runtime names Bun, Deno and their modules", () => {
    const others = all.filter(({ path }) => !path.startsWith("src/runtime/"));
    assert.deepEqual(places(others, /\b(?:Bun|Deno)\s*\./), []);
    const named = others.flatMap(({ path, imports }) =>
      imports.filter((from) => /^(?:node|bun):/.test(from)).map((from) => `${path} imports ${from}`)
    );
    assert.deepEqual(named, []);
  });

  test("the core never waits, asks the time, rolls dice or does I/O", () => {
    const waits = /\b(?:await|async|Promise|setTimeout|setInterval|setImmediate|queueMicrotask)\b/;
    const time = /\b(?:Date|performance|Temporal)\b/;
    const chance = /\bMath\s*\.\s*random\b|\bcrypto\b/;
    const inputOutput = /\b(?:fetch|WebSocket|Worker|Atomics|console)\b|\bprocess\s*\.|\bglobalThis\b/;
    for (const pattern of [waits, time, chance, inputOutput]) assert.deepEqual(places(core, pattern), []);
  });

  // `any` itself is found by `deno lint`; here is looked for the ways around it.
  test("no type escapes: no ts-ignore, no any that lint was told to pass over", () => {
    const escapes = all.filter(({ text }) =>
      /@ts-(?:ignore|nocheck|expect-error)|lint-ignore.*\bno-explicit-any|lint-ignore-file/.test(text)
    );
    assert.deepEqual(escapes.map(({ path }) => path), []);
  });

  test("no enums, no parameter properties, no namespaces", () => {
    assert.deepEqual(places(all, /^\s*(?:export\s+)?(?:const\s+)?(?:enum|namespace)\s+\w/m), []);
  });

  test("a file imports from its own room or a lower floor", () => {
    const wrong = all.flatMap((file) => file.imports.flatMap((from) => importFault(file.path, from) ?? []));
    assert.deepEqual(wrong, []);
  });

  test("files are snake_case.ts and open with a comment", () => {
    const misnamed = all.filter(({ path }) => !/\/[a-z0-9_]+(?:\.d)?\.ts$/.test(path));
    assert.deepEqual(misnamed.map(({ path }) => path), []);
    const silent = all.filter(({ text }) => !/^(?:#!.*\n)?(?:\/\/\/.*\n)*\/\*\*/.test(text));
    assert.deepEqual(silent.map(({ path }) => path), []);
  });
});

describe("house, of itself", () => {
  test("code is what is left without comments, strings and patterns", () => {
    const quoted = blanked(
      'a("await"); // await\nb(/await/.test(c)); /* await */ d(`await ${await e} await`)',
    );
    assert.equal(quoted.match(/await/g)?.length, 1);
    assert.match(quoted, /\$\{await e\}/);
    assert.equal(blanked("x = a / b / await").includes("await"), true);
  });

  test("a room above, beside and unknown is told", () => {
    assert.equal(importFault("src/core/zab/leader.ts", "../base/zxid.ts"), null);
    assert.match(importFault("src/core/zab/leader.ts", "../ops/table.ts") ?? "", /floor/);
    assert.match(importFault("src/storage/log.ts", "../net/frames.ts") ?? "", /floor/);
    assert.match(importFault("src/core/base/zxid.ts", "../../runtime/ports.ts") ?? "", /floor/);
    assert.equal(importFault("src/main.ts", "./cli/main.ts"), null);
    assert.match(importFault("src/core/base/zxid.ts", "hono") ?? "", /package/);
  });
});

/** Rooms by height; equal ones do not know each other. */
const floors: Readonly<Record<string, number>> = {
  "core/base": 0,
  "core/wire": 1,
  "core/tree": 2,
  "core/session": 3,
  "core/watch": 3,
  "core/election": 4,
  "core/zab": 4,
  "core/ops": 4,
  "core/peer": 5,
  runtime: 10,
  storage: 20,
  net: 20,
  server: 30,
  client: 30,
  cli: 40,
  admin: 40,
  "front door": 50,
};

/** The only package that the core may use: digests and CRCs, pure functions of bytes. */
const corePackages = /^@noble\/hashes(?:\/|$)/;

function importFault(path: string, from: string): string | null {
  if (/^(?:node|bun):/.test(from)) return null;
  if (!from.startsWith(".")) {
    return path.startsWith("src/core/") && !corePackages.test(from)
      ? `${path} imports the package ${from}`
      : null;
  }
  const target = new URL(from, `file:///${path}`).pathname.slice(1);
  const [room, targetRoom] = [roomOf(path), roomOf(target)];
  if (room === targetRoom) return null;
  const [floor, targetFloor] = [floors[room], floors[targetRoom]];
  if (floor === undefined || targetFloor === undefined) {
    return `${path} imports ${target}: not a room of the house`;
  }
  return targetFloor < floor ? null : `${path} imports ${target}, which is not on a lower floor`;
}

/** `core/tree`, `server`; what lies in no room (`src/main.ts`) is the front door. */
function roomOf(path: string): string {
  const parts = path.split("/").slice(1);
  if (parts.length === 1) return "front door";
  return parts[0] === "core" ? `core/${parts[1]}` : parts[0] ?? "";
}
