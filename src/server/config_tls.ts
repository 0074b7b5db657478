/**
 * TLS: which PEM files the secure port takes, and that they are what they should be.
 *
 * Java keeps keys in stores of its own. Neither runtime reads those, and a port that comes up without
 * its certificate is found out by clients, so a store that is no PEM is refused here with the command
 * that converts it. Likewise `need`, the default, without anybody to trust: nobody could connect.
 *
 * Always true: with no problem told, each file exists and holds the block that it is there for.
 */
import { clip, type Place, type Report } from "./config_report.ts";
import type { Resolved } from "./config_resolve.ts";
import { type ConfigFiles, readBounded } from "./config_source.ts";
import type { ServerSettings } from "./config_types.ts";

const pemBytesMax = 1 << 20;
const storeOf: Readonly<Record<string, string>> = {
  jks: "jks",
  pem: "pem",
  p12: "pkcs12",
  pfx: "pkcs12",
  bcfks: "bcfks",
};

export function tlsOf(
  files: ConfigFiles,
  resolved: Resolved,
  whole: Place,
  report: Report,
): ServerSettings["tls"] {
  const certFile = resolved.get("ssl.keyStore.location");
  const certPlace = resolved.placeOf("ssl.keyStore.location", resolved.placeOf("secureClientPort", whole));
  if (certFile === undefined) {
    if (!resolved.isSet("ssl.keyStore.location")) {
      const allowed = "a PEM file with certificate and key: secureClientPort needs it";
      report.problem(certPlace, "ssl.keyStore.location", "", allowed);
    }
    return null;
  }
  const keyGiven = resolved.get("zoolet.ssl.keyFile");
  const keyFile = keyGiven ?? certFile;
  const caFile = resolved.get("ssl.trustStore.location") ?? null;
  const caPlace = resolved.placeOf("ssl.trustStore.location", whole);

  if (isPem(resolved, "keyStore", certFile, certPlace, report)) {
    const text = pemText(files, certFile, "ssl.keyStore.location", certPlace, report);
    if (text !== null && !text.includes("-----BEGIN CERTIFICATE-----")) {
      const sentence = `Certificate file does not contain any certificates: ${clip(certFile)}`;
      report.problem(certPlace, "ssl.keyStore.location", certFile, "a PEM file with a certificate", sentence);
    }
    const keyKey = keyGiven === undefined ? "ssl.keyStore.location" : "zoolet.ssl.keyFile";
    const keyPlace = keyGiven === undefined ? certPlace : resolved.placeOf("zoolet.ssl.keyFile", whole);
    const keyText = keyGiven === undefined ? text : pemText(files, keyFile, keyKey, keyPlace, report);
    if (keyText !== null) keyIsPlain(resolved, keyText, keyFile, keyKey, keyPlace, report);
  }

  const auth = resolved.get("ssl.clientAuth") ?? "need";
  if (auth === "want") {
    const place = resolved.placeOf("ssl.clientAuth", whole);
    report.warn(
      place,
      "ssl.clientAuth=want is taken as none: a certificate that need not be shown is not asked for",
    );
  }
  if (caFile !== null && isPem(resolved, "trustStore", caFile, caPlace, report)) {
    const text = pemText(files, caFile, "ssl.trustStore.location", caPlace, report);
    if (text !== null && !text.includes("-----BEGIN CERTIFICATE-----")) {
      const sentence = `Certificate file does not contain any certificates: ${clip(caFile)}`;
      report.problem(caPlace, "ssl.trustStore.location", caFile, "a PEM file with a certificate", sentence);
    }
  }
  if (caFile === null && auth === "need" && !resolved.isSet("ssl.trustStore.location")) {
    const place = resolved.placeOf("ssl.clientAuth", resolved.placeOf("secureClientPort", whole));
    const allowed = "a PEM file with the authorities of client certificates, or ssl.clientAuth=none: " +
      "a certificate is needed of clients, and nobody could show a good one";
    report.problem(place, "ssl.trustStore.location", "", allowed);
  }
  return { keyFile, certFile, caFile, clientCert: auth === "need" };
}

function isPem(
  resolved: Resolved,
  store: "keyStore" | "trustStore",
  path: string,
  place: Place,
  report: Report,
): boolean {
  const key = `ssl.${store}.location`;
  const asked = resolved.get(`ssl.${store}.type`) ?? "";
  if (
    asked === "" && resolved.isSet(`ssl.${store}.type`) && resolved.written(`ssl.${store}.type`)?.value !== ""
  ) {
    return false; // A word that is no type was told already.
  }
  const ending = /\.([A-Za-z0-9]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  const byEnding = storeOf[ending] ?? (/^(crt|cer|cert|key|ca)$/.test(ending) ? "pem" : "");
  const type = asked === "" ? byEnding : asked;
  if (type === "pem") return true;
  const path1 = clip(path);
  if (type === "") {
    const sentence = `Unable to auto-detect store file type from file name: ${path1}`;
    report.problem(place, key, path, `a PEM file that ends in .pem, or ssl.${store}.type=PEM`, sentence);
    return false;
  }
  const convert = type === "pkcs12"
    ? `openssl pkcs12 -in ${path1} -nodes -out ${store}.pem`
    : `keytool -importkeystore -srckeystore ${path1} -destkeystore ${store}.p12 -deststoretype PKCS12, then ` +
      `openssl pkcs12 -in ${store}.p12 -nodes -out ${store}.pem`;
  report.problem(place, key, `${path1} (${type.toUpperCase()})`, `a PEM file; convert it with ${convert}`);
  return false;
}

function pemText(files: ConfigFiles, path: string, key: string, place: Place, report: Report): string | null {
  const bytes = readBounded(files, path, pemBytesMax, key, report);
  if (bytes === "missing") {
    report.problem(place, key, path, `a file that is there; none at ${files.absolute(path)}`);
    return null;
  }
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

function keyIsPlain(
  resolved: Resolved,
  text: string,
  path: string,
  key: string,
  place: Place,
  report: Report,
): void {
  const encrypted = text.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----") ||
    text.includes("Proc-Type: 4,ENCRYPTED");
  if (encrypted) {
    const allowed = `an unencrypted key; decrypt it with openssl pkey -in ${clip(path)} -out key.pem`;
    report.problem(place, key, "an encrypted private key", allowed);
  } else if (!/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(text)) {
    report.problem(place, key, path, "a PEM file with a private key", "did not find a private key");
  }
  const password = resolved.get("ssl.keyStore.password") ?? "";
  if (!encrypted && (password !== "" || resolved.isSet("ssl.keyStore.passwordPath"))) {
    const told = resolved.isSet("ssl.keyStore.password")
      ? "ssl.keyStore.password"
      : "ssl.keyStore.passwordPath";
    report.warn(resolved.placeOf(told, place), `${told} is ignored: the key is not encrypted`);
  }
}
