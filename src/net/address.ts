/**
 * Addresses of members, as a configuration writes them and as initial messages carry them.
 *
 * A host stays a name: it is looked up at each attempt to connect, for a member may come back
 * somewhere else.
 */
import { addressBytes } from "../core/base/ip.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `host:port`; an IPv6 literal in brackets. */
export function hostPort({ host, port }: Address): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** 0.0.0.0 and ::, where one listens but where nobody can be dialed. */
export function isWildcard(host: string): boolean {
  const bytes = addressBytes(plainHost(host));
  return bytes !== null && bytes.every((byte) => byte === 0);
}

/** What a socket wants to hear: an IPv6 literal without brackets. */
export function plainHost(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
