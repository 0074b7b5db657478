/**
 * Link: one TCP connection to one server, from the attempt to its end.
 *
 * It shakes hands, splits frames and gathers what is to be sent, so that all requests of one turn
 * leave with one write. It knows nothing of xids. Whatever goes wrong ends it exactly once, with a
 * cause a person can read; after that its owner hears no more of it.
 */
import { must } from "../core/base/assert.ts";
import { Reader } from "../core/wire/reader.ts";
import { type ConnectReply, readConnectReply } from "../core/wire/replies.ts";
import { type ConnectRequest, writeConnectRequest } from "../core/wire/requests.ts";
import { Writer } from "../core/wire/writer.ts";
import { systemCodeOf, type TcpHandler, type TcpSocket } from "../runtime/ports.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import { replyBytesMax } from "./limits.ts";
import { type ServerAddress, serverText } from "./servers.ts";
import { afterMs } from "./timers.ts";
import type { ClientRuntime } from "./types.ts";

export interface LinkOwner {
  /** The handshake's answer; the session may still be refused in it. */
  shaken(reply: ConnectReply): void;
  frame(payload: Uint8Array): void;
  /** `code` is the system's where there is one. */
  over(cause: string, code: string): void;
}

export class Link implements TcpHandler {
  readonly address: ServerAddress;
  readonly #runtime: ClientRuntime;
  readonly #owner: LinkOwner;
  readonly #splitter = new FrameSplitter(replyBytesMax);
  readonly #out = new Writer();
  #socket: TcpSocket | null = null;
  #shaken = false;
  #over = false;
  #flushing = false;
  #stopTimer: () => void = () => {};
  receivedAtMs: number;
  sentAtMs: number;

  constructor(runtime: ClientRuntime, address: ServerAddress, owner: LinkOwner) {
    this.#runtime = runtime;
    this.#owner = owner;
    this.address = address;
    this.receivedAtMs = runtime.clock.monotonicMs();
    this.sentAtMs = this.receivedAtMs;
  }

  /** Connects and shakes hands within `limitMs`. */
  open(request: ConnectRequest, limitMs: number): void {
    this.#stopTimer = afterMs(limitMs, () => {
      const doing = this.#socket === null ? "no connection" : "no answer to the handshake";
      this.#end(`${doing} within ${Math.round(limitMs)} ms`, "ETIMEDOUT");
    });
    const { host, port } = this.address;
    this.#runtime.tcp.connect({ host, port, timeoutMs: limitMs }, this).then((socket) => {
      this.#socket = socket;
      if (this.#over) return socket.destroy();
      const writer = new Writer(64);
      writer.i32(0);
      writeConnectRequest(writer, request);
      writer.i32At(0, writer.length - 4);
      socket.write(writer.view());
    }, (error: unknown) => this.#end(causeOf(error), systemCodeOf(error)));
  }

  /** Writes one request's payload; its frame leaves with the others of this turn. */
  send(fill: (writer: Writer) => void): void {
    const at = this.#out.room(4);
    fill(this.#out);
    this.#out.i32At(at, this.#out.length - at - 4);
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#over || this.#out.length === 0) return;
    must(this.#socket, "only a link that shook hands sends").write(this.#out.copy());
    this.#out.clear();
    this.sentAtMs = this.#runtime.clock.monotonicMs();
  }

  /** Leaves without a word; the owner is not told. */
  drop(): void {
    this.#over = true;
    this.#stopTimer();
    this.#socket?.destroy();
  }

  /** Ends as if the network had. */
  cut(cause: string): void {
    this.#end(cause, "");
  }

  data(bytes: Uint8Array): void {
    if (this.#over) return;
    this.receivedAtMs = this.#runtime.clock.monotonicMs();
    const wrong = this.#splitter.push(bytes, (payload) => {
      if (this.#shaken) this.#owner.frame(payload);
      else this.#shake(payload);
      return !this.#over;
    });
    if (wrong !== null) {
      this.#end(`a frame of ${wrong} bytes was announced, at most ${replyBytesMax} are read`, "");
    }
  }

  #shake(payload: Uint8Array): void {
    // A server without quorum that only reads and cannot make sessions answers with a bare reply
    // header. client-protocol 2.7.
    if (payload.length === 16) {
      return this.#end("the server only reads at the moment and opens no sessions", "");
    }
    const reader = new Reader(payload);
    const reply = readConnectReply(reader);
    if (reader.failed) return this.#end(`a handshake of ${payload.length} bytes is not ZooKeeper's`, "");
    this.#shaken = true;
    this.#stopTimer();
    this.#owner.shaken(reply);
  }

  ended(): void {
    this.#end(this.#shaken ? "the server closed the connection" : closedEarly, "");
  }

  drained(): void {}

  closed(cause: Error | null): void {
    if (cause !== null) this.#end(causeOf(cause), systemCodeOf(cause));
    else this.ended();
  }

  #end(cause: string, code: string): void {
    if (this.#over) return;
    this.drop();
    this.#owner.over(cause, code);
  }

  get text(): string {
    return serverText(this.address);
  }
}

const closedEarly = "the server closed the connection before it answered the handshake";

const causeByCode: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connection refused, nothing listens there"],
  ["ENOTFOUND", "no such host name"],
  ["EAI_AGAIN", "the host name could not be looked up"],
  ["ETIMEDOUT", "no connection in time"],
  ["ECONNRESET", "the server reset the connection"],
  ["EHOSTUNREACH", "no route to that host"],
  ["ENETUNREACH", "no route to that network"],
]);

function causeOf(error: unknown): string {
  const known = causeByCode.get(systemCodeOf(error));
  if (known !== undefined) return known;
  return error instanceof Error ? error.message : String(error);
}
