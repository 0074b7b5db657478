/**
 * The HTTP port, alike on both runtimes: a fetch-style handler behind a real socket.
 */
import assert from "node:assert/strict";
import nodeNet from "node:net";
import { test } from "node:test";
import { TcpError } from "../../src/runtime/ports.ts";
import type { HttpServer } from "../../src/runtime/ports.ts";
import { http } from "../../src/runtime/shared/http.ts";
import { sleep } from "../support/places.ts";
import { until } from "../support/tcp_recorder.ts";

const host = "127.0.0.1";

async function withServer(
  handler: (request: Request) => Response | Promise<Response>,
  body: (base: string, server: HttpServer) => Promise<void>,
  bodyBytesMax?: number,
): Promise<void> {
  const server = await http.serve(
    { host, port: 0, ...(bodyBytesMax === undefined ? {} : { bodyBytesMax }) },
    handler,
  );
  try {
    await body(`http://${host}:${server.port}`, server);
  } finally {
    await server.close();
  }
}

/** Sends text as it is and collects the answer until the server closes, or `ms` pass. */
async function talk(port: number, text: string, ms = 5000): Promise<{ text: string; closed: boolean }> {
  const socket = nodeNet.connect(port, host);
  const answer = { text: "", closed: false };
  socket.on("data", (bytes: Uint8Array) => answer.text += new TextDecoder("latin1").decode(bytes));
  socket.on("error", () => {});
  socket.on("close", () => answer.closed = true);
  socket.write(text);
  const deadline = performance.now() + ms;
  while (!answer.closed && performance.now() < deadline) await sleep(5);
  socket.destroy();
  return answer;
}

async function seen(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  return Response.json({
    method: request.method,
    pathname,
    search,
    header: request.headers.get("x-question"),
    body: await request.text(),
  }, { status: 201, headers: { "x-answer": "yes" } });
}

test("method, path, query, headers and body arrive; status, headers and body go back", async () => {
  await withServer(seen, async (base) => {
    const response = await fetch(`${base}/commands/a%20b?x=1&y=%2F`, {
      method: "POST",
      headers: { "x-question": "why" },
      body: "grüße",
    });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("x-answer"), "yes");
    assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
    assert.deepEqual(await response.json(), {
      method: "POST",
      pathname: "/commands/a%20b",
      search: "?x=1&y=%2F",
      header: "why",
      body: "grüße",
    });
    const get = await fetch(`${base}/`, { headers: { "x-question": "again" } });
    assert.equal((await get.json() as { method: string }).method, "GET");
    for (const method of ["PUT", "DELETE", "OPTIONS", "PATCH"]) {
      const other = await fetch(base, { method });
      assert.equal((await other.json() as { method: string }).method, method);
    }
  });
});

test("a short answer tells its length, an answer without a body has none", async () => {
  await withServer((request) => {
    return new URL(request.url).pathname === "/none"
      ? new Response(null, { status: 204 })
      : new Response("twelve bytes");
  }, async (base) => {
    const short = await fetch(base);
    assert.equal(short.headers.get("content-length"), "12");
    assert.equal(await short.text(), "twelve bytes");
    const none = await fetch(`${base}/none`);
    assert.equal(none.status, 204);
    assert.equal(await none.text(), "");
    const empty = await fetch(`${base}/none`, { method: "HEAD" });
    assert.equal(empty.status, 204);
  });
});

test("HEAD gets the headers and no body, and the connection serves on", async () => {
  await withServer(
    (request) => new Response("body", { headers: { "x-method": request.method } }),
    async (_, { port }) => {
      const question =
        "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
      const answer = await talk(port, question);
      assert.match(
        answer.text,
        /^HTTP\/1\.1 200 OK\r\n[^]*x-method: HEAD[^]*?\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nbody$/i,
      );
      assert.equal(answer.closed, true);
    },
  );
});

test("cookies stay apart, and other headers that repeat are joined", async () => {
  await withServer(() => {
    const headers = new Headers();
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    headers.append("x-many", "1");
    headers.append("x-many", "2");
    return new Response("", { headers });
  }, async (base) => {
    const response = await fetch(base);
    assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.equal(response.headers.get("x-many"), "1, 2");
    await response.body?.cancel();
  });
});

test("a long answer is streamed, and only as fast as the client reads", async () => {
  const piece = new Uint8Array(256 << 10).fill(7);
  let pulled = 0;
  let cancelled = false;
  const long = (): Response =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          if (pulled++ === 200) controller.close();
          else controller.enqueue(piece);
        },
        cancel: () => {
          cancelled = true;
        },
      }),
    );
  await withServer(long, async (base, { port }) => {
    const response = await fetch(base);
    assert.equal((await response.arrayBuffer()).byteLength, 200 * piece.length);

    pulled = 0;
    const slow = nodeNet.connect(port, host);
    slow.on("error", () => {});
    slow.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    slow.pause();
    await until("the answer began", () => pulled > 1);
    await sleep(200);
    assert.ok(pulled < 100, `${pulled} pieces were asked for though nobody read`);
    slow.destroy();
    await until("the rest is given up when the client is gone", () => cancelled);
  });
});

test("a body above the limit is answered with 413, told or chunked, and the handler is not asked", async () => {
  let asked = 0;
  await withServer(() => {
    asked++;
    return new Response("fine");
  }, async (base, { port }) => {
    const exact = await fetch(base, { method: "POST", body: "x".repeat(1000) });
    assert.equal(exact.status, 200);
    await exact.body?.cancel();
    assert.equal(asked, 1);

    const told = await talk(port, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
    assert.match(told.text, /^HTTP\/1\.1 413 [^]*its body is above 1000 bytes/);
    assert.equal(told.closed, true);

    const chunk = `3e8\r\n${"y".repeat(1000)}\r\n`;
    const chunked = await talk(
      port,
      `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`,
    );
    assert.match(chunked.text, /^HTTP\/1\.1 413 /);
    assert.equal(chunked.closed, true);
    assert.equal(asked, 1);
  }, 1000);
});

test("headers above the limit are refused", async () => {
  let asked = 0;
  await withServer(() => {
    asked++;
    return new Response("fine");
  }, async (base, { port }) => {
    const answer = await talk(port, `GET / HTTP/1.1\r\nHost: h\r\nX-Long: ${"z".repeat(100_000)}\r\n\r\n`);
    assert.match(answer.text, /^(HTTP\/1\.1 431 |$)/);
    assert.equal(answer.closed, true);
    assert.equal(asked, 0);
    assert.equal((await fetch(base)).status, 200, "the server goes on");
  });
});

test("what is not HTTP, or has no sense as an address, is refused and the server goes on", async () => {
  await withServer(seen, async (base, { port }) => {
    for (
      const text of [
        "ruok",
        "\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x75\x30",
        "GET / HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n",
        "GET nonsense HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nBad Header\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "TRACE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nshort",
      ]
    ) {
      const answer = await talk(port, text, 300);
      assert.match(answer.text, /^(HTTP\/1\.1 (4\d\d|501|201) |$)/, text);
    }
    assert.equal((await fetch(base)).status, 201);
  });
});

test("a handler that throws is answered with 500 and its message", async () => {
  await withServer(() => {
    throw new Error("no such thing");
  }, async (base) => {
    const response = await fetch(`${base}/x`);
    assert.equal(response.status, 500);
    assert.equal(await response.text(), "Cannot answer GET /x: no such thing\n");
  });
});

test("an answer that breaks in the middle cuts the connection, and the server goes on", async () => {
  let count = 0;
  await withServer(() =>
    count++ > 0 ? new Response("fine") : new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          if (count++ < 4) controller.enqueue(new Uint8Array(1000));
          else controller.error(new Error("the disk broke"));
        },
      }),
    ), async (base) => {
    await assert.rejects(fetch(base).then((response) => response.arrayBuffer()));
    assert.equal(await (await fetch(base)).text(), "fine");
  });
});

test("close ends idle keep-alive connections at once and frees the port", async () => {
  const server = await http.serve({ host, port: 0 }, () => new Response("fine"));
  const idle = nodeNet.connect(server.port, host);
  let received = "";
  let closed = false;
  idle.on("data", (bytes: Uint8Array) => received += new TextDecoder().decode(bytes));
  idle.on("error", () => {});
  idle.on("close", () => closed = true);
  idle.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  await until("answered", () => received.endsWith("fine"));
  const silent = nodeNet.connect(server.port, host);
  let silentClosed = false;
  silent.on("error", () => {});
  silent.on("close", () => silentClosed = true);
  silent.resume();
  await sleep(20);
  await server.close();
  await until("the idle connection is cut", () => closed, 1000);
  // One that has not said a word is cut at once by Deno, and by Bun when it speaks.
  silent.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  await until("the silent connection is cut", () => silentClosed, 1000);
  const again = await http.serve({ host, port: server.port }, () => new Response("again"));
  assert.equal(await (await fetch(`http://${host}:${again.port}`)).text(), "again");
  await again.close();
});

test("a taken port is refused with EADDRINUSE and a message that names it", async () => {
  await withServer(seen, async (_, { port }) => {
    await assert.rejects(http.serve({ host, port }, seen), (error: unknown) => {
      assert.ok(error instanceof TcpError);
      assert.equal(error.code, "EADDRINUSE");
      assert.match(error.message, new RegExp(`^Cannot serve HTTP on 127.0.0.1:${port}: the port is taken`));
      return true;
    });
  });
});
