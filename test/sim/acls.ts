/**
 * ACLs: who a client is, the lists that clients set, and what a list lets them do.
 *
 * A few users that clients share, so that some are let in and others are not. What is allowed is said
 * here once more, apart from the core, for the lists that are in use.
 */
import { digestOf } from "../../src/core/session/auth.ts";
import type { Acl, Id } from "../../src/core/wire/records.ts";
import { readAcls } from "../../src/core/wire/records.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import type { Chance } from "./prng.ts";

export const Perm = { read: 1, write: 2, create: 4, delete: 8, admin: 16, all: 31 } as const;

export const users: readonly string[] = ["u0:p", "u1:p", "u2:p"];
const idOf = new Map(users.map((user) => [user, digestOf(user)]));
const clientsNet = "10.1.0.0/24";

export function addressOf(client: number): string {
  return `10.1.0.${client}`;
}

/** `user` is null for a client that never says who it is. */
export function identitiesOf(client: number, user: string | null): readonly Id[] {
  const ip = { scheme: "ip", id: addressOf(client) };
  return user === null ? [ip] : [{ scheme: "digest", id: idOf.get(user) ?? "" }, ip];
}

const entry = (perms: number, scheme: string, id: string): Acl => ({ perms, id: { scheme, id } });

/** A list of any kind; some lock most clients out. Open ones are `randomAcls`' caller's affair. */
export function randomAcls(c: Chance): readonly Acl[] {
  const user = idOf.get(c.pick(users)) ?? "";
  const some = c.pick([1, 3, 15, 17, 30, 31]);
  const world = entry(c.pick([1, 1, 15, 0]), "world", "anyone");
  return c.pick([
    [entry(some, "digest", user), world],
    [entry(Perm.all, "digest", user)],
    [entry(Perm.all, "auth", ""), world],
    [entry(some, "ip", clientsNet)],
    [entry(some, "ip", addressOf(100 + c.below(4))), entry(Perm.all, "digest", user)],
    // Names of every length: a list may be far longer than the data that it guards.
    [entry(1, "digest", `${"n".repeat(c.below(300))}:x`), entry(Perm.all, "world", "anyone")],
  ]);
}

const parsed = new Map<string, readonly Acl[]>();

/** An encoded list as text, a character for a byte. */
export function aclsText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The list that such a text is. */
export function aclsOf(text: string): readonly Acl[] {
  let list = parsed.get(text);
  if (list === undefined) {
    const bytes = Uint8Array.from(text, (one) => one.charCodeAt(0));
    list = (readAcls(new Reader(bytes)) ?? []).map(({ perms, scheme, id }) =>
      entry(perms, scheme ?? "", id ?? "")
    );
    if (parsed.size > 5000) parsed.clear();
    parsed.set(text, list);
  }
  return list;
}

export function mayDo(text: string, perms: number, identities: readonly Id[]): boolean {
  if (text === "") return true;
  return aclsOf(text).some((one) =>
    (one.perms & perms) !== 0 &&
    (one.id.scheme === "world" ||
      identities.some(({ scheme, id }) =>
        scheme === one.id.scheme && (id === one.id.id || one.id.id === clientsNet)
      ))
  );
}

/** As somebody without ADMIN is shown it. */
export function masked(list: readonly Acl[]): readonly Acl[] {
  return list.map((one) =>
    one.id.scheme !== "digest" ? one : entry(one.perms, "digest", one.id.id.replace(/:.*$/, ":x"))
  );
}
