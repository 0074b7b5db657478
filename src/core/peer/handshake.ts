/**
 * Handshake: the two records that open a connection. client-protocol 2.1.
 */
import { passwordBytes } from "../session/password.ts";
import type { Session } from "../session/table.ts";
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";

export interface ConnectAsked {
  readonly zxidSeen: number;
  readonly timeoutMs: number;
  readonly idHi: number;
  readonly idLo: number;
  readonly password: Uint8Array | null;
  /** Clients from before 3.4, and some of today, do not send the byte, and then must not get one. */
  readonly hasReadOnlyByte: boolean;
}

/** Null where the bytes are no ConnectRequest. */
export function readConnectAsked(r: Reader): ConnectAsked | null {
  r.i32(); // protocol version
  const zxidSeen = r.i64AsNumber();
  const timeoutMs = r.i32();
  const idHi = r.i32();
  const idLo = r.i32();
  const password = r.buffer();
  if (r.failed) return null;
  return { zxidSeen, timeoutMs, idHi, idLo, password, hasReadOnlyByte: r.left > 0 };
}

const passwordNone = new Uint8Array(passwordBytes);

/** With no session it is the refusal: timeout 0, id 0, a password of zeros. */
export function writeConnectResponse(
  out: Writer,
  timeoutMs: number,
  session: Session | null,
  readOnlyByte: boolean,
): void {
  out.i32(readOnlyByte ? 37 : 36);
  out.i32(0);
  out.i32(timeoutMs);
  out.i64Halves(session?.hi ?? 0, session?.lo ?? 0);
  out.buffer(session?.password ?? passwordNone);
  if (readOnlyByte) out.bool(false);
}
