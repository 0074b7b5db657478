/**
 * HTTP over `node:http`, for a handler that knows only Request and Response.
 *
 * It carries the admin pages: a few requests a second, any of them from a stranger. So the body is
 * read whole, below a limit, before the handler is asked; headers have a limit and a deadline; and
 * `close` cuts idle keep-alive connections instead of waiting for them. `node:http` is loaded by
 * `serve` only: a server without admin pages does not pay for it.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { systemCodeOf, TcpError } from "../ports.ts";
import type { HttpPort, HttpServer } from "../ports.ts";
import { descriptors } from "./descriptors.ts";

const headerBytesMax = 16 << 10;
const bodyBytesMaxDefault = 1 << 20;
const headersMsMax = 10_000;
const bodyMsMax = 30_000;
const requestMsMax = 60_000;
const keepAliveMsMax = 30_000;
const connectionsMax = 256;

type Handler = (request: Request) => Response | Promise<Response>;

export const http: HttpPort = { serve };

async function serve(
  options: { readonly host: string; readonly port: number; readonly bodyBytesMax?: number },
  handler: Handler,
): Promise<HttpServer> {
  const { createServer } = await import("node:http");
  const bodyBytesMax = options.bodyBytesMax ?? bodyBytesMaxDefault;
  const server = createServer({
    maxHeaderSize: headerBytesMax,
    headersTimeout: headersMsMax,
    requestTimeout: requestMsMax,
    keepAliveTimeout: keepAliveMsMax,
    connectionsCheckingInterval: 2000,
  }, (incoming, outgoing) => {
    answer(incoming, outgoing, handler, bodyBytesMax).catch((error: unknown) => {
      // The connection broke, or the handler failed after its answer had begun: nothing can be
      // said any more but by cutting it short.
      outgoing.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  server.maxConnections = connectionsMax;

  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    if (!descriptors.hasRoom(true)) return socket.destroy();
    descriptors.hold(socket);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const code = systemCodeOf(error);
      const advice = code === "EADDRINUSE"
        ? "the port is taken; choose another or stop who has it"
        : String(error);
      reject(
        new TcpError(code, `Cannot serve HTTP on ${options.host}:${options.port}: ${advice}`, {
          cause: error,
        }),
      );
    });
    server.listen(options.port, options.host, resolve);
  });
  // Later errors concern one connection that could not be accepted; the server itself goes on.
  server.on("error", () => {});

  const bound = server.address();
  const port = bound !== null && typeof bound === "object" ? bound.port : options.port;
  return {
    port,
    close: () => {
      // In this order: after `close` Bun has forgotten its connections.
      server.closeAllConnections();
      server.close();
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: Handler,
  bodyBytesMax: number,
): Promise<void> {
  const method = incoming.method ?? "GET";
  const body = method === "GET" || method === "HEAD" ? null : await bodyOf(incoming, bodyBytesMax);
  if (body === "too long") {
    // The rest of the body is not read, so the connection cannot be used again.
    outgoing.setHeader("connection", "close");
    return refuse(outgoing, 413, `Cannot read the request: its body is above ${bodyBytesMax} bytes`);
  }
  let request: Request;
  try {
    request = requestOf(incoming, method, body);
  } catch (error) {
    return refuse(outgoing, 400, `Cannot read the request: ${messageOf(error)}`);
  }
  let response: Response;
  try {
    response = await handler(request);
  } catch (error) {
    return refuse(
      outgoing,
      500,
      `Cannot answer ${method} ${new URL(request.url).pathname}: ${messageOf(error)}`,
    );
  }
  await send(outgoing, response, method === "HEAD");
}

async function bodyOf(
  incoming: IncomingMessage,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer> | "too long"> {
  if (Number(incoming.headers["content-length"] ?? 0) > bytesMax) return "too long";
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Kept here as well as by `requestTimeout`, which Bun does not apply to a body.
  const late = setTimeout(() => incoming.socket.destroy(), bodyMsMax);
  late.unref();
  try {
    for await (const chunk of incoming as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > bytesMax) return "too long";
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(late);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

function requestOf(incoming: IncomingMessage, method: string, body: Uint8Array<ArrayBuffer> | null): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (Array.isArray(value)) { for (const one of value) headers.append(name, one); }
    else if (value !== undefined) headers.set(name, value);
  }
  const target = incoming.url ?? "/";
  // A target is a path, or a whole URL when the client takes us for a proxy.
  const url = target.startsWith("/")
    ? new URL(`http://${headers.get("host") ?? "localhost"}${target}`)
    : new URL(target);
  return new Request(
    url,
    body === null || body.length === 0 ? { method, headers } : { method, headers, body },
  );
}

async function send(outgoing: ServerResponse, response: Response, isHead: boolean): Promise<void> {
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) {
    if (name !== "set-cookie") outgoing.setHeader(name, value);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader("set-cookie", cookies);

  if (response.body === null || isHead) {
    await response.body?.cancel();
    outgoing.end();
    return;
  }
  const reader = response.body.getReader();
  const first = await reader.read();
  const second = first.done ? first : await reader.read();
  if (second.done) {
    // Nearly every answer is one piece: then its length is known and told.
    const bytes = first.value ?? new Uint8Array(0);
    outgoing.setHeader("content-length", bytes.length);
    outgoing.end(bytes);
    return;
  }
  // A long one is sent as it comes, and only as fast as the client takes it.
  const gone = new Promise<"gone">((resolve) => outgoing.once("close", () => resolve("gone")));
  for (let next = [first.value, second.value]; next.length > 0;) {
    for (const bytes of next) {
      if (bytes === undefined || outgoing.write(bytes)) continue;
      const drained = new Promise<"drained">((resolve) => outgoing.once("drain", () => resolve("drained")));
      if (await Promise.race([drained, gone]) === "gone") return await reader.cancel();
    }
    const { done, value } = await reader.read();
    next = done ? [] : [value];
  }
  outgoing.end();
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.statusCode = status;
  outgoing.setHeader("content-type", "text/plain; charset=utf-8");
  outgoing.end(`${message}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
