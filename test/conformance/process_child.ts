/**
 * What process_test runs as a process of its own: `process_child.ts <what> [more]`.
 *
 * Only the runtime floor is used here, under the permissions that a server gets.
 */
import { currentRuntime } from "../../src/runtime/current.ts";

const { process, clock, tcp } = await currentRuntime();
const [what = "", ...more] = process.info.argv;

switch (what) {
  case "facts": {
    const sockets = await tcp.listen({ host: "127.0.0.1", port: 0, backlog: -1, keepAlive: false }, () => {
      throw new Error("nobody connects");
    });
    const facts = {
      ...process.info,
      env: process.info.env["ZOOLET_TEST_VALUE"],
      residentBytes: process.residentBytes(),
      memory: process.memory(),
      cpuSeconds: process.cpuSeconds(),
      fileDescriptors: process.fileDescriptors(),
      isTerminal: process.isTerminal(),
      random: [process.randomU32(), process.randomU32(), process.randomU32()],
    };
    process.stdout(`${JSON.stringify(facts)}\n`);
    await sockets.close();
    break;
  }
  case "timers":
    // Neither keeps the process alive.
    clock.every(10, () => {});
    clock.after(60_000, () => {});
    process.stdout("leaving\n");
    break;
  case "exit":
    process.stderr("going\n");
    process.exit(Number(more[0]));
    break;
  case "flood":
    // Far more than a pipe holds, then gone at once.
    for (let i = 0; i < 300; i++) process.stdout(`${"x".repeat(9_999)}\n`);
    process.exit(0);
    break;
  case "logs": {
    // Several megabytes of log; what is said at last is how long the longest wait for the event loop was.
    const [lines = "1", pauseMs = "1", waitMs = "0"] = more;
    let longestMs = 0;
    let beforeMs = clock.monotonicMs();
    for (let i = 0; i < Number(lines); i++) {
      process.logs.stderr.write(`${i} ${"x".repeat(9_999)}\n`);
      await new Promise<void>((resolve) => clock.after(Number(pauseMs), resolve, true));
      const nowMs = clock.monotonicMs();
      longestMs = Math.max(longestMs, nowMs - beforeMs);
      beforeMs = nowMs;
    }
    await new Promise<void>((resolve) => clock.after(Number(waitMs), resolve, true));
    process.logs.stderr.write("last\n");
    await new Promise<void>((resolve) => clock.after(50, resolve, true));
    const lost = process.logs.stderr.takeLost();
    process.stdout(`${JSON.stringify({ longestMs: Math.round(longestMs), lost })}\n`);
    process.logs.stderr.write("bye\n");
    process.exit(0);
    break;
  }
  case "signals": {
    // A listener is what keeps a server alive, and this child too.
    await tcp.listen({ host: "127.0.0.1", port: 0, backlog: -1, keepAlive: false }, () => {
      throw new Error("nobody connects");
    });
    process.onSignal("SIGHUP", () => process.stdout("SIGHUP\n"));
    process.onSignal("SIGINT", () => process.stdout("SIGINT\n"));
    process.onSignal("SIGTERM", () => {
      process.stdout("SIGTERM\n");
      process.exit(3);
    });
    process.stdout("ready\n");
    break;
  }
  case "crash": {
    process.onCrash((error) => {
      process.stderr(`crash: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exit(7);
    });
    const listener = await tcp.listen({ host: "127.0.0.1", port: 0, backlog: -1, keepAlive: false }, () => ({
      data: () => {
        throw new Error("thrown in data");
      },
      ended: () => {},
      drained: () => {},
      closed: () => {},
    }));
    if (more[0] === "data") {
      const nothing = { data: () => {}, ended: () => {}, drained: () => {}, closed: () => {} };
      const socket = await tcp.connect({ host: "127.0.0.1", port: listener.port, timeoutMs: 5000 }, nothing);
      socket.write(new Uint8Array(1));
    } else if (more[0] === "timer") {
      clock.after(5, () => {
        throw new Error("thrown in timer");
      });
    } else void Promise.reject(new Error("rejected"));
    break;
  }
  case "lines": {
    const pauseMs = Number(more[0] ?? 0);
    for (let count = 0; count < 1_000_000; count++) {
      const line = await process.terminal.question("> ");
      if (line === null) break;
      process.stdout(`[${line}]\n`);
      if (pauseMs > 0) await new Promise<void>((resolve) => void setTimeout(resolve, pauseMs));
    }
    process.stdout(`after the end: ${await process.terminal.question("> ")}\n`);
    process.terminal.close();
    break;
  }
  case "family": {
    // Starts itself, or what is named, once more and tells what it hears of it.
    const [how = "", command = process.info.executable, ...args] = more;
    const started = process.spawn({ command, args, env: { ZOOLET_TEST_VALUE: "given" } }, {
      line(from, text) {
        process.stdout(`${from}: ${text.length > 100 ? text.length : text}\n`);
        if (text !== "up") return;
        if (how === "end") started.endInput();
        if (how === "kill") started.kill();
      },
      ended: ({ code, signal, cause }) => {
        process.stdout(`ended: ${code} ${signal} ${cause === null ? "" : "cause"}\n`);
      },
    });
    break;
  }
  case "heir":
    await tcp.listen({ host: "127.0.0.1", port: 0, backlog: -1, keepAlive: false }, () => {
      throw new Error("nobody connects");
    });
    process.onInputEnd(() => {
      process.stdout(`the end, ${process.info.env["ZOOLET_TEST_VALUE"]}\nhalf a line`);
      process.stderr("grüße\n");
      process.exit(4);
    });
    process.stderr(`${process.info.pid}\n`);
    process.stdout(`${"x".repeat(100_000)}\nup\n`);
    break;
  case "one_line":
    process.stdout(`[${await process.terminal.question("> ")}]\n`);
    process.terminal.close();
    break;
  case "shell": {
    process.terminal.history(["oldest", "newest"]);
    process.terminal.complete((line) => {
      const word = line.slice(line.lastIndexOf(" ") + 1);
      return Promise.resolve([["/alpha", "/beta"].filter((path) => path.startsWith(word)), word]);
    });
    process.stdout(`terminal: ${process.isTerminal()}\n`);
    for (let count = 0; count < 100; count++) {
      const line = await process.terminal.question("zk> ");
      if (line === null) break;
      process.stdout(`[${line}]\n`);
      if (line === "later") clock.after(50, () => process.stdout("an event\n"));
    }
    process.stdout("bye\n");
    process.terminal.close();
    break;
  }
  default:
    process.stderr(`Cannot run ${what}: no such part\n`);
    process.exit(2);
}
