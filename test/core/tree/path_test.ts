/** Path rules in UTF-8 against the rules as they are written, in UTF-16. server-semantics 2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { parentOf, pathHasNul, pathIsReserved, pathIsValid, slashLast } from "../../../src/core/tree/path.ts";

/** server-semantics 2.1, word for word. */
function isValid(path: string): boolean {
  if (path.length === 0) return false;
  if (path.charAt(0) !== "/") return false;
  if (path.length > 1 && path.endsWith("/")) return false;
  if (path.includes("//")) return false;
  if (path.split("/").some((part) => part === "." || part === "..")) return false;
  for (let i = 0; i < path.length; i++) {
    const unit = path.charCodeAt(i);
    if (unit <= 0x1f || (unit >= 0x7f && unit <= 0x9f)) return false;
    if ((unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0) return false;
  }
  return true;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const agree = (bytes: Uint8Array) => {
  const padded = new Uint8Array(bytes.length + 4).fill(0x2f);
  padded.set(bytes, 2);
  assert.equal(
    pathIsValid(padded, 2, 2 + bytes.length),
    isValid(decoder.decode(bytes)),
    JSON.stringify(decoder.decode(bytes)),
  );
};

test("a path of any characters is valid exactly when the rules say so", () => {
  const edges = [
    0,
    1,
    0x1f,
    0x20,
    0x2e,
    0x2f,
    0x7e,
    0x7f,
    0x9f,
    0xa0,
    0x7ff,
    0x800,
    0xd7ff,
    0xd800,
    0xdfff,
    0xe000,
    0xf8ff,
    0xf900,
    0xfeff,
    0xffef,
    0xfff0,
    0xfffd,
    0xffff,
    0x10000,
    0x10ffff,
  ];
  const char = fc.oneof(
    fc.constantFrom("/", ".", "a", "é", "\u4e2d"),
    fc.constantFrom(...edges).map((code) => String.fromCodePoint(code)),
    fc.nat(0xffff).map((code) => String.fromCharCode(code)),
  );
  fc.assert(
    fc.property(fc.array(char, { maxLength: 8 }), (chars) => {
      agree(bytesOf(`/${chars.join("")}`));
      agree(bytesOf(chars.join("")));
    }),
    { numRuns: 3000 },
  );
});

test("every single character is judged alike", () => {
  for (let code = 0; code <= 0xffff; code++) agree(bytesOf(`/a${String.fromCharCode(code)}`));
  for (let code = 0x10000; code <= 0x10ffff; code += 997) agree(bytesOf(`/${String.fromCodePoint(code)}`));
});

test("bytes that are no UTF-8 are no path", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 6 }), (tail) => agree(new Uint8Array([0x2f, ...tail]))), {
    numRuns: 5000,
  });
  for (
    const tail of [[0xc0, 0xaf], [0xe0, 0x80, 0xaf], [0xed, 0xa0, 0x80], [0xc3], [0xe4, 0xb8], [0xff], [0x80]]
  ) {
    assert.equal(pathIsValid(new Uint8Array([0x2f, ...tail]), 0, 1 + tail.length), false);
  }
});

test("the small questions about paths", () => {
  const of = (path: string) => bytesOf(path);
  assert.equal(slashLast(of("/a/b"), 0, 4), 2);
  assert.equal(slashLast(of("ab"), 0, 2), -1);
  assert.equal(pathHasNul(of("/a\0"), 0, 3), true);
  assert.equal(pathHasNul(of("/a\0"), 0, 2), false);
  assert.deepEqual(["/a", "/a/b", "/a/b/c"].map(parentOf), ["/", "/a", "/a/b"]);
  for (const path of ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"]) {
    assert.equal(pathIsReserved(of(path), 0, of(path).length), true);
    assert.equal(pathIsReserved(of(`${path}x`), 0, path.length + 1), false);
  }
});
