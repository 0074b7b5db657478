/** The examples in config/ start as they are, and the reference there is the table's. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "@std/toml";
import { keysMarkdown, loadSettings } from "../../src/server/config.ts";
import { allKeys, keyOfToml } from "../../src/server/config_known.ts";
import { fakeFiles, settingsOf } from "./config_fake_files.ts";

const directory = fileURLToPath(new URL("../../config/", import.meta.url));
const examples = readdirSync(directory).filter((name) => /\.(cfg|toml)$/.test(name));
const certificate = "-----BEGIN CERTIFICATE-----\n";
const key = "-----BEGIN PRIVATE KEY-----\n";

function load(name: string, text = readFileSync(`${directory}${name}`, "utf8")) {
  const files = fakeFiles({
    [name]: text,
    "tls/cert.pem": certificate,
    "tls/key.pem": key,
    "tls/ca.pem": certificate,
    "/var/lib/zoolet/myid": "1\n",
  });
  return settingsOf(loadSettings(files, name));
}

test("the examples are those that the README lists", () => {
  const readme = readFileSync(`${directory}README.md`, "utf8");
  assert.deepEqual(examples.filter((name) => !readme.includes(`\`${name}\``)), []);
  assert.ok(examples.length >= 4);
});

for (const name of examples) {
  test(`config/${name} loads without a warning`, () => {
    assert.deepEqual(load(name).warnings, []);
  });
}

test("throwaway.toml does not sync, tls.toml has TLS alone", () => {
  assert.equal(load("throwaway.toml").sync, "off");
  const tls = load("tls.toml");
  assert.deepEqual([tls.clientPort, tls.secureClientPort], [-1, 2281]);
  assert.deepEqual(tls.tls, {
    certFile: "./tls/cert.pem",
    keyFile: "./tls/key.pem",
    caFile: "./tls/ca.pem",
    clientCert: true,
  });
});

test("zoolet.toml shows every setting that TOML has, and those that stand there have their standard values", () => {
  const text = readFileSync(`${directory}zoolet.toml`, "utf8");
  const shown = new Set<string>();
  let table = "";
  for (const line of text.split("\n")) {
    const header = /^#?\[(\w+)\]$/.exec(line);
    if (header !== null) table = header[1] ?? "";
    const name = /^#?(\w+) = /.exec(line);
    if (name !== null) shown.add(`${table}.${name[1]}`);
  }
  // TLS and ensembles have examples of their own; enforcing follows from naming schemes.
  const elsewhere = (path: string): boolean => /^(tls|ensemble)\./.test(path) || path === "acl.enforce";
  const all = [...allKeys.values()].flatMap((spec) => spec.toml === null ? [] : [spec.toml]);
  assert.deepEqual(all.filter((path) => !elsewhere(path) && !shown.has(path)), []);

  for (const [name, values] of Object.entries(parse(text))) {
    for (const [setting, value] of Object.entries(values as Record<string, unknown>)) {
      const spec = allKeys.get(keyOfToml(`${name}.${setting}`) ?? "");
      assert.ok(spec !== undefined, `${name}.${setting}`);
      if (spec.standard === "") continue;
      const standard = spec.kind === "switchWord" ? String(spec.standard === "yes") : spec.standard;
      assert.equal(String(value), standard, `${name}.${setting}`);
    }
  }
});

test("ensemble.toml shows every setting of an ensemble, each with its standard value", () => {
  const text = readFileSync(`${directory}ensemble.toml`, "utf8");
  const values = parse(text.replace(/^#(?=[\w]+ = |\[)/gm, ""))["ensemble"] as Record<string, unknown>;
  for (
    const [path, spec] of [...allKeys].flatMap(([, one]) =>
      one.toml === null ? [] : [[one.toml, one] as const]
    )
  ) {
    if (!path.startsWith("ensemble.") || path === "ensemble.observe") continue;
    const name = path.split(".")[1] ?? "";
    assert.ok(name in values, path);
    if (typeof values[name] === "object" || spec.standard === "") continue;
    const standard = spec.kind === "switchWord" ? String(spec.standard === "yes") : spec.standard;
    assert.equal(
      `${values[name]}${/_limit$/.test(name) && standard.includes(" ") ? " in TOML" : ""}`,
      standard,
      path,
    );
  }
});

test("the examples of an ensemble are one, and the observer's needs no directory", () => {
  const classic = load("ensemble.cfg").ensemble;
  const toml = load("ensemble.toml").ensemble;
  assert.deepEqual(classic, toml);
  assert.deepEqual([toml?.sid, toml?.quorum.voters], [1, [1, 2, 3]]);
  const observer = load("observer.toml");
  assert.deepEqual([observer.ensemble?.observer, observer.storageKind, observer.clientPort], [
    true,
    "memory",
    2181,
  ]);
});

test("what is commented out in an example is right as well", () => {
  for (const name of ["zoo.cfg", "zoolet.toml"]) {
    const text = readFileSync(`${directory}${name}`, "utf8")
      .replace(/^#(?=[\w.[]+\]?( = |=|$))/gm, "")
      .replaceAll("<digest>", "D/InIHSb7yEEbrWz8b9l71RjZJU=")
      .replace(/=\/etc\/zoolet\/(server|ca)\.pem/g, "=/pem.pem");
    const files = fakeFiles({ [name]: text, "/pem.pem": certificate + key });
    const settings = settingsOf(loadSettings(files, name));
    assert.deepEqual(settings.warnings, []);
    assert.notEqual(settings.superDigest, null);
  }
});

test("config/KEYS.md is what the table says (ZOOLET_REWRITE=1 writes it anew)", () => {
  const path = `${directory}KEYS.md`;
  if (process.env["ZOOLET_REWRITE"] === "1") writeFileSync(path, keysMarkdown());
  assert.equal(readFileSync(path, "utf8"), keysMarkdown());
});
