/**
 * Java member: Apache ZooKeeper, of any version, as a member of an ensemble.
 */
import { apacheClassPath, findOnPath } from "./apache.ts";
import { Child } from "./child.ts";
import { debianVersion, javaClassPath, javaMissing } from "./java_jars.ts";
import type { Make } from "./member.ts";

const flags = [
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  "-XX:-UsePerfData",
  "-Xshare:auto",
  "-Dfile.encoding=UTF-8",
  "-Djava.awt.headless=true",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
  "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
  "-Dorg.slf4j.simpleLogger.showShortLogName=true",
  "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.NIOServerCnxn=error",
  "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.util.RequestPathMetricsCollector=warn",
  "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.util.JvmPauseMonitor=warn",
  "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.jmx=warn",
  // Said once per line of the environment, at every start, and never of use.
  "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.Environment=warn",
  "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.ZooKeeperServer=warn",
];

const properties = {
  "zookeeper.preAllocSize": "4096",
  "zookeeper.admin.enableServer": "false",
};

export function javaMake(version: string): Make {
  return {
    name: `apache ${version}`,
    isJava: true,
    missing: javaMissing(version),
    start(file, options) {
      const classPath = version === debianVersion ? apacheClassPath : javaClassPath(version);
      return new Child(findOnPath("java") ?? "java", [
        `-Xmx${options.heapMb}m`,
        ...flags,
        ...Object.entries({ ...properties, ...options.properties }).map(([key, value]) =>
          `-D${key}=${value}`
        ),
        ...["-cp", classPath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file],
      ]);
    },
  };
}
