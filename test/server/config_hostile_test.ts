/** Files that nobody meant as a configuration: they give problems, soon, and never an exception. */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { formatProblems, type Loaded, loadSettings } from "../../src/server/config.ts";
import { allKeys } from "../../src/server/config_known.ts";
import { fakeFiles, problemsOf } from "./config_fake_files.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function load(content: string | Uint8Array, file: string): Loaded {
  return loadSettings(fakeFiles({ [file]: content, "/pem": "x" }), file);
}

for (const file of ["zoo.cfg", "a.toml"]) {
  test(`random bytes as ${file} give problems`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000, size: "max" }), (bytes) => {
        assert.ok(problemsOf(load(bytes, file)).length > 0);
      }),
      { numRuns: 300 },
    );
  });

  test(`a line of 10 MB in ${file} is refused by its size, before it is read`, () => {
    const files = {
      ...fakeFiles({}),
      info: () => ({ bytes: 10_000_000, isDirectory: false, modifiedMs: 0 }),
      read: () => assert.fail("read"),
    };
    assert.match(formatProblems(problemsOf(loadSettings(files, file))), /10000000 bytes/);
  });

  test(`a file that grows after it was looked at is refused as well (${file})`, () => {
    const files = {
      ...fakeFiles({}),
      info: () => ({ bytes: 1, isDirectory: false, modifiedMs: 0 }),
      read: () => new Uint8Array(2 << 20),
    };
    assert.equal(problemsOf(loadSettings(files, file)).length, 1);
  });

  test(`a line as long as the file may be is read in ${file} without delay`, () => {
    for (const piece of ["a", " ", "=", "\\", "a.", "[", "\\u0041", '"', "'", "{a=", "a,", "\t\f"]) {
      const text = piece.repeat(Math.floor((1 << 20) / piece.length));
      for (const begun of [text, `x = ${text.slice(5)}`, `server.1=${text.slice(10)}`]) {
        const started = performance.now();
        const problems = problemsOf(load(begun, file));
        assert.ok(problems.length > 0 && problems.length <= 100);
        for (const problem of problems) assert.ok(formatProblems([problem]).length < 1000);
        assert.ok(performance.now() - started < 5000, `${JSON.stringify(piece)} took too long`);
      }
    }
  });
}

test("a hundred thousand unknown keys give a bounded number of warnings, soon", () => {
  const text = Array.from({ length: 100_000 }, (_, i) => `k${i}=1`).join("\n");
  const started = performance.now();
  const loaded = load(`${text}\n`.slice(0, 1 << 20), "zoo.cfg");
  assert.ok("problems" in loaded);
  const ok = loadSettings(
    fakeFiles({ "zoo.cfg": `dataDir=/d\nclientPort=1\n${text.slice(0, 900_000)}` }),
    "zoo.cfg",
  );
  assert.ok("settings" in ok && ok.settings.warnings.length <= 200);
  assert.ok(performance.now() - started < 5000);
});

test("a hundred thousand server lines give a bounded number of problems, soon", () => {
  const text = Array.from({ length: 60_000 }, (_, i) => `server.${i}=h:1:1`).join("\n");
  const started = performance.now();
  assert.ok(problemsOf(load(text.slice(0, 1 << 20), "zoo.cfg")).length <= 100);
  assert.ok(performance.now() - started < 5000);
});

test("deep TOML gives a problem or a warning: arrays, inline tables, dotted keys, headers", () => {
  const depth = 100_000;
  for (
    const text of [
      `x = ${"[".repeat(depth)}${"]".repeat(depth)}`,
      `x = ${"{a=".repeat(depth)}1${"}".repeat(depth)}`,
      `${"a.".repeat(depth)}a = 1`,
      `[${"a.".repeat(depth)}a]\nb = 1`,
      `[[${"a.".repeat(depth)}a]]\nb = 1`,
    ]
  ) {
    assert.ok(problemsOf(load(text, "a.toml")).length > 0);
  }
});

test("names of JavaScript's own objects are keys like any other", () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const classic = load(`dataDir=/d\nclientPort=1\n${name}=1\n`, "zoo.cfg");
    assert.ok("settings" in classic && classic.settings.warnings.length === 1);
    load(`${name} = 1\n[${name}2]\n${name} = 1\n[client]\n${name}.x = 1\n`, "a.toml");
  }
});

test("every key with every odd value gives settings or problems", () => {
  const value = fc.oneof(
    fc.constantFrom(
      "",
      "-1",
      "0",
      "1e9",
      "NaN",
      "true",
      "TRUE",
      "yes",
      "*",
      ",",
      "/",
      "/pem",
      "0x",
      "#",
      "99999999999999",
    ),
    fc.string({ unit: "binary" }),
    fc.integer().map(String),
  );
  const names = [...allKeys.keys()].map((name) => name.endsWith(".") ? `${name}1` : name);
  const line = fc.tuple(fc.constantFrom(...names), fc.constantFrom("", "zookeeper."), value);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12, size: "max" }), (lines) => {
      const text = lines.map(([name, prefix, is]) => `${prefix}${name}=${is}`).join("\n");
      const loaded = load(bytesOf(`dataDir=/d\nclientPort=1\n${text}`), "zoo.cfg");
      if ("problems" in loaded) {
        assert.ok(loaded.problems.length > 0);
        for (const told of formatProblems(loaded.problems).split("\n")) {
          assert.match(told, /: found .+, expected ./);
        }
      } else {
        assert.ok(loaded.settings.sessionTimeoutMsMin <= loaded.settings.sessionTimeoutMsMax);
      }
    }),
    { numRuns: 1500 },
  );
});

test("every TOML key with every type gives settings or problems", () => {
  const paths = [...allKeys.values()].flatMap((spec) => spec.toml === null ? [] : [spec.toml]);
  const value = fc.constantFrom(
    '""',
    '"x"',
    "0",
    "-1",
    "1.5",
    "inf",
    "nan",
    "true",
    "[]",
    "[[1]]",
    "{}",
    "1979-05-27",
    "[1, 2]",
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...paths), value), { maxLength: 8 }), (pairs) => {
      const once = [...new Map(pairs)].map(([path, is]) => `${path} = ${is}`).join("\n");
      const loaded = load(once, "a.toml");
      assert.ok(
        "problems" in loaded || loaded.settings.clientPort >= 0 || loaded.settings.secureClientPort >= 0,
      );
    }),
    { numRuns: 1500 },
  );
});
