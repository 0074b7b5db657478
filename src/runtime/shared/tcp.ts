/**
 * TCP over `node:net`, which is as fast as either runtime's own sockets, so one file serves both.
 *
 * This is the hot path: one `data` and one `write` a turn of the event loop and connection, each
 * carrying many small requests or replies. So there is no closure or object per write: the streams
 * get one bound function per socket, and the owner's `done` functions wait in a queue beside it.
 * (A write costs 4 µs of system call; the callback adds 10 to 40 ns to it on both runtimes.)
 *
 * What is always true, whatever the streams below do: nothing is told after `closed`, `closed` is
 * told once, a fault of the network is its `cause` and never an exception, and after `destroy` no
 * `data` comes. When `unsentBytes` is 0 right after `write`, the kernel has copied the bytes and
 * the array is free already, though `done` is only called at the end of the turn.
 */
import net from "node:net";
import type { Socket } from "node:net";
import nodeProcess from "node:process";
import type { TLSSocket } from "node:tls";
import { systemCodeOf, TcpError } from "../ports.ts";
import { descriptors } from "./descriptors.ts";
import type {
  TcpConnectOptions,
  TcpHandler,
  TcpListener,
  TcpListenOptions,
  TcpPort,
  TcpSocket,
} from "../ports.ts";

/** A TLS client that has not finished its handshake by then is cut off. */
const tlsHandshakeMsMax = 10_000;

export const tcp: TcpPort = { listen, connect };

/** Listeners that may have stopped accepting are replaced after this, and not more often. */
const renewMs = 100;
const stopsAccepting = nodeProcess.versions["deno"] !== undefined;
/** Replaces a listener by a new one on its port; of every listener, since all share the descriptors. */
const renewals = new Set<() => void>();
let renewing: ReturnType<typeof setTimeout> | null = null;

if (stopsAccepting) descriptors.eased = renewSoon;

function renewSoon(): void {
  renewing ??= setTimeout(() => {
    renewing = null;
    for (const renew of renewals) renew();
  }, renewMs);
}

async function listen(
  options: TcpListenOptions,
  accept: (socket: TcpSocket) => TcpHandler,
): Promise<TcpListener> {
  const hasRoom = (socket: Socket): boolean => {
    if (descriptors.hasRoom(options.isReserved === true)) return true;
    options.onRefused?.(`Closed a new connection: ${descriptors.text}`);
    // Nobody else listens to what becomes of it.
    socket.on("error", () => {});
    socket.destroy();
    if (stopsAccepting) renewSoon();
    return false;
  };
  const welcome = (socket: Socket): void => {
    if (!hasRoom(socket)) return;
    socket.setNoDelay(true);
    if (options.keepAlive) socket.setKeepAlive(true);
    const wrapped = new NodeTcpSocket(socket);
    wrapped.attach(accept(wrapped));
  };
  const where = `${options.host ?? "*"}:${options.port}`;
  const bind = async (port: number): Promise<net.Server> => {
    // allowHalfOpen: a client may send a four-letter word, close its side, and read the answer.
    const made = options.tls === undefined
      ? net.createServer({ allowHalfOpen: true }, welcome)
      : await tlsServer(options.tls, welcome);
    await new Promise<void>((resolve, reject) => {
      made.once("error", (error) => reject(tcpErrorOf(`Cannot listen on ${where}`, error)));
      made.listen({
        port,
        ...(options.host === null ? {} : { host: options.host }),
        // Bun has no say in it: its queue holds 512.
        backlog: descriptors.backlog(options.backlog),
      }, resolve);
    });
    made.on("error", (error) => {
      options.onRefused?.(`Cannot accept a connection on ${where}: ${messageOf(error)}; ${descriptors.text}`);
    });
    return made;
  };
  let server = await bind(options.port);
  let closed = false;
  const bound = server.address();
  if (bound === null || typeof bound === "string") {
    throw new TcpError("", `Cannot listen on ${where}: no address`);
  }
  // Many connections at once may use up the descriptors before the first of them can be closed. Under Deno
  // the listener then accepts nothing any more and says nothing, but a new one in its place does.
  const renew = (): void => {
    server.close();
    bind(bound.port).then((made) => {
      server = made;
      if (closed) made.close();
    }, (error: unknown) => {
      options.onRefused?.(`${messageOf(error)}; tried again in ${renewMs} ms`);
      renewSoon();
    });
  };
  renewals.add(renew);
  return {
    port: bound.port,
    address: plainAddress(bound.address),
    // Resolves once the port is free; connections that were accepted live on with their owners,
    // and the server's own callback, which waits for all of them, is not asked for.
    close: () => {
      closed = true;
      renewals.delete(renew);
      server.close();
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

async function tlsServer(
  options: NonNullable<TcpListenOptions["tls"]>,
  welcome: (socket: TLSSocket) => void,
): Promise<net.Server> {
  // Imported here so that a server without TLS does not load it.
  const { createServer } = await import("node:tls");
  const { createPrivateKey, X509Certificate } = await import("node:crypto");
  try {
    // Deno's `createServer` takes any text and then fails each handshake, so it is looked at first.
    if (!new X509Certificate(options.cert).checkPrivateKey(createPrivateKey(options.key))) {
      throw new Error("the certificate is for another key");
    }
    if (options.ca !== undefined) new X509Certificate(options.ca);
    const server = createServer({
      allowHalfOpen: true,
      key: options.key,
      cert: options.cert,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      requestCert: options.clientCert,
      rejectUnauthorized: options.clientCert,
      minVersion: "TLSv1.2",
      handshakeTimeout: tlsHandshakeMsMax,
    }, welcome);
    // A failed handshake is the stranger's affair: the socket is gone and was never handed up.
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  } catch (error) {
    throw new TcpError(systemCodeOf(error), `Cannot use the TLS key and certificate: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function connect(options: TcpConnectOptions, handler: TcpHandler): Promise<TcpSocket> {
  const { host, port, timeoutMs, cancel } = options;
  const attempt = `Cannot connect to ${host}:${port}`;
  if (cancel?.aborted) return Promise.reject(new TcpError("ECANCELED", `${attempt}: given up`));
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      clearTimeout(timer);
      cancel?.removeEventListener("abort", giveUp);
      return true;
    };
    const fail = (error: TcpError): void => {
      if (settle()) reject(error);
    };
    const giveUp = (): void => {
      fail(new TcpError("ECANCELED", `${attempt}: given up`));
      socket.destroy();
    };
    const timer = setTimeout(() => {
      fail(new TcpError("ETIMEDOUT", `${attempt}: no answer within ${timeoutMs} ms`));
      socket.destroy();
    }, timeoutMs);
    const socket = net.connect({ host, port, allowHalfOpen: true });
    cancel?.addEventListener("abort", giveUp);
    // Until it is connected the outcome is told by the promise alone, later by the handler alone.
    socket.on("error", (error) => fail(tcpErrorOf(attempt, error)));
    socket.once(
      "close",
      () => fail(new TcpError("ECONNRESET", `${attempt}: closed before it was connected`)),
    );
    socket.once("connect", () => {
      if (!settle()) return socket.destroy();
      socket.setNoDelay(true);
      if (options.keepAlive === true) socket.setKeepAlive(true);
      const wrapped = new NodeTcpSocket(socket);
      wrapped.attach(handler);
      resolve(wrapped);
    });
  });
}

type Done = (() => void) | undefined;

/**
 * The life of a socket, as its owner sees it:
 *
 *     open ──end()──► ending ──close──► closed
 *       └──destroy()──► destroyed ──close──► closed
 */
class NodeTcpSocket implements TcpSocket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #socket: Socket;
  #handler: TcpHandler | null = null;
  #life: "open" | "ending" | "destroyed" | "closed" = "open";
  #cause: Error | null = null;
  /** One entry for each write in flight, in order; the streams call back in that order. */
  #dones: Done[] = [];
  #doneNext = 0;
  /** Some write was not taken whole; `drained` is owed once all is gone. */
  #behind = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Asked once: the address is gone when the other side is, and logs want it then.
    this.remoteAddress = plainAddress(socket.remoteAddress ?? "");
    this.remotePort = socket.remotePort ?? 0;
    descriptors.hold(socket);
  }

  attach(handler: TcpHandler): void {
    this.#handler = handler;
    const socket = this.#socket;
    socket.on("data", (chunk: Uint8Array) => {
      if (this.#life === "destroyed" || this.#life === "closed") return;
      // A plain view instead of a Buffer, whose `slice` would share memory where Uint8Array's
      // copies: a znode's hundred bytes would keep the whole chunk alive. 30 ns a chunk.
      handler.data(new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength));
    });
    socket.on("end", () => {
      if (this.#life === "open" || this.#life === "ending") handler.ended();
    });
    socket.on("error", (error: Error) => {
      // What happens to a socket that we have given up is no longer news.
      if (this.#life !== "destroyed") this.#cause ??= error;
    });
    socket.on("close", () => {
      if (this.#life === "closed") return;
      this.#life = "closed";
      this.#dones = [];
      handler.closed(this.#cause);
    });
  }

  write(bytes: Uint8Array, done?: () => void): void {
    // To a socket that is going away there is nothing to send; its owner hears `closed`.
    if (this.#life !== "open") return;
    this.#dones.push(done);
    this.#socket.write(bytes, this.#written);
    if (this.#socket.writableLength !== 0) this.#behind = true;
  }

  readonly #written = (error?: Error | null): void => {
    // A failed write is told by `closed`, which also frees the array.
    if (error || this.#life === "destroyed" || this.#life === "closed") return;
    const done = this.#dones[this.#doneNext++];
    if (this.#doneNext === this.#dones.length) {
      this.#dones.length = 0;
      this.#doneNext = 0;
    } else if (this.#doneNext === 1024) {
      // Only a queue that never runs empty gets here; cut off its used part.
      this.#dones = this.#dones.slice(this.#doneNext);
      this.#doneNext = 0;
    }
    if (done !== undefined) done();
    if (this.#behind && this.#socket.writableLength === 0) {
      this.#behind = false;
      this.#handler?.drained();
    }
  };

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#life !== "open") return;
    this.#life = "ending";
    this.#socket.end();
  }

  destroy(): void {
    if (this.#life === "destroyed" || this.#life === "closed") return;
    this.#life = "destroyed";
    this.#socket.destroy();
  }
}

/** An IPv4 client of a dual-stack listener is known by its IPv4 address, as in every log and whitelist. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is taken; stop the process that has it or choose another port",
  EADDRNOTAVAIL: "this machine has no such address; use one of its own or leave the host out",
  // Deno's word for EADDRNOTAVAIL.
  EINVAL: "the system refuses the address; use one of this machine's own or leave the host out",
  EACCES: "not permitted; ports below 1024 need a privilege",
  ENOTFOUND: "no such host name; check the spelling and the name service",
  ECONNREFUSED: "nobody listens there",
  EHOSTUNREACH: "no way to that host",
  ENETUNREACH: "no way to that network",
  ECONNRESET: "the other side cut the connection",
  ETIMEDOUT: "no answer",
};

function tcpErrorOf(attempt: string, error: unknown): TcpError {
  const code = systemCodeOf(error);
  const why = advice[code] ?? messageOf(error);
  return new TcpError(code, `${attempt}: ${why}${code === "" ? "" : ` (${code})`}`, { cause: error });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
