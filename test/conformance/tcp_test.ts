/**
 * The TCP port, alike on both runtimes: what the owner of a socket is told, and in which order.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import nodeNet from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import nodeTls from "node:tls";
import { systemCodeOf, TcpError } from "../../src/runtime/ports.ts";
import type { TcpListener, TcpListenOptions, TcpSocket } from "../../src/runtime/ports.ts";
import { tcp } from "../../src/runtime/shared/tcp.ts";
import { sleep } from "../support/places.ts";
import { TcpRecorder, until } from "../support/tcp_recorder.ts";

const host = "127.0.0.1";
const plain: TcpListenOptions = { host, port: 0, backlog: -1, keepAlive: true };

interface Side {
  readonly socket: TcpSocket;
  readonly told: TcpRecorder;
}

interface Listening {
  readonly listener: TcpListener;
  readonly accepted: Side[];
}

/** A listener whose accepted sockets are prepared by `prepare` and, at the end, all closed and checked. */
async function withListener(
  prepare: (side: Side) => void,
  body: (listening: Listening) => Promise<void>,
  options: TcpListenOptions = plain,
): Promise<void> {
  const accepted: Side[] = [];
  const listener = await tcp.listen(options, (socket) => {
    const side = { socket, told: new TcpRecorder() };
    accepted.push(side);
    prepare(side);
    return side.told;
  });
  try {
    await body({ listener, accepted });
  } finally {
    for (const { socket } of accepted) socket.destroy();
    await listener.close();
  }
  await until("every accepted socket is closed", () => accepted.every((side) => side.told.closedCount === 1));
  await sleep(20);
  for (const { told } of accepted) {
    assert.deepEqual(told.faults, []);
    assert.equal(told.closedCount, 1);
  }
}

async function connectTo(listener: TcpListener): Promise<Side> {
  const told = new TcpRecorder();
  const socket = await tcp.connect({ host, port: listener.port, timeoutMs: 5000 }, told);
  return { socket, told };
}

function echo(side: Side): void {
  side.told.onData = (bytes) => side.socket.write(bytes);
  side.told.onEnded = () => side.socket.end();
}

test("10 MB come back from an echo in order, and both sides close without a cause", async () => {
  await withListener(echo, async ({ listener, accepted }) => {
    const { socket, told } = await connectTo(listener);
    const total = 10 << 20;
    const piece = 100_003;
    let compared = 0;
    let bad = 0;
    told.onData = (bytes) => {
      for (let i = 0; i < bytes.length; i++) if (bytes[i] !== ((compared + i) * 7 & 0xff)) bad++;
      compared += bytes.length;
    };
    let dones = 0;
    let written = 0;
    for (let at = 0; at < total; at += piece) {
      const bytes = new Uint8Array(Math.min(piece, total - at));
      for (let i = 0; i < bytes.length; i++) bytes[i] = (at + i) * 7 & 0xff;
      socket.write(bytes, () => {
        dones++;
        // Free now: what is written here must not be what is sent.
        bytes.fill(0);
      });
      written++;
    }
    await until("all is echoed", () => told.byteCount === total, 20_000);
    assert.equal(bad, 0);
    assert.equal(dones, written);
    assert.equal(socket.unsentBytes, 0);
    socket.end();
    await until("closed", () => told.closedCount === 1);
    assert.equal(told.cause, null);
    assert.equal(told.endedCount, 1);
    assert.deepEqual(told.faults, []);
    await until("the other side closed", () => accepted[0]?.told.closedCount === 1);
    assert.equal(accepted[0]?.told.cause, null);
  });
});

test("an accepted socket knows its client's address, as plain IPv4 also on a dual-stack listener", async () => {
  for (const options of [plain, { ...plain, host: null }]) {
    await withListener(echo, async ({ listener, accepted }) => {
      const stranger = nodeNet.connect(listener.port, host);
      await until("accepted", () => accepted.length === 1);
      assert.equal(accepted[0]?.socket.remoteAddress, host);
      assert.equal(accepted[0]?.socket.remotePort, stranger.localPort);
      stranger.destroy();
    }, options);
  }
});

test("a client that half-closes after its question still gets the whole answer", async () => {
  const answer = new Uint8Array(1 << 20).fill(0x61);
  await withListener(({ socket, told }) => {
    told.onEnded = () => {
      // Long after the client's side was closed, as an answer that had to be computed.
      setTimeout(() => {
        socket.write(answer);
        socket.end();
      }, 30);
    };
  }, async ({ listener, accepted }) => {
    let received = 0;
    let closed = false;
    const client = nodeNet.connect({ port: listener.port, host, allowHalfOpen: true });
    client.on("data", (bytes: Uint8Array) => received += bytes.length);
    client.on("close", () => closed = true);
    client.end("ruok");
    await until("the client is closed", () => closed);
    assert.equal(received, answer.length);
    assert.equal(accepted[0]?.told.text(), "ruok");
    assert.equal(accepted[0]?.told.endedCount, 1);
  });
});

test("destroy closes both sides, drops what waits and is followed by closed alone", async () => {
  await withListener(() => {}, async ({ listener, accepted }) => {
    const { socket, told } = await connectTo(listener);
    await until("accepted", () => accepted.length === 1);
    const server = accepted[0] as Side;
    server.told.onData = () => {
      server.socket.destroy();
      server.socket.destroy();
      server.socket.write(new Uint8Array(10), () => server.told.faults.push("done after destroy"));
      server.socket.end();
      server.socket.pause();
      server.socket.resume();
    };
    for (let i = 0; i < 50; i++) socket.write(new Uint8Array(1000));
    await until("both closed", () => told.closedCount === 1 && server.told.closedCount === 1);
    assert.equal(server.told.chunks.length, 1, "no data after destroy");
    assert.equal(server.told.cause, null, "our own destroy has no cause");
    assert.deepEqual(told.faults, []);
  });
});

test("a reset by the other side is a cause, not an exception", async () => {
  await withListener(() => {}, async ({ listener, accepted }) => {
    const client = nodeNet.connect(listener.port, host);
    client.on("error", () => {});
    client.write("x");
    await until("data arrived", () => accepted[0]?.told.byteCount === 1);
    const server = accepted[0] as Side;
    client.resetAndDestroy();
    await until("closed", () => {
      server.socket.write(new Uint8Array(100));
      return server.told.closedCount === 1;
    });
    assert.ok(
      ["ECONNRESET", "EPIPE"].includes(systemCodeOf(server.told.cause)),
      `cause was ${server.told.cause}`,
    );
  });
});

test("writing on and on to a client that is gone ends in closed with a cause", async () => {
  await withListener(() => {}, async ({ listener, accepted }) => {
    const client = nodeNet.connect(listener.port, host);
    client.write("x");
    await until("data arrived", () => accepted[0]?.told.byteCount === 1);
    client.destroy();
    const server = accepted[0] as Side;
    await until("closed", () => {
      for (let i = 0; i < 10; i++) server.socket.write(new Uint8Array(1000));
      return server.told.closedCount === 1;
    });
    assert.ok(
      ["ECONNRESET", "EPIPE"].includes(systemCodeOf(server.told.cause)),
      `cause was ${server.told.cause}`,
    );
  });
});

test("a reader that stops makes unsentBytes grow, and drained comes once all has left", async () => {
  await withListener(() => {}, async ({ listener, accepted }) => {
    const { socket, told } = await connectTo(listener);
    await until("accepted", () => accepted.length === 1);
    const server = accepted[0] as Side;
    socket.pause();
    // What the kernel takes depends on its settings; 64 MB is above all of them.
    let written = 0;
    let dones = 0;
    const piece = new Uint8Array(64 << 10);
    for (let turn = 0; turn < 1024 && server.socket.unsentBytes < 2 << 20; turn++) {
      server.socket.write(piece, () => dones++);
      written++;
      if (turn % 16 === 15) await sleep(1);
    }
    assert.ok(server.socket.unsentBytes >= 2 << 20, `unsent: ${server.socket.unsentBytes}`);
    assert.equal(told.byteCount, 0, "paused before anything arrived");
    await sleep(50);
    assert.ok(dones < written, "a write that waits is not done");
    // On the way here the kernel may have caught up, as its buffers grew.
    const before = server.told.drainedCount;
    let unsentAtDrained = -1;
    server.told.onDrained = () => unsentAtDrained = server.socket.unsentBytes;
    socket.resume();
    await until("drained", () => server.told.drainedCount === before + 1);
    assert.equal(unsentAtDrained, 0);
    assert.equal(dones, written);
    await until("all arrived", () => told.byteCount === written * piece.length);
    // And again: each time it falls behind, it is told once.
    socket.pause();
    for (let turn = 0; turn < 1024 && server.socket.unsentBytes < 1 << 20; turn++) {
      server.socket.write(piece);
      if (turn % 16 === 15) await sleep(1);
    }
    const beforeAgain = server.told.drainedCount;
    socket.resume();
    await until("drained again", () => server.told.drainedCount === beforeAgain + 1);
    socket.destroy();
    await until("closed", () => told.closedCount === 1);
  });
});

test("drained also comes after a small write that had to wait", async () => {
  await withListener(() => {}, async ({ listener, accepted }) => {
    const { socket } = await connectTo(listener);
    await until("accepted", () => accepted.length === 1);
    const server = accepted[0] as Side;
    socket.pause();
    await sleep(10);
    for (let i = 0; i < 100_000 && server.socket.unsentBytes === 0; i++) {
      server.socket.write(new Uint8Array(4096));
      if (i % 64 === 63) await sleep(0);
    }
    assert.ok(server.socket.unsentBytes > 0);
    socket.resume();
    await until("drained", () => server.told.drainedCount >= 1);
    assert.equal(server.socket.unsentBytes, 0);
    socket.destroy();
  });
});

test("an array is free as soon as unsentBytes is 0 after its write", async () => {
  await withListener(() => {}, async ({ listener, accepted }) => {
    const { socket, told } = await connectTo(listener);
    await until("accepted", () => accepted.length === 1);
    const server = accepted[0] as Side;
    let reused = 0;
    const shared = new Uint8Array(512);
    for (let i = 0; i < 500; i++) {
      let bytes = shared;
      if (server.socket.unsentBytes !== 0) bytes = new Uint8Array(512);
      bytes.fill(i & 0xff);
      server.socket.write(bytes);
      if (server.socket.unsentBytes === 0) {
        reused++;
        bytes.fill(0xee);
      } else if (bytes === shared) await until("sent", () => server.socket.unsentBytes === 0);
      if (i % 20 === 0) await sleep(1);
    }
    await until("all arrived", () => told.byteCount === 500 * 512);
    const all = Buffer.concat(told.chunks);
    for (let i = 0; i < all.length; i++) assert.equal(all[i], (i >> 9) & 0xff);
    assert.ok(reused > 400, `only ${reused} of 500 writes were taken at once`);
    socket.destroy();
  });
});

test("bytes that were handed up are never written to again", async () => {
  await withListener(() => {}, async ({ listener, accepted }) => {
    const { socket } = await connectTo(listener);
    for (let i = 0; i < 200; i++) {
      socket.write(new Uint8Array(5000).fill(i));
      if (i % 10 === 0) await sleep(1);
    }
    await until("all arrived", () => accepted[0]?.told.byteCount === 200 * 5000);
    let at = 0;
    for (const chunk of accepted[0]?.told.chunks ?? []) {
      assert.equal(chunk.constructor, Uint8Array, "a plain array, whose slice is a copy");
      for (const byte of chunk) assert.equal(byte, Math.floor(at++ / 5000) & 0xff);
    }
    socket.destroy();
  });
});

test("nothing arrives while paused, and all of it after resume", async () => {
  await withListener(({ socket }) => socket.pause(), async ({ listener, accepted }) => {
    const { socket } = await connectTo(listener);
    socket.write(new Uint8Array(200_000));
    await sleep(60);
    const server = accepted[0] as Side;
    assert.equal(server.told.byteCount, 0);
    server.told.onData = () => {
      if (server.told.byteCount < 100_000) return;
      server.socket.pause();
      server.told.onData = () => server.told.faults.push("data while paused");
    };
    server.socket.resume();
    await until("half arrived", () => server.told.byteCount >= 100_000);
    await sleep(30);
    server.told.onData = () => {};
    server.socket.resume();
    await until("all arrived", () => server.told.byteCount === 200_000);
    socket.destroy();
  });
});

test("end sends what waits, then closes our side", async () => {
  await withListener(() => {}, async ({ listener, accepted }) => {
    const { socket, told } = await connectTo(listener);
    socket.write(new Uint8Array(3 << 20));
    socket.write(new Uint8Array(0));
    socket.write(new TextEncoder().encode("end"));
    socket.end();
    socket.end();
    socket.write(new Uint8Array(5));
    await until("the other side has all", () => accepted[0]?.told.endedCount === 1);
    const server = accepted[0] as Side;
    assert.equal(server.told.byteCount, (3 << 20) + 3);
    server.socket.write(new TextEncoder().encode("late"));
    server.socket.end();
    await until("closed", () => told.closedCount === 1);
    assert.equal(told.text(), "late");
    assert.equal(told.cause, null);
  });
});

test("an empty write is done as any other", async () => {
  await withListener(echo, async ({ listener }) => {
    const { socket, told } = await connectTo(listener);
    const order: string[] = [];
    socket.write(new TextEncoder().encode("a"), () => order.push("a"));
    socket.write(new Uint8Array(0), () => order.push("empty"));
    socket.write(new TextEncoder().encode("b"), () => order.push("b"));
    await until("echoed", () => told.text() === "ab");
    assert.deepEqual(order, ["a", "empty", "b"]);
    socket.destroy();
  });
});

test("done never comes before write has returned", async () => {
  await withListener(echo, async ({ listener }) => {
    const { socket, told } = await connectTo(listener);
    let returned = false;
    let early = false;
    socket.write(new Uint8Array(10), () => early = !returned);
    returned = true;
    await until("echoed", () => told.byteCount === 10);
    assert.equal(early, false);
    socket.destroy();
  });
});

test("a taken port is refused with EADDRINUSE and a message that names it", async () => {
  await withListener(echo, async ({ listener }) => {
    await assert.rejects(
      tcp.listen({ ...plain, port: listener.port }, () => new TcpRecorder()),
      (error: unknown) => {
        assert.ok(error instanceof TcpError);
        assert.equal(error.code, "EADDRINUSE");
        assert.match(
          error.message,
          new RegExp(`^Cannot listen on 127.0.0.1:${listener.port}: the port is taken`),
        );
        return true;
      },
    );
  });
});

test("an address that is not ours is refused with its code", async () => {
  await assert.rejects(
    tcp.listen({ ...plain, host: "192.0.2.1" }, () => new TcpRecorder()),
    (error: unknown) => {
      assert.ok(error instanceof TcpError);
      assert.ok(["EADDRNOTAVAIL", "EINVAL"].includes(error.code), error.code);
      assert.match(error.message, /^Cannot listen on 192.0.2.1:0: .*this machine/);
      return true;
    },
  );
});

test("close frees the port at once and leaves accepted sockets to their owners", async () => {
  await withListener(echo, async ({ listener }) => {
    const { socket, told } = await connectTo(listener);
    socket.write(new Uint8Array(1));
    await until("echoed", () => told.byteCount === 1);
    await listener.close();
    const second = await tcp.listen({ ...plain, port: listener.port }, () => new TcpRecorder());
    socket.write(new Uint8Array(1));
    await until("echoed after close", () => told.byteCount === 2);
    await second.close();
    await assert.rejects(connectTo(listener), (error: unknown) => systemCodeOf(error) === "ECONNREFUSED");
    socket.destroy();
  });
});

test("a refused connect rejects with ECONNREFUSED, and its handler is told nothing", async () => {
  const listener = await tcp.listen(plain, () => new TcpRecorder());
  await listener.close();
  const told = new TcpRecorder();
  for (const name of [host, "localhost"]) {
    await assert.rejects(
      tcp.connect({ host: name, port: listener.port, timeoutMs: 5000 }, told),
      (error: unknown) => {
        assert.ok(error instanceof TcpError);
        assert.equal(error.code, "ECONNREFUSED");
        assert.match(error.message, /^Cannot connect to .*: nobody listens there/);
        return true;
      },
    );
  }
  await sleep(20);
  assert.equal(told.closedCount, 0);
});

test("an unknown host rejects", async () => {
  const connecting = tcp.connect(
    { host: "no-such-host.invalid", port: 1, timeoutMs: 5000 },
    new TcpRecorder(),
  );
  await assert.rejects(connecting, TcpError);
});

test("a connect without an answer rejects with ETIMEDOUT in time, and its handler is told nothing", async () => {
  // A listener with a full queue answers nobody: its process is stopped, so nothing is ever accepted.
  const silent = await silentPort();
  try {
    const told = new TcpRecorder();
    const before = performance.now();
    await assert.rejects(
      tcp.connect({ host: silent.host, port: silent.port, timeoutMs: 200 }, told),
      (error: unknown) => {
        assert.ok(error instanceof TcpError);
        assert.equal(error.code, "ETIMEDOUT");
        return true;
      },
    );
    const took = performance.now() - before;
    assert.ok(took >= 150 && took < 3000, `took ${took} ms`);
    await sleep(20);
    assert.equal(told.closedCount, 0);
  } finally {
    silent.close();
  }
});

/** A port on loopback whose queue of waiting connections is full, so that a further SYN is dropped. */
async function silentPort(): Promise<{ host: string; port: number; close(): void }> {
  const { spawn } = await import("node:child_process");
  const script =
    "const s = require('net').createServer(); s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {" +
    " require('fs').writeSync(1, String(s.address().port) + '\\n');" +
    " Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20000); process.exit(); });";
  const child = spawn(
    process.execPath,
    "Bun" in globalThis ? ["-e", script] : ["eval", "--ext=cjs", script],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const port = await new Promise<number>((resolve) =>
    child.stdout.once("data", (text) => resolve(Number(String(text))))
  );
  // Bun has no say in the queue's length: it is 512.
  const fillers = Array.from({ length: 600 }, () => nodeNet.connect(port, host).on("error", () => {}));
  await sleep(100);
  return {
    host,
    port,
    close() {
      for (const filler of fillers) filler.destroy();
      child.kill("SIGKILL");
    },
  };
}

test("2,000 sockets are written to in one turn", async () => {
  const count = 2000;
  await withListener(() => {}, async ({ listener, accepted }) => {
    const clients: Side[] = [];
    for (let i = 0; i < count; i += 100) {
      clients.push(...await Promise.all(Array.from({ length: 100 }, () => connectTo(listener))));
    }
    await until("all accepted", () => accepted.length === count);
    let dones = 0;
    const done = (): void => {
      dones++;
    };
    const bytes = new Uint8Array(64);
    const before = performance.now();
    for (const { socket } of accepted) socket.write(bytes, done);
    const took = performance.now() - before;
    await until("all received", () => clients.every(({ told }) => told.byteCount === 64));
    assert.equal(dones, count);
    assert.ok(took < 500, `2,000 writes took ${took} ms`);
    for (const { socket } of clients) socket.destroy();
    await until("all closed", () => clients.every(({ told }) => told.closedCount === 1));
  }, { ...plain, backlog: 511 });
});

// ------------------------------------------------------------------------------------------ tls

function certificate(): { key: string; cert: string } | null {
  const directory = mkdtempSync(join(tmpdir(), "zoolet-tls-"));
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const args =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost " +
    `-addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout ${key} -out ${cert}`;
  try {
    execFileSync("openssl", args.split(" "), { stdio: "ignore", timeout: 20_000 });
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } catch {
    // No openssl here: these tests are skipped.
    return null;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const pair = certificate();

test(
  "over TLS a client gets its echo, and a half-closed one the rest of it",
  { skip: pair === null },
  async () => {
    if (pair === null) return;
    await withListener(echo, async ({ listener, accepted }) => {
      const how = { host, port: listener.port, ca: pair.cert, allowHalfOpen: true };
      const client = nodeTls.connect(how);
      let received = 0;
      let closed = false;
      client.on("data", (bytes: Uint8Array) => received += bytes.length);
      client.on("close", () => closed = true);
      await new Promise<void>((resolve, reject) => {
        client.once("secureConnect", resolve);
        client.once("error", reject);
      });
      client.write(new Uint8Array(500_000));
      await until("echoed", () => received === 500_000);
      assert.equal(accepted[0]?.socket.remoteAddress, host);
      client.end(new Uint8Array(1000));
      await until("closed", () => closed);
      assert.equal(received, 501_000);
      await until("the server's side closed", () => accepted[0]?.told.closedCount === 1);
      assert.equal(accepted[0]?.told.cause, null);
    }, { ...plain, tls: { ...pair, clientCert: false } });
  },
);

test("a listener that wants client certificates takes the known and refuses the rest", {
  skip: pair === null,
}, async () => {
  if (pair === null) return;
  await withListener(echo, async ({ listener, accepted }) => {
    const nobody = nodeTls.connect({ host, port: listener.port, ca: pair.cert });
    let closed = false;
    nobody.on("error", () => {});
    nobody.on("close", () => closed = true);
    nobody.on("secureConnect", () => nobody.write("x"));
    await until("the stranger is refused", () => closed);
    const plainText = nodeNet.connect(listener.port, host);
    let plainClosed = false;
    plainText.on("error", () => {});
    plainText.on("close", () => plainClosed = true);
    plainText.resume();
    plainText.write("GET / HTTP/1.0\r\n\r\n");
    await until("plain text is refused", () => plainClosed);
    assert.equal(accepted.filter(({ told }) => told.byteCount > 0).length, 0);

    const known = nodeTls.connect({
      host,
      port: listener.port,
      ca: pair.cert,
      key: pair.key,
      cert: pair.cert,
    });
    let text = "";
    known.on("data", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
    known.on("error", () => {});
    known.write("hello");
    await until("the known client has its echo", () => text === "hello");
    known.destroy();
  }, { ...plain, tls: { ...pair, ca: pair.cert, clientCert: true } });
});

test("a TLS key that is none is refused with a message", async () => {
  const options: TcpListenOptions = {
    ...plain,
    tls: { key: "no key", cert: "no certificate", clientCert: false },
  };
  await assert.rejects(
    tcp.listen(options, () => new TcpRecorder()),
    /^TcpError: Cannot use the TLS key and certificate/,
  );
});

test("a TLS certificate for another key is refused with a message", { skip: pair === null }, async () => {
  if (pair === null) return;
  const other = certificate();
  assert.ok(other !== null);
  const options: TcpListenOptions = { ...plain, tls: { key: other.key, cert: pair.cert, clientCert: false } };
  await assert.rejects(tcp.listen(options, () => new TcpRecorder()), /the certificate is for another key/);
});

test("a connect that is given up rejects at once with ECANCELED, and leaves no socket; later it has no effect", async () => {
  await withListener(echo, async ({ listener, accepted }) => {
    const to = { host, port: listener.port, timeoutMs: 5000, keepAlive: true };
    const early = new AbortController();
    early.abort();
    await assert.rejects(tcp.connect({ ...to, cancel: early.signal }, new TcpRecorder()), {
      code: "ECANCELED",
    });

    const middle = new AbortController();
    const told = new TcpRecorder();
    const attempt = tcp.connect({ ...to, cancel: middle.signal }, told);
    middle.abort();
    await assert.rejects(attempt, { code: "ECANCELED" });
    await sleep(20);
    assert.equal(told.closedCount, 0, "the handler of an attempt that failed is told nothing");
    // The kernel may have finished what we gave up; the other side then sees it end.
    await until("nothing stays open", () => accepted.every((side) => side.told.closedCount === 1));

    const late = new AbortController();
    const answered = new TcpRecorder();
    const socket = await tcp.connect({ ...to, cancel: late.signal }, answered);
    late.abort();
    socket.write(new TextEncoder().encode("still here"));
    await until("the echo", () => answered.text() === "still here");
    socket.end();
    await until("closed", () => answered.closedCount === 1);
  });
});
