/**
 * Held connects: clients that came while a leader is being elected.
 *
 * An election takes some 20 ms. A client that is turned away in the middle of one falls into its
 * back-off, a second with Java's, so its ConnectRequest is kept for up to half a second and answered
 * once this member serves. Later the client is turned away, to find a server that does.
 *
 * Always true: what is kept is a copy of one short frame; the line is not read while it is kept.
 */
import { connectHeldBytesMax, connectHeldMsMax, connectsHeldMax } from "../base/limits.ts";
import { type Connection, ConnectionState } from "./connection.ts";

interface Held {
  readonly frame: Uint8Array;
  readonly untilMs: number;
}

export class HeldConnects {
  /** Oldest first. */
  readonly #held = new Map<Connection, Held>();

  /** False: there is no room for it. */
  hold(connection: Connection, bytes: Uint8Array, start: number, end: number, monoMs: number): boolean {
    if (this.#held.size >= connectsHeldMax || end - start > connectHeldBytesMax) return false;
    connection.state = ConnectionState.Held;
    this.#held.set(connection, { frame: bytes.slice(start, end), untilMs: monoMs + connectHeldMsMax });
    return true;
  }

  /** Those that waited for long enough; all of them where nobody is to wait any more. */
  *take(monoMs: number): Generator<{ readonly connection: Connection; readonly frame: Uint8Array }> {
    for (const [connection, { frame, untilMs }] of this.#held) {
      const isGone = connection.state !== ConnectionState.Held;
      if (!isGone && monoMs < untilMs) continue;
      this.#held.delete(connection);
      if (isGone) continue;
      connection.state = ConnectionState.Fresh;
      yield { connection, frame };
    }
  }
}
