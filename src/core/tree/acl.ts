/**
 * ACLs: the table of distinct lists, and the question whether one lets somebody in.
 *
 * Few distinct lists guard many znodes, so a znode holds a number. 0 is the open list
 * (world:anyone:cdrwa), by far the commonest, and is never looked up. The key of a list is its
 * encoded bytes. A list is dropped when the last znode lets go of it; its number is then reused,
 * for numbers never leave this process. server-semantics 6.3, 6.6.
 */
import { assert, must } from "../base/assert.ts";
import { bytesEqualAt } from "../base/bytes.ts";
import { addressBytes, type Network, networkHas, networkOf } from "../base/ip.ts";
import { type Acl, aclOpen, aclRead, type Id, writeAcls } from "../wire/records.ts";
import { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";

export const aclIdOpen = 0;

export function encodeAcls(list: readonly Acl[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer(64);
  writeAcls(writer, list);
  return writer.copy();
}

export const aclOpenBytes: Uint8Array<ArrayBuffer> = encodeAcls(aclOpen);
export const aclReadBytes: Uint8Array<ArrayBuffer> = encodeAcls(aclRead);

interface Entry {
  readonly list: readonly Acl[];
  readonly bytes: Uint8Array;
  readonly key: string;
  users: number;
}

const latin1 = new TextDecoder("latin1");

function decode(bytes: Uint8Array): Acl[] {
  const reader = new Reader(bytes);
  const count = reader.i32();
  const list: Acl[] = [];
  for (let i = 0; i < count && !reader.failed; i++) {
    const perms = reader.i32();
    const scheme = reader.string() ?? "";
    const id = reader.string() ?? "";
    list.push({ perms, id: { scheme, id } });
  }
  return list;
}

export class AclTable {
  readonly #entries: (Entry | null)[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #free: number[] = [];

  constructor() {
    this.#entries.push({ list: aclOpen, bytes: aclOpenBytes, key: "", users: 1 });
  }

  /** The number of an encoded list, one more user counted. */
  use(bytes: Uint8Array, start: number, end: number): number {
    if (end - start === aclOpenBytes.length && bytesEqualAt(bytes, start, aclOpenBytes)) return aclIdOpen;
    const key = latin1.decode(bytes.subarray(start, end));
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      must(this.#entries[known], "a known list has an entry").users++;
      return known;
    }
    const copy = bytes.slice(start, end);
    const entry: Entry = { list: decode(copy), bytes: copy, key, users: 1 };
    const id = this.#free.pop() ?? this.#entries.length;
    this.#entries[id] = entry;
    this.#byKey.set(key, id);
    return id;
  }

  /** One user more of a list that is already held. */
  hold(id: number): number {
    if (id !== aclIdOpen) must(this.#entries[id], "a held list exists").users++;
    return id;
  }

  drop(id: number): void {
    if (id === aclIdOpen) return;
    const entry = must(this.#entries[id], "a dropped list exists");
    entry.users--;
    assert(entry.users >= 0, "a list is dropped as often as it was used");
    if (entry.users > 0) return;
    this.#entries[id] = null;
    this.#byKey.delete(entry.key);
    this.#free.push(id);
  }

  list(id: number): readonly Acl[] {
    return must(this.#entries[id], "the list exists").list;
  }

  bytes(id: number): Uint8Array {
    return must(this.#entries[id], "the list exists").bytes;
  }

  /** Every number in use but that of the open list, ascending. */
  ids(): number[] {
    return [...this.#byKey.values()].sort((a, b) => a - b);
  }

  get size(): number {
    return this.#byKey.size + 1;
  }
}

/** Does the list give any bit of `perms` to somebody with these identities? server-semantics 6.3. */
export function aclAllows(list: readonly Acl[], perms: number, identities: readonly Id[]): boolean {
  if (list.length === 0) return true;
  for (const identity of identities) if (identity.scheme === "super") return true;
  for (const entry of list) {
    if ((entry.perms & perms) === 0) continue;
    if (entry.id.scheme === "world" && entry.id.id === "anyone") return true;
    for (const identity of identities) {
      if (identity.scheme === entry.id.scheme && identityMatches(identity, entry.id)) return true;
    }
  }
  return false;
}

/** Parsed once for each entry and each connection, not for each request. */
const networks = new WeakMap<Id, Network | null>();
const addresses = new WeakMap<Id, Uint8Array | null>();

function remembered<T>(memory: WeakMap<Id, T>, id: Id, parse: (text: string) => T): T {
  const known = memory.get(id);
  if (known !== undefined) return known;
  const parsed = parse(id.id);
  memory.set(id, parsed);
  return parsed;
}

function identityMatches(identity: Id, wanted: Id): boolean {
  if (identity.scheme !== "ip") return identity.id === wanted.id;
  const network = remembered(networks, wanted, networkOf);
  const address = remembered(addresses, identity, addressBytes);
  return network !== null && address !== null && networkHas(network, address);
}

/** What a caller without ADMIN sees of an ACL: digests masked. server-semantics 4.1. */
export function aclMasked(list: readonly Acl[]): Acl[] {
  return list.map((entry) => {
    const colon = entry.id.id.indexOf(":");
    if (entry.id.scheme !== "digest" || colon < 0) return entry;
    return { perms: entry.perms, id: { scheme: "digest", id: `${entry.id.id.slice(0, colon)}:x` } };
  });
}
