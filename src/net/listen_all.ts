/**
 * Listen on all of a member's addresses, or on none.
 *
 * A port may still be taken by the server that ran here a moment ago, and a host name may not be
 * known yet when the machine has just come up: both are tried a few times.
 */
import { TcpError } from "../runtime/ports.ts";
import type { ClockPort, TcpHandler, TcpListener, TcpPort, TcpSocket } from "../runtime/ports.ts";
import { type Address, plainHost } from "./address.ts";
import type { LinkNote } from "./link_note.ts";

export interface ListenAllOptions {
  readonly tcp: Pick<TcpPort, "listen">;
  readonly clock: Pick<ClockPort, "after">;
  readonly note: LinkNote;
  /** For messages: "the election port". */
  readonly what: string;
  readonly addresses: readonly Address[];
  /** The ports of all addresses, on every interface. */
  readonly allAddresses: boolean;
  readonly keepAlive: boolean;
  readonly retries: number;
  readonly pauseMs: number;
  readonly isOver: () => boolean;
  readonly accept: (socket: TcpSocket) => TcpHandler;
}

export async function listenAll(options: ListenAllOptions): Promise<readonly TcpListener[]> {
  const { addresses, allAddresses } = options;
  const ports = [...new Set(addresses.map(({ port }) => port))];
  const wanted = allAddresses ? ports.map((port) => ({ host: null, port })) : addresses;
  const listeners: TcpListener[] = [];
  try {
    for (const { host, port } of wanted) {
      listeners.push(await listenOnce(options, host === null ? null : plainHost(host), port));
    }
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.close()));
    throw error;
  }
  return listeners;
}

async function listenOnce(
  options: ListenAllOptions,
  host: string | null,
  port: number,
): Promise<TcpListener> {
  const { tcp, clock, note, what, keepAlive, retries, pauseMs, isOver, accept } = options;
  for (let failures = 0;;) {
    try {
      const listener = await tcp.listen({
        host,
        port,
        backlog: -1,
        keepAlive,
        isReserved: true,
        onRefused: (why) => note.note("warn", "accept_failed", `${why}: this is ${what}`, { port }),
      }, accept);
      if (!isOver()) return listener;
      await listener.close();
      throw new TcpError("ECANCELED", `Cannot listen on ${what}: stopped meanwhile`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const code = error instanceof TcpError ? error.code : "";
      if (failures++ >= retries || isOver()) {
        throw new TcpError(code, `${why}: this is ${what}, tried ${failures} times`, { cause: error });
      }
      note.note("warn", "listen_failed", `${why}: this is ${what}, tried again in ${pauseMs} ms`, { port });
      // Nothing else may keep the process alive yet, and it shall not leave without a word.
      await new Promise<void>((resolve) => clock.after(pauseMs, resolve, true));
    }
  }
}
