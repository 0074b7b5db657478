/**
 * Java jars: where the original's classes come from, by version.
 *
 * `3.8.0` is Debian's. Any other version is fetched once by `mvn` from the Maven repository that
 * `ZOOLET_MAVEN` names, with strict checksums, and kept under the system's temporary directory. Nothing
 * is fetched unless that is set: without it, and without an earlier copy, tests skip and say so.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apacheClassPath, apacheMissing, findOnPath } from "./apache.ts";

export const debianVersion = "3.8.0";
const newestVersion = "3.9.5";

const fetchMsMax = 240_000;

/** What a server needs beside its own dependencies, which leave these to the distribution. */
const companions: readonly (readonly [group: string, artifact: string, version: string])[] = [
  ["org.slf4j", "slf4j-simple", "2.0.13"],
  ["io.dropwizard.metrics", "metrics-core", "4.1.12.1"],
  ["org.xerial.snappy", "snappy-java", "1.1.10.5"],
  ["commons-cli", "commons-cli", "1.5.0"],
];

/** `ZOOLET_JAVA_VERSIONS=3.8.0,3.9.2` chooses others. */
export const javaVersions: readonly string[] = (process.env["ZOOLET_JAVA_VERSIONS"] ??
  `${debianVersion},${newestVersion}`).split(",").map((version) => version.trim());

const found = new Map<string, { readonly classPath: string } | { readonly missing: string }>();

/** Why this version cannot be run here; null when it can. May fetch it, once. */
export function javaMissing(version: string): string | null {
  const jars = jarsOf(version);
  return "missing" in jars ? jars.missing : null;
}

export function javaClassPath(version: string): string {
  const jars = jarsOf(version);
  if ("missing" in jars) throw new Error(`Cannot run Apache ZooKeeper ${version}: ${jars.missing}`);
  return jars.classPath;
}

function jarsOf(version: string): { readonly classPath: string } | { readonly missing: string } {
  let jars = found.get(version);
  if (jars === undefined) found.set(version, jars = findJars(version));
  return jars;
}

function findJars(version: string): { readonly classPath: string } | { readonly missing: string } {
  if (version === debianVersion) {
    const missing = apacheMissing();
    return missing === null ? { classPath: apacheClassPath } : { missing };
  }
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    return { missing: `${version} is no version such as ${newestVersion}` };
  }
  if (findOnPath("java") === null) return { missing: "no java on the PATH" };
  const cache = join(tmpdir(), "zoolet-test-jars");
  const directory = join(cache, version);
  if (!existsSync(directory)) {
    const missing = fetchJars(version, cache, directory);
    if (missing !== null) return { missing };
  }
  const names = readdirSync(directory).filter((name) => name.endsWith(".jar")).sort();
  return { classPath: names.map((name) => join(directory, name)).join(":") };
}

/** The directory appears with all its jars in it or not at all. */
function fetchJars(version: string, cache: string, directory: string): string | null {
  const repository = process.env["ZOOLET_MAVEN"] ?? "";
  if (repository === "") {
    return `no copy of Apache ZooKeeper ${version}: set ZOOLET_MAVEN (test/support/README.md)`;
  }
  const maven = findOnPath("mvn");
  if (maven === null) return `no mvn on the PATH to fetch Apache ZooKeeper ${version} with`;
  mkdirSync(cache, { recursive: true });
  const place = mkdtempSync(join(cache, "fetch-"));
  try {
    writeFileSync(join(place, "settings.xml"), settingsText(repository));
    writeFileSync(join(place, "pom.xml"), pomText(version));
    const run = spawnSync(maven, [
      ...["-q", "-B", "-C", "-s", join(place, "settings.xml"), "-f", join(place, "pom.xml")],
      ...["dependency:copy-dependencies", `-DoutputDirectory=${join(place, "jars")}`],
    ], { encoding: "utf8", timeout: fetchMsMax });
    if (run.status !== 0) {
      const told = `${run.error?.message ?? ""}${run.stdout}`.match(/ERROR\] (.{0,300})/)?.[1] ??
        "no reason told";
      return `mvn could not fetch Apache ZooKeeper ${version}: ${told}`;
    }
    renameSync(join(place, "jars"), directory);
    return null;
  } catch (error) {
    // Somebody else was as quick: theirs is as good.
    if (existsSync(directory)) return null;
    throw error;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function settingsText(repository: string): string {
  const url = repository.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<settings><mirrors><mirror><id>zoolet</id><mirrorOf>*</mirrorOf><url>${url}</url></mirror></mirrors></settings>`;
}

function pomText(version: string): string {
  const all = [["org.apache.zookeeper", "zookeeper", version] as const, ...companions];
  const dependencies = all.map(([group, artifact, number]) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${number}</version></dependency>`
  );
  return `<project><modelVersion>4.0.0</modelVersion><groupId>zoolet</groupId><artifactId>test</artifactId>` +
    `<version>1</version><dependencies>${dependencies.join("")}</dependencies></project>`;
}
