/**
 * The shell's small parts: words, options, texts and sentences.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommandError } from "../../src/cli/command.ts";
import { commands } from "../../src/cli/commands/all.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { sentenceOf } from "../../src/cli/sentences.ts";
import { aclLines, dateText, hex, parseAcls, statLines } from "../../src/cli/texts.ts";
import { splitWords } from "../../src/cli/words.ts";
import { PathError, ZkError } from "../../src/client/zk_error.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";

describe("a typed line", () => {
  const cases: [string, string[]][] = [
    ["  ls   /  ", ["ls", "/"]],
    ['set /a "two words"', ["set", "/a", "two words"]],
    ["set /a 'it \"is\"'", ["set", "/a", 'it "is"']],
    ['create /a ""', ["create", "/a", ""]],
    ['set /a x"y z"', ["set", "/a", 'x"y', 'z"']],
    ["set\t/a \t x", ["set", "/a", "x"]],
    ["", []],
    // Other blanks, and what Unicode calls ends of lines, belong to names and values.
    ...["\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u3000", "\ufeff", "\v", "\f"].map(
      (blank): [string, string[]] => [`set /a${blank} ${blank}x${blank}y${blank}`, [
        "set",
        `/a${blank}`,
        `${blank}x${blank}y${blank}`,
      ]],
    ),
  ];
  for (const [line, words] of cases) {
    it(`${JSON.stringify(line)} is ${words.length} words`, () => {
      assert.deepEqual(splitWords(line), { words, unclosed: false });
    });
  }

  it("leaves out a quote that is not closed, as the stock shell does", () => {
    assert.deepEqual(splitWords('set /a "two words'), {
      words: ["set", "/a", "two", "words"],
      unclosed: true,
    });
  });
});

describe("options of a shell command", () => {
  const spec = { flags: ["s", "w"], values: ["v", "members"] };
  const parse = (...words: string[]): unknown => {
    const { flags, values, args } = parseOptions(words, spec);
    return [[...flags].sort().join(""), Object.fromEntries(values), args];
  };

  it("stand anywhere, alone or together, with their values behind or attached", () => {
    assert.deepEqual(parse("-s", "/a", "-v", "3", "-w"), ["sw", { v: "3" }, ["/a"]]);
    assert.deepEqual(parse("-sw", "-v3", "/a"), ["sw", { v: "3" }, ["/a"]]);
    assert.deepEqual(parse("-members", "x", "--v", "-1"), ["", { members: "x", v: "-1" }, []]);
  });

  it("leave numbers below zero, a lone dash and all behind two dashes alone", () => {
    assert.deepEqual(parse("/a", "-5", "-", "--", "-s"), ["", {}, ["/a", "-5", "-", "-s"]]);
  });

  it("are refused by name when there is no such option or its value is missing", () => {
    assert.throws(() => parse("-z", "/"), new CommandError("Unrecognized option: -z", { usage: true }));
    assert.throws(() => parse("-v"), new CommandError("Missing argument for option: v", { usage: true }));
  });
});

describe("texts of the shell", () => {
  it("a stat has eleven lines with these labels", () => {
    const lines = statLines({
      czxid: 2,
      mzxid: 0x1_0000_0003,
      ctime: 0,
      mtime: 0,
      version: 1,
      cversion: 2,
      aversion: 3,
      ephemeralOwner: -1n,
      dataLength: 5,
      numChildren: 6,
      pzxid: 7,
    });
    assert.deepEqual(lines.map((line) => line.split(" = ")[0]), [
      "cZxid",
      "ctime",
      "mZxid",
      "mtime",
      "pZxid",
      "cversion",
      "dataVersion",
      "aclVersion",
      "ephemeralOwner",
      "dataLength",
      "numChildren",
    ]);
    assert.equal(lines[2], "mZxid = 0x100000003");
    assert.equal(lines[8], "ephemeralOwner = 0xffffffffffffffff");
    assert.equal(hex(0), "0x0");
    assert.match(dateText(1_795_166_454_000), /^\w{3} Nov (19|20|21) \d\d:\d\d:54 \S+ 2026$/);
  });

  it("an ACL is printed in the order c d r w a and read with colons in its id", () => {
    const acls = parseAcls("world:anyone:r,digest:bob:x=:adcwr");
    assert.deepEqual(acls, [
      { perms: 1, id: { scheme: "world", id: "anyone" } },
      { perms: 31, id: { scheme: "digest", id: "bob:x=" } },
    ]);
    assert.deepEqual(aclLines(acls), ["'world,'anyone", ": r", "'digest,'bob:x=", ": cdrwa"]);
    assert.throws(() => parseAcls("world:anyone"), /world:anyone does not have the form scheme:id:perm/);
    assert.throws(() => parseAcls("world:anyone:rz"), /Unknown perm type: z/);
  });

  it("errors are the sentences that scripts look for", () => {
    const said = (code: number, path: string | null = "/a"): string => sentenceOf(new ZkError(code, path));
    assert.equal(said(ErrorCode.NoNode), "Node does not exist: /a");
    assert.equal(said(ErrorCode.NodeExists), "Node already exists: /a");
    assert.equal(said(ErrorCode.NotEmpty), "Node not empty: /a");
    assert.equal(said(ErrorCode.NoAuth, null), "Insufficient permission : ");
    assert.equal(said(ErrorCode.NoWatcher), "KeeperErrorCode = No such watcher for /a");
    assert.equal(said(ErrorCode.ReconfigDisabled, null), "KeeperErrorCode = Reconfig is disabled");
    assert.equal(
      sentenceOf(new PathError("a", "Path must start with / character")),
      "Path must start with / character",
    );
  });

  it("commands are sorted by name, and each says what it is", () => {
    const names = commands.map(({ name }) => name);
    assert.deepEqual(names, [...names].sort());
    for (const { name, about } of commands) assert.ok(about.length > 5, name);
  });
});
