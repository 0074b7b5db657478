/**
 * Small things done to bytes, without a copy where one can be avoided.
 */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

export const bytesEmpty: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** UTF-8 text of `bytes[start, end)`. Short ASCII, nearly every path, never meets the decoder. */
export function textOf(bytes: Uint8Array, start = 0, end = bytes.length): string {
  const length = end - start;
  if (length <= 48) {
    let text = "";
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte >= 0x80) return decoder.decode(bytes.subarray(start, end));
      text += String.fromCharCode(byte);
    }
    return text;
  }
  return decoder.decode(bytes.subarray(start, end));
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Does `bytes[start, start + other.length)` hold exactly `other`? */
export function bytesEqualAt(bytes: Uint8Array, start: number, other: Uint8Array): boolean {
  if (start + other.length > bytes.length) return false;
  for (let i = 0; i < other.length; i++) if (bytes[start + i] !== other[i]) return false;
  return true;
}

export function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function bytesOfHex(hex: string): Uint8Array<ArrayBuffer> {
  const clean = hex.replace(/[\s|]/g, "");
  const bytes = new Uint8Array(clean.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(clean.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
