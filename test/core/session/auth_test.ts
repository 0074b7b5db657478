/** Identities, ACLs and passwords: vectors of real servers and the rules of server-semantics 6. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { bytesOf, hexOf } from "../../../src/core/base/bytes.ts";
import type { SessionId } from "../../../src/core/base/zxid.ts";
import { authenticate, digestOf, normalizeAcls, userOf } from "../../../src/core/session/auth.ts";
import { passwordMatches, passwordOf, sessionIdFirst } from "../../../src/core/session/password.ts";
import { aclAllows, aclMasked, AclTable, encodeAcls } from "../../../src/core/tree/acl.ts";
import type { Acl, AclLoose, Id } from "../../../src/core/wire/records.ts";

const options = { superDigest: null, digestEnabled: true };
const world = { perms: 31, scheme: "world", id: "anyone" };

test("passwords are those of Apache ZooKeeper", () => {
  const vectors: [bigint, string][] = [
    [0x01000008a0730000n, "cf25f6ffb0442f4bc52a1715797c88a4"],
    [0x01000008a0730001n, "e246f0ff50900e90ba6d7e404d059d71"],
    [0x01000008a073000dn, "c7d3a9ffd01b86ca39915549386f930e"],
  ];
  for (const [id, password] of vectors) {
    assert.equal(hexOf(passwordOf(id as SessionId)), password);
    assert.equal(passwordMatches(id as SessionId, passwordOf(id as SessionId)), true);
    for (
      const wrong of [
        null,
        new Uint8Array(0),
        new Uint8Array(16),
        passwordOf(id as SessionId).subarray(0, 15),
      ]
    ) {
      assert.equal(passwordMatches(id as SessionId, wrong), false);
    }
  }
  assert.equal(passwordMatches(0n as SessionId, passwordOf(0n as SessionId)), false);
});

test("the first session id is the server, the time and sixteen zero bits, and never a mark", () => {
  assert.equal(sessionIdFirst(1, 0x12_3456_789a), 0x01_12_3456_789a_0000n);
  assert.equal(sessionIdFirst(2, 0xff12_3456_789a + 0.7), 0x02_12_3456_789a_0000n);
  assert.equal(sessionIdFirst(0x80, 0), 0x8000_0000_0000_0001n);
  assert.notEqual(sessionIdFirst(255, 5) >> 56n, 0xffn);
});

test("digest ids are the user and the SHA-1 of everything", () => {
  assert.equal(digestOf("u:p"), "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const hash = createHash("sha1").update(bytesOf(text)).digest("base64");
      assert.equal(digestOf(text), `${text.split(":")[0]}:${hash}`);
    }),
  );
});

test("an auth packet proves what its scheme can prove", () => {
  const ask = (scheme: string | null, text: string | null, more = {}) =>
    authenticate(scheme, text === null ? null : bytesOf(text), "10.0.0.1", { ...options, ...more });
  assert.deepEqual(ask("digest", "u:p"), [{ scheme: "digest", id: digestOf("u:p") }]);
  assert.deepEqual(ask("ip", null), [{ scheme: "ip", id: "10.0.0.1" }]);
  for (const scheme of ["world", "auth", "sasl", "super", "x509", "", null]) {
    assert.equal(ask(scheme, "u:p"), null);
  }
  assert.equal(ask("digest", null), null);
  assert.equal(ask("digest", "u:p", { digestEnabled: false }), null);
  const proven = ask("digest", "u:p", { superDigest: digestOf("u:p") });
  assert.deepEqual(proven?.map(({ scheme }) => scheme), ["super", "digest"]);
  assert.equal(userOf({ scheme: "digest", id: "u:hash" }), "u");
  assert.equal(userOf({ scheme: "ip", id: "::1" }), "::1");
});

test("ACL lists are normalised by the rules of server-semantics 6.1", () => {
  const ids: Id[] = [
    { scheme: "ip", id: "10.0.0.1" },
    { scheme: "digest", id: "a:1" },
    { scheme: "super", id: "" },
    { scheme: "digest", id: "b:2" },
  ];
  const normal = (list: AclLoose[] | null, identities: readonly Id[] = ids) =>
    normalizeAcls(list, identities, options, 1 << 20)?.map(({ perms, id }) =>
      `${perms} ${id.scheme} ${id.id}`
    ) ??
      null;
  const one = (scheme: string | null, id: string | null, perms = 31) => normal([{ perms, scheme, id }]);
  assert.equal(normal(null), null);
  assert.equal(normal([]), null);
  assert.deepEqual(one("world", "anyone"), ["31 world anyone"]);
  for (const id of ["nobody", "", null]) assert.equal(one("world", id), null);
  // The bits are not looked at.
  assert.deepEqual(one("world", "anyone", 0), ["0 world anyone"]);
  assert.deepEqual(one("world", "anyone", 99), ["99 world anyone"]);
  for (const id of ["a:b", ":b", "a:b:", "a b:c"]) assert.deepEqual(one("digest", id), [`31 digest ${id}`]);
  for (const id of ["a", "a:", "a:b:c", "", ":", null]) assert.equal(one("digest", id), null, String(id));
  for (const id of ["10.0.0.1", "10.0.0.0/8", "10.0.0.0/0", "::1", "fe80::/10"]) assert.ok(one("ip", id));
  for (const id of ["10.0.0", "10.0.0.0/33", "host", "", null]) assert.equal(one("ip", id), null, String(id));
  for (const scheme of ["super", "sasl", "x509", "nonsense", "", null]) {
    assert.equal(one(scheme, "a:b"), null);
  }
  assert.deepEqual(one("auth", "ignored", 5), ["5 digest a:1", "5 digest b:2"]);
  assert.equal(normal([{ perms: 5, scheme: "auth", id: "" }], ids.slice(0, 1)), null);
  // The first of equals stays, in its place; what an expansion makes twice stays twice.
  const same = [world, { ...world, perms: 1 }, world, { perms: 5, scheme: "digest", id: "a:1" }, {
    perms: 5,
    scheme: "auth",
    id: "",
  }];
  assert.deepEqual(normal(same), [
    "31 world anyone",
    "1 world anyone",
    "5 digest a:1",
    "5 digest a:1",
    "5 digest b:2",
  ]);
  // One bad entry spoils the list, also one made to look like another.
  assert.equal(normal([world, { perms: 31, scheme: "x", id: "y" }]), null);
  assert.equal(
    normal([{ perms: 1, scheme: "digest", id: "x:y +z" }, { perms: 1, scheme: "digest +x:y", id: "z" }]),
    null,
  );
});

test("a list lets in who it names, by any of the bits asked for", () => {
  const list: Acl[] = [
    { perms: 1, id: { scheme: "ip", id: "10.0.0.0/8" } },
    { perms: 2, id: { scheme: "digest", id: "a:1" } },
  ];
  const ip = (id: string): Id[] => [{ scheme: "ip", id }];
  const a: Id[] = [{ scheme: "digest", id: "a:1" }];
  assert.equal(aclAllows(list, 1, ip("10.9.9.9")), true);
  assert.equal(aclAllows(list, 1, ip("11.9.9.9")), false);
  assert.equal(aclAllows(list, 1, ip("0:0:0:0:0:0:0:1")), false);
  assert.equal(aclAllows(list, 1, ip("nonsense")), false);
  assert.equal(aclAllows(list, 2, ip("10.9.9.9")), false);
  assert.equal(aclAllows(list, 2, a), true);
  assert.equal(aclAllows(list, 1 | 2, a), true);
  assert.equal(aclAllows(list, 2, [{ scheme: "digest", id: "a:2" }]), false);
  assert.equal(aclAllows(list, 16, [{ scheme: "super", id: "" }]), true);
  assert.equal(aclAllows([], 16, []), true);
  assert.equal(aclAllows([{ perms: 4, id: { scheme: "world", id: "anyone" } }], 4, []), true);
  assert.deepEqual(aclMasked(list).map(({ id }) => id.id), ["10.0.0.0/8", "a:x"]);
});

test("a table of lists forgets a list with its last user, and only then", () => {
  const table = new AclTable();
  const lists = Array.from(
    { length: 6 },
    (_, i) => encodeAcls([{ perms: i + 1, id: { scheme: "world", id: "anyone" } }]),
  );
  const held: { which: number; id: number }[] = [];
  fc.assert(
    fc.property(fc.array(fc.nat(11), { maxLength: 60, size: "max" }), (steps) => {
      for (const step of steps) {
        const which = step % 6;
        const bytes = lists[which] as Uint8Array;
        if (step < 6) {
          const padded = new Uint8Array(bytes.length + 2);
          padded.set(bytes, 1);
          held.push({ which, id: table.use(padded, 1, 1 + bytes.length) });
        } else {
          const at = held.findIndex((one) => one.which === which);
          const one = at < 0 ? undefined : held.splice(at, 1)[0];
          if (one !== undefined) table.drop(one.id);
        }
        assert.equal(table.size, 1 + new Set(held.map((one) => one.which)).size);
        for (const one of held) {
          assert.deepEqual(table.bytes(one.id), lists[one.which]);
          assert.equal(table.list(one.id)[0]?.perms, one.which + 1);
        }
      }
    }),
  );
});
