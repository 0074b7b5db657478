/**
 * Version: whose behaviour we offer and who we are, in the one line that everybody parses.
 *
 * Monitors and clients look for the first `\d+.\d+.\d+` and switch features on by it, so the first
 * number is ZooKeeper's and ours comes behind it, before the comma that ends the version for them.
 */

/** The release of Apache ZooKeeper whose behaviour this server reproduces. */
export const zookeeperVersion = "3.8.0";
export const zooletVersion = "0.1.0";
export const builtOn = "2026-11-20 00:00 UTC";

/** As in `envi`, `mntr` and the admin commands. */
export const versionText = `${zookeeperVersion}-zoolet-${zooletVersion}, built on ${builtOn}`;
/** As the first line of `srvr` and `stat`, with the lower-case k that parsers expect. */
export const versionLine = `Zookeeper version: ${versionText}`;
