/**
 * Identities: what an auth packet proves, and what an ACL entry may say.
 *
 * Schemes world, auth, digest, ip and super are here; sasl, x509 and ensemble come with later
 * security work and are refused cleanly until then. server-semantics 6.1, 6.2, 6.4.
 */
import { sha1 } from "@noble/hashes/legacy.js";
import { bytesOf, textOf } from "../base/bytes.ts";
import { networkOf } from "../base/ip.ts";
import type { Acl, AclLoose, Id } from "../wire/records.ts";

export interface AuthOptions {
  /** `super:` and the base64 of a SHA-1, or null for no super user. */
  readonly superDigest: string | null;
  readonly digestEnabled: boolean;
}

/** `user:` and the base64 of the SHA-1 of the whole `user:password`. */
export function digestOf(userAndPassword: string): string {
  const user = userAndPassword.split(":", 1)[0] as string;
  return `${user}:${btoa(String.fromCharCode(...sha1(bytesOf(userAndPassword))))}`;
}

/** The identities that an auth packet adds, or null where it proves nothing. */
export function authenticate(
  scheme: string | null,
  auth: Uint8Array | null,
  address: string,
  options: AuthOptions,
): Id[] | null {
  switch (scheme) {
    case "digest": {
      if (!options.digestEnabled || auth === null) return null;
      const id = digestOf(textOf(auth));
      const identities: Id[] = [{ scheme: "digest", id }];
      if (options.superDigest !== null && id === options.superDigest) {
        identities.unshift({ scheme: "super", id: "" });
      }
      return identities;
    }
    case "ip":
      return [{ scheme: "ip", id: address }];
    default:
      return null;
  }
}

/** Two parts around one colon, the right one not empty: what the original's splitting lets through. */
function isDigestId(id: string): boolean {
  const parts = id.split(":");
  while (parts.length > 0 && parts[parts.length - 1] === "") parts.pop();
  return parts.length === 2;
}

/** The list as it will be stored, or null where it is not acceptable. server-semantics 6.1. */
export function normalizeAcls(
  list: readonly AclLoose[] | null,
  identities: readonly Id[],
  options: AuthOptions,
  bytesMax: number,
): Acl[] | null {
  if (list === null || list.length === 0) return null;
  const seen = new Set<string>();
  const result: Acl[] = [];
  let bytes = 0;
  for (const { perms, scheme, id } of list) {
    const key = JSON.stringify([perms, scheme, id]);
    if (seen.has(key)) continue;
    seen.add(key);
    if (scheme === null) return null;
    if (scheme === "world") {
      if (id !== "anyone") return null;
      result.push({ perms, id: { scheme, id } });
    } else if (scheme === "auth") {
      const proven = identities.filter((identity) => identity.scheme === "digest");
      if (proven.length === 0) return null;
      // Many such entries times many identities would be a list that no frame could carry.
      for (const identity of proven) {
        bytes += 12 + identity.scheme.length + identity.id.length;
        if (bytes > bytesMax) return null;
        result.push({ perms, id: identity });
      }
    } else if (scheme === "digest") {
      if (!options.digestEnabled || id === null || !isDigestId(id)) return null;
      result.push({ perms, id: { scheme, id } });
    } else if (scheme === "ip") {
      if (id === null || networkOf(id) === null) return null;
      result.push({ perms, id: { scheme, id } });
    } else return null;
  }
  return result;
}

/** As `whoAmI` names an identity. */
export function userOf(identity: Id): string {
  if (identity.scheme !== "digest") return identity.id;
  return identity.id.split(":", 1)[0] as string;
}
