/**
 * Reply frames: header first, patched at the end.
 */
import type { Writer } from "../wire/writer.ts";

const frameHeaderBytes = 20;

/** Starts a reply: length, xid, zxid, err 0. Returns where, for `endFrame` or `failFrame`. */
export function beginFrame(out: Writer, xid: number, zxid: number): number {
  const at = out.room(frameHeaderBytes);
  out.i32At(at + 4, xid);
  out.i32At(at + 8, Math.floor(zxid / 0x1_0000_0000));
  out.i32At(at + 12, zxid | 0);
  out.i32At(at + 16, 0);
  return at;
}

export function endFrame(out: Writer, at: number): void {
  out.i32At(at, out.length - at - 4);
}

/** Makes the frame a header with an error and nothing behind it. */
export function failFrame(out: Writer, at: number, code: number): void {
  out.length = at + frameHeaderBytes;
  out.i32At(at + 16, code);
  out.i32At(at, frameHeaderBytes - 4);
}

export function headerFrame(out: Writer, xid: number, zxid: number, code: number): void {
  const at = beginFrame(out, xid, zxid);
  out.i32At(at + 16, code);
  out.i32At(at, frameHeaderBytes - 4);
}
