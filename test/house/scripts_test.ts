/**
 * The scripts: that a plain shell can read them, what Deno is allowed, and that the test runner counts
 * what did not come to its end.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Note } from "../../scripts/lib/recorder.ts";
import { judge } from "../../scripts/lib/test_file.ts";
import { root } from "./source.ts";

const library = readdirSync(join(root, "scripts", "lib")).filter((name) => name.endsWith(".sh"));

test("the shell scripts are what a POSIX shell can read", () => {
  const scripts = ["zoolet", "test", "ok", ...library.map((name) => join("lib", name))];
  for (const name of scripts) execFileSync("sh", ["-n", join(root, "scripts", name)], { timeout: 10_000 });
});

describe("permissions under Deno", () => {
  test("a server writes to the directories that its configuration names and reads its own files", () => {
    const text =
      "tickTime=2000\n dataDir = HERE/a b\ndataLogDir:HERE/log\nssl.keyStore.location=/etc/k.pem\n";
    withConfig("zoo.cfg", text, ({ file, here }) => {
      mkdirSync(join(here, "a b"));
      mkdirSync(join(here, "log"));
      const { read, write } = allowed("server", file);
      assert.deepEqual(write, [`${here}/a b`, `${here}/log`]);
      assert.deepEqual(read.slice(4), [`${here}/a b`, `${here}/log`, "/etc/k.pem", file]);
    });
  });

  test("a data directory that has to be made is written from its first new name on", () => {
    withConfig("zoo.cfg", "dataDir=HERE/new/deep/\n", ({ file, here }) => {
      const { read, write } = allowed("server", file);
      assert.deepEqual(write, [`${here}/new`]);
      assert.deepEqual(read.slice(4), [`${here}/new`, here, file]);
    });
  });

  test("TOML is understood as far as it matters here", () => {
    const text = "[storage]\r\ndata_dir = \"HERE\" # here\r\n[tls]\r\ncert_file = 'c.pem'\r\n";
    withConfig("a.toml", text, ({ file, here }) => {
      const { read, write } = allowed("--log-format", "json", "server", "--check", file);
      assert.deepEqual(write, [here]);
      assert.deepEqual(read.slice(4), [here, "c.pem", file]);
    });
  });

  test("an observer without a directory writes to none", () => {
    withConfig("a.toml", '[ensemble]\nobserve = ["a", "b"]\n', ({ file }) => {
      const { read, write } = allowed("server", file);
      assert.deepEqual([read.slice(4), write], [[file], []]);
    });
  });

  test("a configuration that cannot be understood here leaves the judgement to the server", () => {
    for (const text of ["clientPort=1\n", "dataDir=/a\\\nb\n", "dataDir=/\u00e9\n"]) {
      withConfig("zoo.cfg", text, ({ file }) => assert.equal(allowed("server", file).write, "everything"));
    }
  });

  test("dev writes to its data directory, the shell and help to nothing", () => {
    assert.deepEqual(allowed("dev").write, [".zoolet"]);
    assert.deepEqual(allowed("dev", "--port", "0", "--data", "a b").write, ["a b"]);
    assert.deepEqual(allowed("dev", "--data=x,y/z").write, ["."]);
    assert.deepEqual(allowed("cli", "-server", "x", "ls", "--data", "/").write, []);
    assert.deepEqual(allowed("--help").write, []);
  });

  test("dev runs this script for its peers, and nothing else runs anything", () => {
    for (
      const words of [["dev"], ["dev", "--peers", "5"], ["--log-level", "warn", "dev"], ["dev", "--peers=2"]]
    ) {
      assert.equal(allowed(...words).run, "--allow-run=/r/scripts/zoolet");
    }
    for (
      const words of [["dev", "--peers", "1"], ["dev", "--peers=1"], ["server"], ["cli", "dev"], ["--help"]]
    ) {
      assert.equal(allowed(...words).run, "");
    }
  });

  /** `HERE` in the text is a directory that exists. */
  function withConfig(name: string, text: string, use: (at: { file: string; here: string }) => void): void {
    const here = mkdtempSync(join(tmpdir(), "zoolet-house-"));
    try {
      const file = join(here, name);
      writeFileSync(file, text.replaceAll("HERE", here));
      use({ file, here });
    } finally {
      rmSync(here, { recursive: true, force: true });
    }
  }

  function allowed(
    ...words: string[]
  ): { read: string[] | "everything"; write: string[] | "everything"; run: string } {
    const script =
      `root=/r; . "$0"; permissions_for "$@"; printf '%s\\n%s\\n%s\\n' "$reads" "$writes" "$runs"`;
    const output = execFileSync("sh", [
      "-c",
      script,
      join(root, "scripts", "lib", "deno_permissions.sh"),
      ...words,
    ], {
      encoding: "utf8",
      timeout: 10_000,
      env: { PATH: process.env["PATH"] ?? "" },
    });
    const [reads = "", writes = "", run = ""] = output.split("\n");
    return { read: listOf(reads), write: listOf(writes), run };
  }

  function listOf(flag: string): string[] | "everything" {
    if (flag === "") return [];
    const equals = flag.indexOf("=");
    return equals < 0 ? "everything" : flag.slice(equals + 1).split(",");
  }
});

test("a clone is found through links, from any directory and with blanks in its path", () => {
  const directory = mkdtempSync(join(tmpdir(), "zoolet house "));
  try {
    symlinkSync(root, join(directory, "a clone"));
    symlinkSync(join("a clone", "scripts", "zoolet"), join(directory, "zoolet"));
    symlinkSync(join(root, "scripts"), join(directory, "bin"));
    for (const path of ["a clone/scripts/zoolet", "./zoolet", "bin/zoolet"]) {
      // An unknown runtime is refused only once the clone has been found and its library read.
      const env = { ...process.env, ZOOLET_RUNTIME: "neither" };
      assert.throws(
        () =>
          execFileSync("sh", [path], {
            cwd: directory,
            env,
            encoding: "utf8",
            stdio: "pipe",
            timeout: 10_000,
          }),
        /ZOOLET_RUNTIME is "neither"/,
      );
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

describe("the test runner", () => {
  const planned = (id: number, name: string): Note => ({ kind: "planned", id, name });
  const ended = (id: number, status: "passed" | "failed" | "skipped", reason = ""): Note => {
    return { kind: "ended", id, status, reason };
  };
  const well = { output: "", fault: null, seconds: 0 };

  test("counts each test by its outcome", () => {
    const notes = [
      planned(1, "a"),
      planned(2, "b"),
      planned(3, "c"),
      ended(2, "skipped", "no java"),
      ended(1, "passed"),
    ];
    const { passed, failures, skips } = judge([...notes, ended(3, "failed")], well);
    assert.deepEqual({ passed, failures, skips }, {
      passed: 1,
      failures: ["c"],
      skips: [{ name: "b", reason: "no java" }],
    });
  });

  test("takes a test that never came to its end for a failure, although the runtime said nothing", () => {
    assert.deepEqual(judge([planned(1, "a")], well).failures, ["a (never came to its end)"]);
  });

  test("takes a crash outside of every test and a file without tests for failures", () => {
    const crash = { ...well, fault: "was ended by SIGSEGV" };
    assert.deepEqual(judge([planned(1, "a"), ended(1, "passed")], crash).failures, [
      "(the runtime was ended by SIGSEGV)",
    ]);
    assert.deepEqual(judge([], well).failures, ["(no tests in this file)"]);
  });
});
