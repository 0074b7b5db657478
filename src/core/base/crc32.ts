/**
 * CRC-32 (the zlib polynomial), as a running state, eight bytes at a time.
 *
 * The tree digest needs one for every znode that a txn touches, over path, data and 60 bytes of
 * stat (server-semantics 10.9). The path and data rarely change together with the stat, so callers
 * keep the state after path and after data and go on from there; that is why this is not a library:
 * those offer no way to go on from a state within a synchronous call.
 */
const tables = new Int32Array(8 * 256);
for (let i = 0; i < 256; i++) {
  let c = i;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  tables[i] = c;
}
for (let i = 0; i < 256; i++) {
  for (let t = 1; t < 8; t++) {
    const before = tables[(t - 1) * 256 + i] as number;
    tables[t * 256 + i] = (before >>> 8) ^ (tables[before & 0xff] as number);
  }
}

/** The state before the first byte. */
export const crcStart = -1;

export function crcUpdate(state: number, bytes: Uint8Array, start: number, end: number): number {
  const t = tables;
  const b = bytes;
  let c = state;
  let i = start;
  for (; i + 8 <= end; i += 8) {
    c ^= (b[i] as number) | ((b[i + 1] as number) << 8) | ((b[i + 2] as number) << 16) |
      ((b[i + 3] as number) << 24);
    c = (t[1792 + (c & 0xff)] as number) ^ (t[1536 + ((c >>> 8) & 0xff)] as number) ^
      (t[1280 + ((c >>> 16) & 0xff)] as number) ^ (t[1024 + (c >>> 24)] as number) ^
      (t[768 + (b[i + 4] as number)] as number) ^ (t[512 + (b[i + 5] as number)] as number) ^
      (t[256 + (b[i + 6] as number)] as number) ^ (t[b[i + 7] as number] as number);
  }
  for (; i < end; i++) c = (c >>> 8) ^ (t[(c ^ (b[i] as number)) & 0xff] as number);
  return c;
}

/** The checksum that a state stands for, 0 … 2^32 - 1. */
export function crcEnd(state: number): number {
  return ~state >>> 0;
}
