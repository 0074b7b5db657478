/**
 * Membership: one `server.N` line, read and written as Apache reads and writes it.
 *
 * The official container image writes no `clientPort`: its only source is the `;2181` at the end of
 * the one `server.1` line. So the line is read in full, also by a server that stands alone.
 *
 * ```
 * server.1=host:2888:3888:participant|host2:2888:3888;0.0.0.0:2181;0.0.0.0:2281
 *          └──── addresses, with | between ────────┘ └ client ──┘ └ TLS ─────┘
 * ```
 */
import { addressText } from "../core/base/ip.ts";
import { clip } from "./config_report.ts";

export interface ClientAddress {
  readonly host: string;
  readonly port: number;
}

export interface Member {
  readonly id: number;
  readonly role: "participant" | "observer";
  readonly addresses: readonly {
    readonly host: string;
    readonly quorumPort: number;
    readonly electionPort: number;
  }[];
  readonly client: ClientAddress | null;
  readonly secureClient: ClientAddress | null;
}

export type ParsedMember =
  | { readonly kind: "member"; readonly member: Member }
  /** `allowed` says the rule in our words, `sentence` in Apache's. */
  | { readonly kind: "refused"; readonly allowed: string; readonly sentence: string };

const shape = "host:quorumPort:electionPort[:participant|observer][;[clientHost:]clientPort]";

/** `key` is `server.N`; the value has been trimmed. */
export function parseMember(key: string, value: string, multiAddress: boolean): ParsedMember {
  const idText = key.slice("server.".length);
  if (!/^\d{1,15}$/.test(idText)) {
    return refuse("a whole number after `server.`", `For input string: "${clip(idText)}"`);
  }
  const id = Number(idText);
  const [addressesText = "", clientText = "", secureText = "", ...rest] = value.split(";", 5);
  if (rest.length > 0 || addressesText === "") return formatError(value);

  const addresses: { host: string; quorumPort: number; electionPort: number }[] = [];
  let role: Member["role"] = "participant";
  for (const text of addressesText.split("|", 17)) {
    const parts = splitHost(text);
    if (parts === null || parts.length < 3 || parts.length > 4) return formatError(value);
    const [host = "", quorum = "", election = "", roleText] = parts;
    const quorumPort = portOf(quorum);
    const electionPort = portOf(election);
    if (quorumPort === null) return unresolved(host, quorum);
    if (electionPort === null) return unresolved(host, election);
    if (quorumPort === electionPort) {
      return refuse(
        "two different ports",
        `Client and election port must be different! Please update the configuration file on server.${id}`,
      );
    }
    if (roleText !== undefined) {
      const lower = roleText.toLowerCase();
      if (lower !== "participant" && lower !== "observer") {
        return refuse("participant or observer", `Unrecognised peertype: ${clip(roleText)}`);
      }
      role = lower;
    }
    if (host === "" || /\s/.test(host)) return refuse("a host name or an address before the ports", "");
    addresses.push({ host, quorumPort, electionPort });
  }
  if (addresses.length > 16) return refuse("16 addresses at most", "");
  if (addresses.length > 1 && !multiAddress) {
    return refuse(
      "one address, or multiAddress.enabled=true",
      `Multiple address feature is disabled, but multiple addresses were specified for sid ${id}`,
    );
  }
  const client = clientAddress(clientText);
  if (client === "refused") return unresolved(...hostAndRest(clientText));
  const secureClient = clientAddress(secureText);
  if (secureClient === "refused") return unresolved(...hostAndRest(secureText));
  return { kind: "member", member: { id, role, addresses, client, secureClient } };

  function formatError(found: string): ParsedMember {
    return refuse(
      shape,
      `${
        clip(found)
      } does not have the form server_config or server_config;client_config where server_config is ` +
        "the pipe separated list of host:port:port or host:port:port:type and client_config is port or host:port",
    );
  }
}

/** Ports that the examples of Apache ZooKeeper use, and so does nearly everybody. */
const quorumPortUsual = 2888;
const electionPortUsual = 3888;

/** One item of `zoolet.observe`: `[N=]host[:quorumPort:electionPort]`, its number being its place when it names none. */
export function parseObserved(text: string, place: number): ParsedMember {
  const numbered = /^(\d{1,15})=(.*)$/.exec(text);
  const id = numbered?.[1] ?? String(place);
  const address = numbered?.[2] ?? text;
  const parts = splitHost(address);
  const whole = parts?.length === 1 ? `${address}:${quorumPortUsual}:${electionPortUsual}` : address;
  return parts?.[0] === "" ? refuse("[N=]host[:quorumPort:electionPort]", "") : parseMember(
    `server.${id}`,
    whole,
    false,
  );
}

/** The line as Apache writes it, without `server.N=`: the role always, the client part where the line had one. */
export function memberText(member: Member): string {
  const addresses = member.addresses.map((one) => ({ ...one, host: bracketed(one.host) }))
    .sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0))
    .map(({ host, quorumPort, electionPort }) => `${host}:${quorumPort}:${electionPort}`);
  const client = member.client === null ? "" : `;${bracketed(member.client.host)}:${member.client.port}`;
  return `${addresses.join("|")}:${member.role}${client}`;
}

function bracketed(host: string): string {
  const text = addressText(host);
  return text.includes(":") ? `[${text}]` : text;
}

/** As it would stand in `conf`: `;2181` is `0.0.0.0:2181`. */
export function shownAddress(address: ClientAddress): string {
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

function clientAddress(text: string): ClientAddress | null | "refused" {
  if (text === "") return null;
  const parts = splitHost(text);
  if (parts === null || parts.length > 2) return "refused";
  const port = portOf(parts[parts.length - 1] ?? "");
  if (port === null) return "refused";
  return { host: parts.length === 2 ? parts[0] ?? "" : "0.0.0.0", port };
}

/** Splits at colons, with a bracketed IPv6 address as one part, without its brackets. */
function splitHost(text: string): string[] | null {
  if (!text.startsWith("[")) return text.split(":", 8);
  const close = text.indexOf("]");
  if (close < 0) return null;
  const behind = text.slice(close + 1);
  if (behind !== "" && !behind.startsWith(":")) return null;
  return [text.slice(1, close), ...(behind === "" ? [] : behind.slice(1).split(":", 8))];
}

function hostAndRest(text: string): [string, string] {
  const colon = text.lastIndexOf(":");
  return colon < 0 ? ["0.0.0.0", text] : [text.slice(0, colon), text.slice(colon + 1)];
}

function portOf(text: string): number | null {
  if (!/^\d{1,5}$/.test(text)) return null;
  const port = Number(text);
  return port <= 65535 ? port : null;
}

function unresolved(host: string, text: string): ParsedMember {
  return refuse("a port from 0 to 65535", `Address unresolved: ${clip(host)}:${clip(text)}`);
}

function refuse(allowed: string, sentence: string): ParsedMember {
  return { kind: "refused", allowed, sentence };
}
