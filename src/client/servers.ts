/**
 * Connect strings: `host[:port][,host[:port]…][/chroot]`, and paths with a chroot in front.
 *
 * A chroot is purely the client's idea (client-protocol 4.3): it is put before each path that leaves
 * and taken off each path that comes back. A server never learns of it.
 */
import { trimBlanks } from "../core/base/blanks.ts";
import { addressBytes } from "../core/base/ip.ts";
import { portDefault } from "./limits.ts";
import { pathProblem } from "./paths.ts";

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ConnectString {
  readonly servers: readonly ServerAddress[];
  /** "" without one, else `/a/b`. */
  readonly chroot: string;
  /** What was taken although it is not written as it should be. */
  readonly warnings: readonly string[];
}

export class ConnectStringError extends Error {
  override readonly name = "ConnectStringError";
}

export function parseConnectString(text: string): ConnectString {
  const slash = text.indexOf("/");
  const hostsText = slash < 0 ? text : text.slice(0, slash);
  const chrootText = slash < 0 ? "" : text.slice(slash);
  const chroot = chrootText === "/" ? "" : chrootText;
  const problem = chroot === "" ? null : pathProblem(chroot);
  if (problem !== null) throw new ConnectStringError(`Cannot use chroot "${chroot}": ${problem}`);
  const warnings: string[] = [];
  const servers = hostsText.split(",").map(trimBlanks).filter((part) => part !== "").map((part) =>
    parseServer(part, warnings)
  );
  if (servers.length === 0) {
    throw new ConnectStringError(
      `Cannot use servers "${text}": no host in it, expected host:port[,host:port…][/chroot]`,
    );
  }
  return { servers, chroot, warnings };
}

function parseServer(text: string, warnings: string[]): ServerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  // An IPv6 address without brackets: what follows its last colon is the port, as for Java's client.
  const bare = match === null ? /^([^[\]]*):(\d{1,5})$/.exec(text) : null;
  const isBare = bare !== null && addressBytes(bare[1] as string) !== null;
  const host = isBare ? bare[1] : match?.[1] ?? match?.[2];
  const portText = isBare ? bare[2] : match?.[3];
  const port = portText === undefined ? portDefault : Number(portText);
  if (host === undefined || port < 1 || port > 65535) {
    throw new ConnectStringError(
      `Cannot use server "${text}": expected host:port with a port of 1 to 65535, and an IPv6 address in [brackets]`,
    );
  }
  if (isBare) warnings.push(`"${text}" is read as [${host}]:${port}: write an IPv6 address in [brackets]`);
  return { host, port };
}

export function serverText({ host, port }: ServerAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What the server calls `path`. */
export function pathOnServer(chroot: string, path: string): string {
  if (chroot === "") return path;
  return path === "/" ? chroot : chroot + path;
}

/** What the caller calls a path of the server. Outside the chroot there is no such name: it stays as it is. */
export function pathOfCaller(chroot: string, path: string): string {
  if (chroot === "" || !path.startsWith(chroot)) return path;
  if (path.length === chroot.length) return "/";
  return path.charCodeAt(chroot.length) === 0x2f ? path.slice(chroot.length) : path;
}
