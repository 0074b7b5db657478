/** The TLS material that a configuration names: PEM, there, and whole, or a problem that says what to do. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { formatProblems, loadSettings } from "../../src/server/config.ts";
import { type FakeFiles, fakeFiles, problemsOf, settingsOf } from "./config_fake_files.ts";

const certificate = "-----BEGIN CERTIFICATE-----\n";
const key = "-----BEGIN PRIVATE KEY-----\n";
const material: FakeFiles = {
  "/s.pem": key + certificate,
  "/ca.pem": certificate,
  "/c.pem": certificate,
  "/k.key": key,
};
const base = "dataDir=/d\nsecureClientPort=2281\n";

function load(text: string, more: FakeFiles = {}) {
  return loadSettings(fakeFiles({ "zoo.cfg": base + text, ...material, ...more }), "zoo.cfg");
}

function problemText(text: string, more: FakeFiles = {}): string {
  return formatProblems(problemsOf(load(text, more)));
}

test("one PEM with key and certificate, and one with authorities, are enough", () => {
  const s = settingsOf(load("ssl.keyStore.location=/s.pem\nssl.trustStore.location=/ca.pem\n"));
  assert.deepEqual(s.tls, { keyFile: "/s.pem", certFile: "/s.pem", caFile: "/ca.pem", clientCert: true });
  assert.deepEqual([s.clientPort, s.secureClientPort, s.warnings], [-1, 2281, []]);
  assert.equal(s.notes.length, 1);
});

test("the key may have a file of its own, and clients need not be asked", () => {
  const s = settingsOf(
    load("ssl.keyStore.location=/c.pem\nzoolet.ssl.keyFile=/k.key\nssl.clientAuth=NONE\n"),
  );
  assert.deepEqual(s.tls, { keyFile: "/k.key", certFile: "/c.pem", caFile: null, clientCert: false });
});

test("a secure port without a certificate, or with nobody to trust, is a problem", () => {
  assert.match(
    problemText("ssl.clientAuth=none\n"),
    /^zoo\.cfg:2: ssl\.keyStore\.location: found "", expected a PEM/m,
  );
  assert.match(
    problemText("ssl.keyStore.location=/s.pem\n"),
    /ssl\.trustStore\.location: .*ssl\.clientAuth=none/,
  );
});

test("a file that is not there is told with its full path", () => {
  const told = problemText("ssl.keyStore.location=./no.pem\nssl.clientAuth=none\n");
  assert.match(told, /^zoo\.cfg:3: ssl\.keyStore\.location: found "\.\/no\.pem", .*none at \/cwd\/no\.pem/);
});

test("a Java key store is refused with the command that converts it", () => {
  assert.match(
    problemText("ssl.keyStore.location=/s.jks\nssl.clientAuth=none\n"),
    /JKS.*keytool -importkeystore .*\/s\.jks/,
  );
  assert.match(
    problemText("ssl.keyStore.location=/s.p12\nssl.clientAuth=none\n"),
    /PKCS12.*openssl pkcs12 -in \/s\.p12/,
  );
  assert.match(
    problemText("ssl.keyStore.location=/s.pem\nssl.keyStore.type=jks\nssl.clientAuth=none\n"),
    /JKS.*convert it/,
  );
  assert.match(
    problemText("ssl.keyStore.location=/s.store\nssl.clientAuth=none\n"),
    /Unable to auto-detect store file type from file name: \/s\.store/,
  );
  assert.match(
    problemText("ssl.keyStore.location=/s.pem\nssl.keyStore.type=zip\nssl.clientAuth=none\n"),
    /Bad value for zookeeper\.ssl\.keyStore\.type: zip/,
  );
});

test("a PEM file without its key, without a certificate, or with an encrypted key is told apart", () => {
  const auth = "ssl.clientAuth=none\n";
  assert.match(problemText(`ssl.keyStore.location=/c.pem\n${auth}`), /did not find a private key/);
  assert.match(
    problemText(`ssl.keyStore.location=/x.pem\n${auth}`, { "/x.pem": key }),
    /Certificate file does not contain any certificates: \/x\.pem/,
  );
  const locked = certificate + "-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
  assert.match(
    problemText(`ssl.keyStore.location=/x.pem\n${auth}`, { "/x.pem": locked }),
    /openssl pkey -in \/x\.pem/,
  );
});

test("a password for a key without one is ignored with a warning, and not shown", () => {
  const s = settingsOf(
    load("ssl.keyStore.location=/s.pem\nssl.clientAuth=none\nssl.keyStore.password=hunter2\n"),
  );
  assert.equal(s.warnings.length, 1);
  assert.doesNotMatch(s.warnings.join(), /hunter2/);
});

test("a certificate without a secure port is warned about", () => {
  const files = fakeFiles({
    "zoo.cfg": "dataDir=/d\nclientPort=1\nssl.keyStore.location=/s.pem\n",
    ...material,
  });
  const s = settingsOf(loadSettings(files, "zoo.cfg"));
  assert.equal(s.tls, null);
  assert.match(s.warnings[0] ?? "", /no secureClientPort/);
});

test("revocation and HTTPS that were asked for are not left out unnoticed", () => {
  for (const guard of ["ssl.crl", "ssl.ocsp", "admin.forceHttps", "admin.needClientAuth"]) {
    const text = `ssl.keyStore.location=/s.pem\nssl.clientAuth=none\n${guard}=`;
    assert.match(problemText(`${text}true\n`), /must not be left out unnoticed/);
    settingsOf(load(`${text}false\n`));
  }
});
