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
    const text = "tickTime=2000\n dataDir = HERE/a b\ndataLogDir:HERE/log\n";
    withConfig("zoo.cfg", text, ({ file, here }) => {
      mkdirSync(join(here, "a b"));
      mkdirSync(join(here, "log"));
      const { read, write } = allowed("server", file);
      assert.deepEqual(write, [`${here}/a b`, `${here}/log`]);
      for (const path of [file, `${here}/a b`, `${here}/log`]) {
        assert.ok(read.includes(path), path);
      }
    });
  });

  test("a data directory that has to be made is written from its first new name on", () => {
    withConfig("zoo.cfg", "dataDir=HERE/new/deep/\n", ({ file, here }) => {
      const { read, write } = allowed("server", file);
      assert.deepEqual(write, [`${here}/new`]);
      assert.ok(read.includes(here) && read.includes(`${here}/new`));
    });
  });

  test("a path is read as the server reads it, however it is written", () => {
    const written: [string, string, string][] = [
      ["zoo.cfg", "dataDir=HERE/d \r\n", "d"],
      ["zoo.cfg", "dataDir=HERE//x/../d\n", "d"],
      ["zoo.cfg", "dataDir:HERE/d\n", "d"],
      ["zoo.cfg", "\ufeffdataDir=HERE/d\n", "d"],
      ["zoo.cfg", "zookeeper.dataDir=HERE/e\ndataDir=HERE/d\n", "d"],
      ["zoo.cfg", "dataDir=HERE/\\\n  d\n", "d"],
      ["zoo.cfg", "dataDir=HERE/\\u0064\n", "d"],
      ["a.toml", '[storage]\r\ndata_dir = "HERE/d" # here\r\n', "d"],
      ["a.toml", '"storage" = { "data_dir" = \'HERE/d\' }\n', "d"],
      ["a.toml", 'storage.data_dir = """\\\n  HERE/d"""\n', "d"],
    ];
    for (const [name, text, directory] of written) {
      withConfig(name, text, ({ file, here }) => {
        assert.deepEqual(allowed("server", file).write, [`${here}/${directory}`], JSON.stringify(text));
      });
    }
  });

  test("a file that Java would be told of is read", () => {
    withConfig("zoo.cfg", "dataDir=HERE/d\nsecureClientPort=2281\n", ({ file, here }) => {
      writeFileSync(join(here, "k.pem"), "");
      const env = { SERVER_JVMFLAGS: `-Dzookeeper.ssl.keyStore.location=${here}/k.pem` };
      assert.ok(allowed(["server", file], env).read.includes(`${here}/k.pem`));
    });
  });

  test("an observer without a directory, and a file that is wrong, write to nothing", () => {
    withConfig("a.toml", '[ensemble]\nobserve = ["a", "b"]\n', ({ file }) => {
      assert.deepEqual(allowed("server", file).write, []);
    });
    withConfig("zoo.cfg", "dataDir=\n", ({ file }) => {
      const { read, write } = allowed("server", file);
      assert.deepEqual([read.includes(file), write], [true, []]);
    });
  });

  test("dev writes to its data directory, the shell and help to nothing", () => {
    assert.deepEqual(allowed("dev").write, [join(process.cwd(), ".zoolet")]);
    assert.deepEqual(allowed("dev", "--port", "0", "--data", "/a b").write, ["/a b"]);
    assert.deepEqual(allowed("dev", "--data=/tmp/x,y/z").write, ["/tmp"]);
    assert.deepEqual(allowed("cli", "-server", "x", "ls", "--data", "/").write, []);
    assert.deepEqual(allowed("--help").write, []);
  });

  test("dev runs this script for its peers, and nothing else runs anything", () => {
    for (const words of [["dev"], ["--log-level", "warn", "dev"], ["dev", "--peers=2"]]) {
      assert.equal(allowed(...words).run, `--allow-run=${join(root, "scripts", "zoolet")}`);
    }
    for (const words of [["dev", "--peers", "1"], ["server"], ["cli", "dev"]]) {
      assert.equal(allowed(...words).run, "");
    }
  });

  /** `HERE` in the text is a directory that exists. */
  function withConfig(name: string, text: string, use: (at: { file: string; here: string }) => void): void {
    const here = mkdtempSync(join(tmpdir(), "zoolet-house-"));
    try {
      const file = join(here, name);
      const port = name.endsWith(".toml") ? "\n[client]\nport = 2181\n" : "\nclientPort=2181\n";
      writeFileSync(file, text.replaceAll("HERE", here) + (text.includes("observe") ? "" : port));
      use({ file, here });
    } finally {
      rmSync(here, { recursive: true, force: true });
    }
  }

  interface Allowed {
    readonly read: string[];
    readonly write: string[];
    readonly run: string;
  }

  function allowed(...words: string[] | [string[], Record<string, string>]): Allowed {
    const [list, env] = Array.isArray(words[0])
      ? words as [string[], Record<string, string>]
      : [words as string[], {}];
    const onBun = "Bun" in globalThis;
    const args = [
      ...(onBun ? [] : ["run", "-A", "--no-check", "--quiet"]),
      join(root, "src", "permissions.ts"),
    ];
    const output = execFileSync(process.execPath, [...args, root, ...list], {
      encoding: "utf8",
      timeout: 10_000,
      env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env },
    });
    const [reads = "", writes = "", run = ""] = output.split("\n");
    const listOf = (flag: string) => flag === "" ? [] : flag.slice(flag.indexOf("=") + 1).split(",");
    return { read: listOf(reads), write: listOf(writes), run };
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
