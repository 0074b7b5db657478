/**
 * Apache: the original, as Debian packages it, to compare with. Where it is not installed the tests
 * that need it skip and say so.
 */
import { existsSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Child } from "./child.ts";
import { freePort, sleep } from "./places.ts";
import { type RunningServer, type ServerStart, settingsText } from "./servers.ts";
import { askText } from "./wire_connection.ts";

const jarDirectory = "/usr/share/java";
const jars = [
  "zookeeper",
  "zookeeper-jute",
  "slf4j-api",
  "slf4j-simple",
  "netty-codec",
  "netty-resolver",
  "netty-transport",
  "netty-buffer",
  "netty-common",
  "netty-handler",
  "netty-transport-native-unix-common",
  "metrics-core",
  "snappy-java",
  "commons-cli",
  "commons-io",
].map((name) => join(jarDirectory, `${name}.jar`));

export const apacheClassPath = jars.join(":");

export function findOnPath(program: string): string | null {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const candidate = join(directory, program);
    if (directory !== "" && existsSync(candidate)) return candidate;
  }
  return null;
}

/** Why Apache ZooKeeper cannot be run here; null when it can. */
export function apacheMissing(): string | null {
  if (findOnPath("java") === null) return "no java on the PATH (apt-get install default-jre-headless)";
  const missing = jars.find((jar) => !existsSync(jar));
  return missing === undefined ? null : `${missing} is not there (apt-get install libzookeeper-java)`;
}

export const javaFlags = [
  "-Xmx384m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  "-Dfile.encoding=UTF-8",
  "-Djava.awt.headless=true",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

/** Starts a stand-alone Apache ZooKeeper and waits until it serves. */
export async function startApache(
  start: ServerStart & { properties?: Readonly<Record<string, string>> },
): Promise<RunningServer> {
  const port = await freePort();
  const file = join(start.directory, "zoo.cfg");
  writeFileSync(
    file,
    settingsText({
      tickTime: 2000,
      clientPort: port,
      clientPortAddress: "127.0.0.1",
      dataDir: join(start.directory, "data"),
      "admin.enableServer": false,
      "4lw.commands.whitelist": "*",
      maxClientCnxns: 0,
      ...start.settings,
    }),
  );
  const properties = { "zookeeper.preAllocSize": "4096", ...start.properties };
  const child = new Child(findOnPath("java") ?? "java", [
    ...javaFlags,
    ...Object.entries(properties).map(([key, value]) => `-D${key}=${value}`),
    "-cp",
    apacheClassPath,
    "org.apache.zookeeper.server.quorum.QuorumPeerMain",
    file,
  ]);
  const until = performance.now() + 30_000;
  while (true) {
    if (child.exit !== null || performance.now() > until) {
      child.kill();
      throw new Error(`Apache ZooKeeper did not come up (${child.describe()})`);
    }
    try {
      if (/^Mode: /m.test(await askText(port, "srvr", 1000))) break;
    } catch {
      // Not listening yet; asked again below until the time is up.
    }
    await sleep(50);
  }
  return { name: "apache", port, pid: child.pid, child, stop: () => child.stop() };
}
