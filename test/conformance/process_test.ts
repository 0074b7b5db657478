/**
 * The process and terminal ports, each in a process of its own and with a server's permissions.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Child, runToEnd } from "../support/child.ts";
import { sleep } from "../support/places.ts";

const onBun = "Bun" in globalThis;
const script = fileURLToPath(new URL("./process_child.ts", import.meta.url));
const permissions = ["--allow-net", "--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
const command = onBun
  ? [process.execPath, script]
  : [process.execPath, "run", "--no-check", "--no-prompt", ...permissions, script];

function start(args: readonly string[], env: Record<string, string> = {}): Child {
  return new Child(command[0] as string, [...command.slice(1), ...args], { env });
}

function run(args: readonly string[], input = "", env: Record<string, string> = {}) {
  return runToEnd(command[0] as string, [...command.slice(1), ...args], { input, env, timeoutMs: 20_000 });
}

/** Runs `line` in a shell; `$@` there stands for the child and its arguments. */
function inShell(
  line: string,
  args: readonly string[],
): { status: number | null; stdout: string; stderr: string } {
  const ran = spawnSync("sh", ["-c", line, "sh", ...command, ...args], { encoding: "utf8", timeout: 20_000 });
  return { status: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}

test("the process tells who and where it is, and what it uses", async () => {
  const { code, stdout, stderr } = await run(["facts", "a b", "--flag"], "", { ZOOLET_TEST_VALUE: "grüße" });
  assert.equal(code, 0, stderr);
  const facts = JSON.parse(stdout);
  assert.equal(facts.runtime, onBun ? "bun" : "deno");
  assert.match(facts.runtimeVersion, /^\d+\.\d+\.\d+/);
  assert.ok(facts.pid > 0);
  assert.deepEqual(facts.argv, ["facts", "a b", "--flag"]);
  assert.equal(facts.env, "grüße");
  assert.equal(facts.cwd, process.cwd());
  assert.equal(facts.platform, process.platform);
  assert.equal(facts.arch, process.arch);
  assert.match(facts.osRelease, /^\d/);
  assert.equal(facts.hostname, hostname());
  assert.ok(facts.user.length > 0 && facts.home.length > 0);
  assert.ok(facts.residentBytes > 10 << 20 && facts.residentBytes < 2 ** 31, `${facts.residentBytes}`);
  assert.ok(facts.memory.residentBytes > facts.memory.heapUsedBytes && facts.memory.heapUsedBytes > 0);
  assert.ok(facts.memory.heapTotalBytes >= facts.memory.heapUsedBytes / 2);
  assert.ok(facts.cpuSeconds > 0 && facts.cpuSeconds < 20);
  const { open, max } = facts.fileDescriptors;
  if (onBun && process.platform === "linux") assert.ok(open >= 3 && max >= open, `${open} of ${max}`);
  else assert.ok((open === -1 || open >= 3) && max >= -1);
  assert.equal(facts.isTerminal, false);
  assert.equal(new Set(facts.random).size, 3);
  for (const value of facts.random) assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** 32);
});

test("timers alone do not keep the process alive", async () => {
  const { code, stdout, timedOut } = await run(["timers"]);
  assert.deepEqual([code, stdout, timedOut], [0, "leaving\n", false]);
});

test("exit ends with its code, and what was said before is not lost", async () => {
  const { code, stderr } = await run(["exit", "5"]);
  assert.equal(code, 5);
  assert.equal(stderr, "going\n");
});

test("3 MB through a slow pipe arrive whole, though exit follows at once", () => {
  const { stdout } = inShell('"$@" | { sleep 0.3; wc -c; }', ["flood"]);
  assert.equal(Number(stdout), 3_000_000);
});

test("a reader that leaves early is no crash", () => {
  const { stdout, stderr } = inShell('"$@" | head -c 20', ["flood"]);
  assert.equal(stdout, "x".repeat(20));
  assert.equal(stderr, "");
});

test("a process without standard output or error is no crash", () => {
  const { status } = inShell('"$@" >&- 2>&-', ["exit", "6"]);
  assert.equal(status, 6);
});

test("signals are heard, each as often as it is sent", async () => {
  const child = start(["signals"]);
  try {
    await child.untilOutput(/ready\n/, 10_000);
    for (let i = 1; i <= 2; i++) {
      // By id: Deno's own `kill` of a child works once.
      process.kill(child.pid, "SIGHUP");
      await child.untilOutput(new RegExp(`(SIGHUP\n[^]*){${i}}`), 5000);
    }
    process.kill(child.pid, "SIGINT");
    await child.untilOutput(/SIGINT\n/, 5000);
    process.kill(child.pid, "SIGTERM");
    assert.ok(await child.exited(5000));
    assert.equal(child.exit?.code, 3);
    assert.match(child.stdout, /SIGTERM\n$/);
  } finally {
    child.kill("SIGKILL");
  }
});

for (
  const [where, message] of [["data", "thrown in data"], ["timer", "thrown in timer"], [
    "promise",
    "rejected",
  ]]
) {
  test(`the last handler hears of what nobody caught: ${where}`, async () => {
    const { code, stderr } = await run(["crash", where as string]);
    assert.equal(stderr, `crash: ${message}\n`);
    assert.equal(code, 7);
  });
}

// ------------------------------------------------------------------------------------- children

/** With the right to run what it starts, and nothing else. */
function parent(how: string, line: readonly string[]): Child {
  const right = onBun ? [] : [`--allow-run=${line[0]}`];
  const at = command.indexOf(script);
  const args = [...command.slice(1, at), ...right, ...command.slice(at), "family", how, ...line];
  return new Child(command[0] as string, args);
}

test("a child that is asked to end hears so, and all its lines come before its end", async () => {
  const child = parent("end", [...command, "heir"]);
  try {
    assert.ok(await child.exited(15_000), child.describe());
    const lines = child.stdout.trimEnd().split("\n").filter((line) => !/^stderr: \d+$/.test(line));
    assert.deepEqual(lines.filter((line) => line.startsWith("stderr")), ["stderr: grüße"]);
    assert.deepEqual(lines.filter((line) => !line.startsWith("stderr")), [
      "stdout: 65536",
      "stdout: up",
      "stdout: the end, given",
      "stdout: half a line",
      "ended: 4 null",
    ]);
  } finally {
    child.kill();
  }
});

test("a child that is killed tells its signal, and one that cannot be started its cause", async () => {
  const killed = parent("kill", [...command, "heir"]);
  assert.ok(await killed.exited(15_000), killed.describe());
  assert.match(killed.stdout, /^ended: null SIGKILL $/m);
  const none = parent("end", ["/nowhere/to/be/found"]);
  assert.ok(await none.exited(15_000), none.describe());
  assert.equal(none.stdout, "ended: null null cause\n");
});

test("a child hears that its parent was killed", async () => {
  const child = parent("wait", [...command, "heir"]);
  try {
    const [, text] = await child.untilOutput(/stderr: (\d+)\n/, 15_000);
    await child.untilOutput(/stdout: up\n/, 5000);
    const heir = Number(text);
    process.kill(heir, 0);
    child.kill();
    const until = performance.now() + 10_000;
    let gone = false;
    while (!gone && performance.now() < until) {
      await sleep(20);
      try {
        process.kill(heir, 0);
      } catch {
        gone = true;
      }
    }
    assert.ok(gone, "the child of a killed parent is still there");
  } finally {
    child.kill();
  }
});

// ------------------------------------------------------------------------------------- terminal

test("each piped line is delivered, also when all come at once and the last has no newline", async () => {
  const { code, stdout } = await run(["lines"], "one\n\ntwo words\r\ngrüße 🐘\nlast");
  assert.equal(code, 0);
  assert.equal(stdout, "[one]\n[]\n[two words]\n[grüße 🐘]\n[last]\nafter the end: null\n");
});

test("only LF, CR and CRLF end a piped line, wherever the input is cut", async () => {
  const { code, stdout } = await run(["lines"], "a\u2028b\u2029c\u0085d\ve\ff\rg\r\nh\n\r\ni\r");
  assert.equal(code, 0);
  assert.equal(
    stdout,
    "[a\u2028b\u2029c\u0085d\ve\ff]\n[g]\n[h]\n[]\n[i]\nafter the end: null\n",
  );
  const child = start(["lines"]);
  try {
    for (const byte of new TextEncoder().encode("x\u2028y\r\nz")) {
      child.process.stdin?.write(Uint8Array.of(byte));
      await sleep(20);
    }
    child.process.stdin?.end();
    assert.ok(await child.exited(5000), child.describe());
    assert.equal(child.stdout, "[x\u2028y]\n[z]\nafter the end: null\n");
  } finally {
    child.kill("SIGKILL");
  }
});

test("20,000 piped lines are delivered in order", async () => {
  const input = Array.from({ length: 20_000 }, (_, i) => `${i}\n`).join("");
  const { code, stdout } = await run(["lines"], input);
  assert.equal(code, 0);
  const tail = Array.from({ length: 1000 }, (_, i) => `[${19_000 + i}]\n`).join("");
  assert.ok(stdout.endsWith(`${tail}after the end: null\n`), stdout.slice(-200));
});

test("a slow reader of lines gets each of them, and the end", async () => {
  const input = Array.from({ length: 50 }, (_, i) => `${i}\n`).join("");
  const { code, stdout } = await run(["lines", "3"], input);
  assert.equal(code, 0);
  assert.equal(stdout, `${Array.from({ length: 50 }, (_, i) => `[${i}]\n`).join("")}after the end: null\n`);
});

test("a line that comes late is waited for", async () => {
  const child = start(["lines"]);
  try {
    await sleep(300);
    child.process.stdin?.write("ear");
    await sleep(50);
    child.process.stdin?.write("ly\n");
    await child.untilOutput(/\[early\]\n/, 5000);
    child.process.stdin?.write("late\n");
    await child.untilOutput(/\[late\]\n/, 5000);
    child.process.stdin?.end();
    assert.ok(await child.exited(5000), child.describe());
    assert.match(child.stdout, /after the end: null\n$/);
  } finally {
    child.kill("SIGKILL");
  }
});

test("no input at all is the end", async () => {
  const { code, stdout } = await run(["lines"], "");
  assert.deepEqual([code, stdout], [0, "after the end: null\n"]);
  const closed = inShell('"$@" <&-', ["lines"]);
  assert.equal(closed.stdout, "after the end: null\n");
});

test("after close an open input does not keep the process alive", async () => {
  const child = start(["one_line"]);
  try {
    child.process.stdin?.write("only\nmore\n");
    assert.ok(await child.exited(5000), child.describe());
    assert.equal(child.stdout, "[only]\n");
  } finally {
    child.kill("SIGKILL");
  }
});

// A pseudo-terminal is made by python3, where there is one.
const pty = `
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[1], sys.argv[1:])
def until(text, seconds=10):
    global seen
    end = time.time() + seconds
    while text not in seen:
        if time.time() > end: sys.stdout.write("NEVER SAW " + text + "\\n" + seen); sys.exit(1)
        if select.select([fd], [], [], 0.05)[0]:
            try: seen += os.read(fd, 65536).decode("utf-8", "replace")
            except OSError: seen += "\\nEOF"
    seen = seen[seen.index(text) + len(text):]
seen = ""
def send(text): os.write(fd, text.encode())
until("terminal: true"); until("zk> ")
send("hello\\r"); until("[hello]"); until("zk> ")
send("get /al\\t"); until("/alpha"); send("\\r"); until("[get /alpha]"); until("zk> ")
send("\\x1b[A\\x1b[A\\x1b[A\\r"); until("[newest]"); until("zk> ")
send("later\\r"); until("[later]"); until("zk> "); send("half"); until("half"); until("an event"); until("zk> "); until("half")
send(" whole\\r"); until("[half whole]"); until("zk> ")
send("one\\rtwo\\rthree\\r"); until("[one]"); until("[two]"); until("[three]"); until("zk> ")
send("first\\u2028sec\\u2029ond\\r"); until("[first\\u2028sec\\u2029ond]"); until("zk> ")
send("dropped"); until("dropped"); send("\\x03"); time.sleep(0.1); send("kept\\r"); until("[kept]"); until("zk> ")
send(sys.stdin.read(1)); until("bye")
_, status = os.waitpid(pid, 0)
print("done", os.waitstatus_to_exitcode(status))
`;
const hasPty = spawnSync("python3", ["-c", "import pty"]).status === 0;

for (const [name, key] of [["Ctrl-D", "\x04"], ["Ctrl-C", "\x03"]]) {
  test(`on a terminal there are history, completion and events above the prompt; ${name} ends`, {
    skip: !hasPty,
  }, () => {
    const ran = spawnSync("python3", ["-c", pty, ...command, "shell"], {
      encoding: "utf8",
      input: key as string,
      timeout: 40_000,
    });
    assert.equal(ran.stdout, "done 0\n", ran.stderr);
  });
}

/** What the child says on standard output, while its standard error goes through a pipe to `reader`. */
function logsInto(reader: string, ...args: string[]) {
  return inShell(`{ "$@" 2>&1 >&3 | { ${reader}; } } 3>&1`, ["logs", ...args]);
}

test("a log that nobody reads neither stops the process nor grows", () => {
  const { status, stdout } = logsInto("sleep 3", "400", "1");
  assert.equal(status, 0);
  const { longestMs, lost } = JSON.parse(stdout);
  assert.ok(longestMs < 1500, `the event loop waited ${longestMs} ms`);
  assert.equal(lost, null, "nothing was written since");
});

test("lines that were lost are counted once the log can be written again", () => {
  const { stdout } = logsInto("sleep 2; wc -l >&3", "300", "1", "2500");
  const [said, count] = stdout.includes("{")
    ? [stdout.match(/\{.*\}/)?.[0] ?? "", stdout.match(/^ *(\d+)$/m)?.[1]]
    : ["", ""];
  const { lost } = JSON.parse(said);
  assert.ok(lost.lines > 0 && lost.lines < 300, JSON.stringify(lost));
  assert.equal(Number(count), 302 - lost.lines);
});

test("a log on a full disk, behind a closed pipe or nowhere ends nothing", () => {
  for (const line of ['"$@" 2>/dev/full', '{ "$@" 2>&1 >&3 | true; } 3>&1', '"$@" 2>&-']) {
    const { status, stdout } = inShell(line, ["logs", "20", "1"]);
    assert.equal(status, 0, line);
    assert.match(stdout, /longestMs/, line);
  }
});
