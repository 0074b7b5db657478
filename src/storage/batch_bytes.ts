/**
 * Batch bytes: `repeated i32 length, txn`, as they come from the core and lie in the log.
 */
import { txnHeaderBytes } from "../core/wire/txns.ts";

export function i32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number);
}

function i64At(bytes: Uint8Array, at: number): number {
  return i32At(bytes, at) * 0x1_0000_0000 + (i32At(bytes, at + 4) >>> 0);
}

/**
 * End of the txn whose length stands at `at`, or -1 where the bytes do not hold one whole txn there.
 * The txn itself is `bytes[at + 4, end)`.
 */
export function txnEndAt(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) return -1;
  const length = i32At(bytes, at);
  const end = at + 4 + length;
  return length < txnHeaderBytes || end > bytes.length ? -1 : end;
}

/** Zxid of the txn whose length stands at `at`. */
export function txnZxidAt(bytes: Uint8Array, at: number): number {
  return i64At(bytes, at + 4 + 12);
}

/** The leader's time of the txn whose length stands at `at`. */
export function txnTimeAt(bytes: Uint8Array, at: number): number {
  return i64At(bytes, at + 4 + 20);
}
