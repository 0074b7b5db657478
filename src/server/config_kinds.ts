/**
 * Kinds: what a setting's value may be, one schema per kind, with the words that tell an operator so.
 *
 * A properties file has only text and TOML has types, so a value comes here in two steps: `valueOfText`
 * reads the text as the kind's shape (with Java's two grammars for numbers), TOML brings its own, and
 * then the schema, the same for both, says whether it is allowed.
 *
 * Always true: a wrong value becomes a `Refusal` and never a guess; the sentence in it is the one
 * that Apache ZooKeeper prints, where it prints one (operations 1.4, 1.9).
 */
import * as v from "valibot";
import { trimBlanks } from "../core/base/blanks.ts";
import { frameBytesMaxMax, frameExtraBytesMin } from "../core/base/limits.ts";

export type Shape = "integer" | "decimal" | "boolean" | "text" | "list" | "interval";

/** How Apache reads the number: `core` keys as plain decimals, passed-through ones also hex and octal. */
export type Grammar = "core" | "property" | "own";

export interface Kind {
  readonly shape: Shape;
  readonly allowed: string;
  readonly schema: v.GenericSchema<unknown, unknown>;
  readonly sentence?: (found: string, key: string) => string;
}

const int32Max = 0x7fff_ffff;
const range = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const word = <const T extends readonly string[]>(...words: T) => v.picklist(words);
const lowered = v.pipe(v.string(), v.toLowerCase());
const line = v.pipe(v.string(), v.minLength(1), v.maxLength(4096), v.check((text) => !hasControl(text)));

const portSentence = (found: string): string =>
  /^[+-]?\d{1,9}$/.test(found) ? `port out of range:${found}` : notANumber(found);

export const kinds = {
  port: {
    shape: "integer",
    allowed: "a port from 0 to 65535",
    schema: range(0, 65535),
    sentence: portSentence,
  },
  portOrOff: {
    shape: "integer",
    allowed: "a port from 0 to 65535, or -1 for none",
    schema: range(-1, 65535),
    sentence: portSentence,
  },
  /** Apache takes every number below 1 for "none". */
  portOrNone: {
    shape: "integer",
    allowed: "a port from 1 to 65535, or 0 for none",
    schema: v.pipe(range(-int32Max - 1, 65535), v.transform((port) => (port < 1 ? -1 : port))),
    sentence: portSentence,
  },
  tick: {
    shape: "integer",
    allowed: `milliseconds from 1 to ${int32Max}`,
    schema: range(1, int32Max),
    sentence: (found) => (/^[+-]?0+$/.test(found) ? "tickTime is not set" : notANumber(found)),
  },
  ticks: {
    shape: "integer",
    allowed: `ticks from 0 to ${int32Max}`,
    schema: range(0, int32Max),
  },
  ms: { shape: "integer", allowed: `milliseconds from 0 to ${int32Max}`, schema: range(0, int32Max) },
  msPositive: { shape: "integer", allowed: `milliseconds from 1 to ${int32Max}`, schema: range(1, int32Max) },
  msOrDefault: {
    shape: "integer",
    allowed: `milliseconds from 0 to ${int32Max}, or -1 for the default`,
    schema: range(-1, int32Max),
  },
  msLong: {
    shape: "integer",
    allowed: "milliseconds from 0 up, 0 for ever",
    schema: range(0, Number.MAX_SAFE_INTEGER),
  },
  count: { shape: "integer", allowed: `a number from 0 to ${int32Max}`, schema: range(0, int32Max) },
  countPositive: { shape: "integer", allowed: `a number from 1 to ${int32Max}`, schema: range(1, int32Max) },
  /** Apache takes every number below 1 for "no limit", so the odd -1 in old files has to pass. */
  limit: {
    shape: "integer",
    allowed: `a number, 0 for no limit`,
    schema: v.pipe(range(-int32Max - 1, int32Max), v.transform((n) => Math.max(0, n))),
  },
  integer: { shape: "integer", allowed: "a whole number", schema: range(-int32Max - 1, int32Max) },
  backlog: {
    shape: "integer",
    allowed: `a number from 1 to 65535, or -1 to leave it to the system`,
    schema: v.union([v.literal(-1), range(1, 65535)]),
  },
  frameBytes: {
    shape: "integer",
    allowed: `bytes from 1 to ${frameBytesMaxMax}`,
    schema: range(1, frameBytesMaxMax),
  },
  /** As in the original, which takes what is below for the least. */
  frameExtraBytes: {
    shape: "integer",
    allowed: `bytes from ${frameExtraBytesMin} to ${frameBytesMaxMax}`,
    schema: v.pipe(range(0, frameBytesMaxMax), v.transform((n) => Math.max(n, frameExtraBytesMin))),
  },
  serverId: {
    shape: "integer",
    allowed: "a number from 0 to 9007199254740991",
    schema: range(0, Number.MAX_SAFE_INTEGER),
  },
  electionAlg: {
    shape: "integer",
    allowed: "3",
    schema: v.literal(3),
    sentence: (found) =>
      /^[+-]?\d+$/.test(found) ? "Invalid electionAlg value. Only 3 is supported." : notANumber(found),
  },
  factor: { shape: "decimal", allowed: "a number, as in 0.33", schema: v.pipe(v.number(), v.finite()) },
  boolean: {
    shape: "boolean",
    allowed: "true or false",
    schema: v.boolean(),
    sentence: (found, key) => `Invalid option ${found} for ${key}. Choose 'true' or 'false.'`,
  },
  /** A switch where only one exact word acts; the caller decides what every other word is worth. */
  switchWord: { shape: "text", allowed: "yes or no", schema: v.pipe(v.string(), v.maxLength(64)) },
  path: {
    shape: "text",
    allowed: "a path",
    schema: line,
    sentence: (found, key) => (key === "dataDir" && found === "" ? "dataDir is not set" : ""),
  },
  host: {
    shape: "text",
    allowed: "a host name or an address",
    schema: v.pipe(line, v.regex(/^[^\s/]+$/), v.transform((host) => host.replace(/^\[(.*)\]$/, "$1"))),
  },
  urlPath: {
    shape: "text",
    allowed: "a path that begins with /",
    schema: v.pipe(line, v.regex(/^\/[\w./~-]*$/)),
  },
  text: { shape: "text", allowed: "one line of text", schema: v.union([v.literal(""), line]) },
  digest: {
    shape: "text",
    allowed: "user:digest, as in super:<base64 of the SHA-1 of super:password>",
    schema: v.pipe(line, v.regex(/^[^:\s]+:\S+$/)),
  },
  words: {
    shape: "list",
    allowed: "a list of four-letter words with commas, or *",
    schema: v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(256)),
  },
  schemes: {
    shape: "list",
    allowed: "a list of authentication schemes with commas",
    schema: v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(64)),
  },
  members: {
    shape: "list",
    allowed:
      "a list of servers with commas, each host, host:quorumPort:electionPort or N=host:quorumPort:electionPort",
    schema: v.pipe(v.array(line), v.minLength(1), v.maxLength(255)),
  },
  storageKind: { shape: "text", allowed: "disk or memory", schema: v.pipe(lowered, word("disk", "memory")) },
  sync: { shape: "text", allowed: "full or off", schema: v.pipe(lowered, word("full", "off")) },
  logFormat: { shape: "text", allowed: "text or json", schema: v.pipe(lowered, word("text", "json")) },
  logLevel: {
    shape: "text",
    allowed: "debug, info, warn or error",
    schema: v.pipe(lowered, word("debug", "info", "warn", "error")),
  },
  clientAuth: {
    shape: "text",
    allowed: "none, want or need",
    schema: v.pipe(lowered, word("none", "want", "need")),
  },
  storeType: {
    shape: "text",
    allowed: "JKS, PEM, PKCS12 or BCFKS",
    schema: v.pipe(lowered, word("", "jks", "pem", "pkcs12", "bcfks")),
    sentence: (found, key) => `Bad value for zookeeper.${key}: ${found}`,
  },
  digestAlg: {
    shape: "text",
    allowed: "SHA1, the algorithm that every stored digest ACL was made with",
    schema: v.pipe(lowered, v.picklist(["sha1", "sha-1"])),
  },
  peerType: {
    shape: "text",
    allowed: "participant or observer",
    schema: v.pipe(lowered, word("participant", "observer")),
    sentence: (found) => `Unrecognised peertype: ${found}`,
  },
  metricsProvider: {
    shape: "text",
    allowed: "the class name of the default, the null or the Prometheus provider",
    schema: word(
      "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
      "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
      "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
    ),
    sentence: () => "metrics provider class was not found",
  },
  interval: {
    shape: "interval",
    allowed: "hours as a number, or a number with ms, s, m, h or d",
    schema: range(-int32Max, Number.MAX_SAFE_INTEGER),
    sentence: (found) => `Illegal time interval suffix: ${found}`,
  },
} satisfies Record<string, Kind>;

export type KindName = keyof typeof kinds;
export type KindValue<K extends KindName> = v.InferOutput<(typeof kinds)[K]["schema"]>;

export type Checked =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "refused"; readonly allowed: string; readonly sentence: string };

/** Text of a properties file, a flag or a JVM property. */
export function checkText(name: KindName, key: string, grammar: Grammar, text: string): Checked {
  const kind: Kind = kinds[name];
  return checkValue(kind, key, text, valueOfText(kind.shape, grammar, text));
}

/** A value that TOML has already given a type. */
export function checkToml(name: KindName, key: string, given: unknown): Checked {
  const kind: Kind = kinds[name];
  return checkValue(kind, key, shown(given), valueOfToml(name, kind.shape, given));
}

/** How a value of a file is quoted in a message: short, and on one line whatever is in it. */
export function shown(given: unknown): string {
  const text = typeof given === "string" ? given : jsonOf(given);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function jsonOf(given: unknown): string {
  if (given instanceof Date) return "a date";
  if (typeof given === "number") return String(given);
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return "a table";
  return Array.isArray(given) && given.length > 20
    ? `a list of ${given.length}`
    : JSON.stringify(given) ?? "";
}

function checkValue(kind: Kind, key: string, found: string, value: unknown): Checked {
  const result = v.safeParse(kind.schema, value);
  if (result.success) return { kind: "value", value: result.output };
  const sentence = kind.sentence?.(found, key) ?? (kind.shape === "integer" ? notANumber(found) : "");
  return { kind: "refused", allowed: kind.allowed, sentence };
}

/** What Java says for text that is no number; for a number out of range it says nothing. */
function notANumber(found: string): string {
  return /^[+-]?\d{1,9}$/.test(found) ? "" : `For input string: "${found}"`;
}

/** Undefined for text that does not have the shape: no schema takes that. */
function valueOfText(shape: Shape, grammar: Grammar, text: string): unknown {
  switch (shape) {
    case "text":
      return text;
    case "list":
      return text.split(",").map(trimBlanks).filter((part) => part !== "");
    case "boolean": {
      const lower = text.toLowerCase();
      return lower === "true" ? true : lower === "false" ? false : undefined;
    }
    case "integer":
      return integerOf(text, grammar);
    case "decimal":
      return /^[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})$/.test(text) ? Number(text) : undefined;
    case "interval":
      return intervalMsOf(text);
  }
}

function integerOf(text: string, grammar: Grammar): number | undefined {
  if (text.length > 20) return undefined;
  if (/^[+-]?\d+$/.test(text) && (grammar !== "property" || !/^[+-]?0\d/.test(text))) return Number(text);
  if (grammar !== "property") return undefined;
  const match = /^([+-]?)(?:(?:0[xX]|#)([0-9a-fA-F]+)|0([0-7]+))$/.exec(text);
  if (match === null) return undefined;
  const [, sign, hex, octal] = match;
  const size = hex === undefined ? Number.parseInt(octal ?? "", 8) : Number.parseInt(hex, 16);
  return sign === "-" ? -size : size;
}

const intervalUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  "": 3_600_000,
};

function intervalMsOf(text: string): number | undefined {
  const match = /^([+-]?\d{1,9})(ms|s|m|h|d|)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (intervalUnits[match[2] ?? ""] ?? 0);
}

function valueOfToml(name: KindName, shape: Shape, given: unknown): unknown {
  // A switch reads `true` as pleasantly as "yes".
  if (name === "switchWord" && typeof given === "boolean") return given ? "yes" : "no";
  if (shape === "list" && typeof given === "string") return valueOfText("list", "own", given);
  if (shape === "interval" && typeof given === "string") return intervalMsOf(given);
  return given;
}

function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit === 0x7f) return true;
  }
  return false;
}
