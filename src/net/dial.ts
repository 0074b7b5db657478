/**
 * Dial: an attempt to reach one member at any of its addresses, all at once; the first that answers
 * wins, the others are given up.
 *
 * Always true: exactly one of `opened` (of one handler) and `failed` is called, later, and neither
 * after `cancel`.
 */
import { TcpError } from "../runtime/ports.ts";
import type { TcpHandler, TcpPort, TcpSocket } from "../runtime/ports.ts";
import { type Address, plainHost } from "./address.ts";

/** A handler that is made before its socket. Until `opened` it may ignore all it is told. */
export interface DialHandler extends TcpHandler {
  opened(socket: TcpSocket, address: Address): void;
}

export interface DialOptions {
  readonly tcp: Pick<TcpPort, "connect">;
  /** At least one. */
  readonly addresses: readonly Address[];
  readonly timeoutMs: number;
  readonly keepAlive: boolean;
  readonly makeHandler: () => DialHandler;
  readonly failed: (error: TcpError) => void;
}

export class Dial {
  readonly #options: DialOptions;
  readonly #cancel = new AbortController();
  #over = false;
  #left: number;
  readonly #errors: TcpError[] = [];

  constructor(options: DialOptions) {
    this.#options = options;
    this.#left = options.addresses.length;
    for (const address of options.addresses) this.#try(address);
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancel.abort();
  }

  #try(address: Address): void {
    const { tcp, timeoutMs, keepAlive, makeHandler } = this.#options;
    const handler = makeHandler();
    const to = {
      host: plainHost(address.host),
      port: address.port,
      timeoutMs,
      keepAlive,
      cancel: this.#cancel.signal,
    };
    tcp.connect(to, handler).then(
      (socket) => {
        if (this.#over) return socket.destroy();
        this.#over = true;
        this.#cancel.abort();
        handler.opened(socket, address);
      },
      (error: unknown) => {
        if (this.#over) return;
        this.#errors.push(error instanceof TcpError ? error : new TcpError("", String(error)));
        if (--this.#left > 0) return;
        this.#over = true;
        this.#options.failed(this.#errors[0] as TcpError);
      },
    );
  }
}
