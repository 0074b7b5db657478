/**
 * JSON as Jackson's pretty printer writes it, which scripts with `grep` and `sed` have grown used to:
 * two blanks a level, ` : ` between key and value, arrays in one line with blanks inside the brackets.
 *
 * Session ids and zxids are bare integers beyond 2^53, so bigints are printed digit by digit and
 * never pass through a number.
 */
import type { Double } from "../server/words_monitor.ts";
import { javaDouble } from "../server/words_java.ts";

/** Objects are lists of pairs: keys may be integers or anything a client named a znode, and keep their order. */
export type JsonFields = readonly (readonly [string, JsonValue])[];
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Double
  | { readonly array: readonly JsonValue[] }
  | { readonly object: JsonFields };

export function jacksonText(fields: JsonFields): string {
  return objectText(fields, "");
}

function objectText(fields: JsonFields, indent: string): string {
  if (fields.length === 0) return "{ }";
  const inner = `${indent}  `;
  const lines = fields.map(([key, value]) => `${inner}${stringText(key)} : ${valueText(value, inner)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

function valueText(value: JsonValue, indent: string): string {
  if (typeof value === "string") return stringText(value);
  // A number that is none has no place in JSON; null is the honest word for it.
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "null";
  if (value === null || typeof value !== "object") return String(value);
  if ("double" in value) return javaDouble(value.double);
  if ("object" in value) return objectText(value.object, indent);
  if (value.array.length === 0) return "[ ]";
  return `[ ${value.array.map((item) => valueText(item, indent)).join(", ")} ]`;
}

const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

function stringText(text: string): string {
  // deno-lint-ignore no-control-regex
  const escaped = text.replace(/["\\\u0000-\u001f]/g, (char) => {
    return escapes[char] ?? `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}
