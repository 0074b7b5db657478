/**
 * IP addresses as bytes, for the `ip` scheme: parsing, CIDR and the text that Apache shows.
 */

/** 4 or 16 bytes, or null where the text is no address. An IPv4 address mapped into IPv6 becomes IPv4. */
export function addressBytes(text: string): Uint8Array | null {
  const zone = text.indexOf("%");
  const plain = zone < 0 ? text : text.slice(0, zone);
  return plain.includes(":") ? bytes6(plain) : bytes4(plain);
}

function bytes4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = parts[i] as string;
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return null;
    bytes[i] = Number(part);
  }
  return bytes;
}

function bytes6(text: string): Uint8Array | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groups(halves[0] as string);
  const tail = halves.length === 2 ? groups(halves[1] as string) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  all.forEach((group, i) => {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group;
  });
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff &&
    bytes[11] === 0xff;
  return mapped ? bytes.slice(12) : bytes;
}

function groups(text: string): number[] | null {
  if (text === "") return [];
  const list: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (part.includes(".")) {
      const four = i === parts.length - 1 ? bytes4(part) : null;
      if (four === null) return null;
      list.push(
        ((four[0] as number) << 8) | (four[1] as number),
        ((four[2] as number) << 8) | (four[3] as number),
      );
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      list.push(Number.parseInt(part, 16));
    }
  }
  return list;
}

/** As Java writes it: dotted, or eight groups without shortening (`0:0:0:0:0:0:0:1`). */
export function addressText(text: string): string {
  const bytes = addressBytes(text);
  if (bytes === null) return text;
  if (bytes.length === 4) return bytes.join(".");
  const list: string[] = [];
  for (let i = 0; i < 16; i += 2) {
    list.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16));
  }
  return list.join(":");
}

export interface Network {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** `10.0.0.0/8`, `::1`, … or null where the text is neither an address nor a network. */
export function networkOf(text: string): Network | null {
  const [address, bits, more] = text.split("/");
  if (more !== undefined || address === undefined) return null;
  const bytes = addressBytes(address);
  if (bytes === null) return null;
  const width = bytes.length * 8;
  if (bits === undefined) return { bytes, bits: width };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > width) return null;
  return { bytes, bits: Number(bits) };
}

export function networkHas(network: Network, address: Uint8Array): boolean {
  if (network.bytes.length !== address.length) return false;
  let left = network.bits;
  for (let i = 0; left > 0; i++, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if (((network.bytes[i] as number) & mask) !== ((address[i] as number) & mask)) return false;
  }
  return true;
}
