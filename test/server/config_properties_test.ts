/** The properties format, rule by rule, and against a dumb model on random input. */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseProperties, textOfLatin1 } from "../../src/server/config_properties.ts";

function pairsOf(text: string): [string, string, number][] {
  return parseProperties(text).pairs.map(({ key, value, line }) => [key, value, line]);
}

test("a pair is separated by =, by : or by a blank, with blanks around", () => {
  const text = "a=1\nb:2\nc 3\n d  =  4\ne\t:\t5\nf = = 6\n";
  assert.deepEqual(pairsOf(text), [
    ["a", "1", 1],
    ["b", "2", 2],
    ["c", "3", 3],
    ["d", "4", 4],
    ["e", "5", 5],
    ["f", "= 6", 6],
  ]);
});

test("a key without a value has the empty text", () => {
  assert.deepEqual(pairsOf("a\nb=\nc:"), [["a", "", 1], ["b", "", 2], ["c", "", 3]]);
});

test("there are no trailing comments", () => {
  assert.deepEqual(pairsOf("tickTime=2000 # ms\n"), [["tickTime", "2000 # ms", 1]]);
});

test("a line that begins with # or ! after blanks is a comment, and a backslash does not continue it", () => {
  assert.deepEqual(pairsOf("# a=1 \\\n  ! b=2\nc=3\n"), [["c", "3", 3]]);
});

test("an odd number of backslashes at the end continues the line, an even one does not", () => {
  assert.deepEqual(pairsOf("a=1,\\\n   2,\\\n\t3\nb=x\\\\\nc=y\n"), [["a", "1,2,3", 1], ["b", "x\\", 4], [
    "c",
    "y",
    5,
  ]]);
});

test("a continuation may look like a comment and is none", () => {
  assert.deepEqual(pairsOf("a=1\\\n#2\nb=3"), [["a", "1#2", 1], ["b", "3", 3]]);
});

test("a backslash alone is no line that could go on", () => {
  assert.deepEqual(pairsOf("\\\n#1\nb=3"), [["b", "3", 3]]);
});

test("a blank line ends a continuation", () => {
  assert.deepEqual(pairsOf("a=1\\\n\nb=2\n"), [["a", "1", 1], ["b", "2", 3]]);
});

test("a backslash at the very end of the text is dropped", () => {
  assert.deepEqual(pairsOf("a=1\\"), [["a", "1", 1]]);
});

test("a backslash is an escape: C:\\zk loses it, \\t and \\u0041 mean a character", () => {
  assert.deepEqual(pairsOf("dataDir=C:\\zk\nt=\\t|\nu=\\u0041\\u00e9\n"), [
    ["dataDir", "C:zk", 1],
    ["t", "\t|", 2],
    ["u", "Aé", 3],
  ]);
});

test("an escaped separator belongs to the key", () => {
  assert.deepEqual(pairsOf("a\\=b\\:c\\ d=1"), [["a=b:c d", "1", 1]]);
});

test("\\r, \\n and both together end a line, and lines are counted the same", () => {
  assert.deepEqual(pairsOf("a=1\rb=2\r\nc=3\n\r\nd=4"), [["a", "1", 1], ["b", "2", 2], ["c", "3", 3], [
    "d",
    "4",
    5,
  ]]);
});

test("a \\u without four hex digits is reported with its line, and the rest is read", () => {
  const parsed = parseProperties("a=1\nb=\\u12g4\nc=\\u12\nd=2");
  assert.deepEqual(parsed.malformed.map(({ line }) => line), [2, 3]);
  assert.deepEqual(parsed.pairs.map(({ key }) => key), ["a", "d"]);
});

test("every byte is its own ISO-8859-1 character", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const text = textOfLatin1(bytes);
  assert.equal(text.length, 256);
  for (let i = 0; i < 256; i += 1) assert.equal(text.charCodeAt(i), i);
});

// ------------------------------------------------------------------------- against a dumb model

/** The same rules with regular expressions, slow and short. */
function model(text: string): { key: string; value: string; line: number }[] {
  const natural = text.split(/\r\n|\r|\n/);
  const found: { key: string; value: string; line: number }[] = [];
  for (let i = 0; i < natural.length; i += 1) {
    let logical = (natural[i] ?? "").replace(/^[ \t\f]+/, "");
    const line = i + 1;
    if (logical === "" || /^[#!]/.test(logical)) continue;
    while (/(?:^|[^\\])(?:\\\\)*\\$/.test(logical)) {
      logical = logical.slice(0, -1);
      i += 1;
      if (i >= natural.length) break;
      const next = (natural[i] ?? "").replace(/^[ \t\f]+/, "");
      if (logical === "") {
        i -= 1;
        break;
      }
      logical += next;
      if (!/(?:^|[^\\])(?:\\\\)*\\$/.test(next)) break;
    }
    if (logical === "") continue;
    const match = /^((?:\\[^]|[^\\=: \t\f])*)(?:[ \t\f]*[=:]?[ \t\f]*)([^]*)$/.exec(logical);
    if (match === null) continue;
    const plain = (raw: string): string =>
      raw.replace(/\\u([0-9a-fA-F]{4})|\\([^])/g, (_, hex: string | undefined, char: string | undefined) => {
        if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
        return ({ t: "\t", n: "\n", r: "\r", f: "\f" } as Record<string, string>)[char ?? ""] ?? char ?? "";
      });
    if (/(?:^|[^\\])(?:\\\\)*\\u(?![0-9a-fA-F]{4})/.test(match[1] ?? "")) continue;
    if (/(?:^|[^\\])(?:\\\\)*\\u(?![0-9a-fA-F]{4})/.test(match[2] ?? "")) continue;
    found.push({ key: plain(match[1] ?? ""), value: plain(match[2] ?? ""), line });
  }
  return found;
}

test("random text means the same to the parser and to the model", () => {
  const piece = fc.constantFrom(
    "a",
    "bc",
    "=",
    ":",
    " ",
    "\t",
    "\f",
    "\\",
    "\\\\",
    "\n",
    "\r",
    "\r\n",
    "#",
    "!",
    "\\u0041",
    "\\u00",
    "\\n",
    "é",
    "1",
  );
  const text = fc.array(piece, { maxLength: 40, size: "max" }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, (input) => {
      assert.deepEqual(parseProperties(input).pairs.map((pair) => ({ ...pair })), model(input));
    }),
    { numRuns: 3000 },
  );
});

/** Writes a pair so that every character survives. */
function escape(text: string): string {
  return [...text].map((char) => {
    const code = char.charCodeAt(0);
    if (char.length > 1) return [...Array(2).keys()].map((i) => unicode(char.charCodeAt(i))).join("");
    if (code < 0x20 || code > 0x7e) return unicode(code);
    return /[\\=:# !]/.test(char) ? `\\${char}` : char;
  }).join("");
}

function unicode(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

test("every pair that is written with escapes is read back as it was", () => {
  const pair = fc.tuple(fc.string({ unit: "binary", minLength: 1 }), fc.string({ unit: "binary" }));
  const separator = fc.constantFrom("=", ":", " ", " = ", "\t:  ");
  fc.assert(
    fc.property(fc.array(fc.tuple(pair, separator), { maxLength: 8 }), (written) => {
      const text = written.map(([[key, value], between]) => `${escape(key)}${between}${escape(value)}`).join(
        "\n",
      );
      const read = parseProperties(text);
      assert.equal(read.malformed.length, 0);
      assert.deepEqual(read.pairs.map(({ key, value }) => [key, value]), written.map(([one]) => one));
    }),
    { numRuns: 500 },
  );
});
