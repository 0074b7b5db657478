/**
 * JSON as Jackson's pretty printer writes it, which scripts with `grep` and `sed` have grown used to:
 * two blanks a level, ` : ` between key and value, arrays in one line with blanks inside the brackets.
 *
 * Session ids and zxids are bare integers beyond 2^53, so bigints are printed digit by digit and
 * never pass through a number.
 */
import type { Double } from "../server/words_monitor.ts";
import { javaDouble } from "../server/words_java.ts";
import type { Pieces } from "../server/words_text.ts";

/**
 * Objects are lists of pairs: keys may be integers or anything a client named a znode, and keep their order.
 * Long lists are made while they are printed. What is null among fields, or undefined in an array, is no entry:
 * only a chance to do other work.
 */
export type JsonFields = Iterable<readonly [string, JsonValue] | null>;
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Double
  | { readonly array: Iterable<JsonValue | undefined> }
  | { readonly object: JsonFields };

export function* jacksonPieces(fields: JsonFields): Pieces {
  yield* objectPieces(fields, "");
}

function* objectPieces(fields: JsonFields, indent: string): Pieces {
  const inner = `${indent}  `;
  let before = "{\n";
  for (const field of fields) {
    if (field === null) {
      yield "";
      continue;
    }
    yield `${before}${inner}${stringText(field[0])} : `;
    yield* valuePieces(field[1], inner);
    before = ",\n";
  }
  yield before === ",\n" ? `\n${indent}}` : "{ }";
}

function* valuePieces(value: JsonValue, indent: string): Pieces {
  if (value === null || typeof value !== "object" || "double" in value) return yield plainText(value);
  if ("object" in value) return yield* objectPieces(value.object, indent);
  let before = "[ ";
  for (const item of value.array) {
    if (item === undefined) {
      yield "";
      continue;
    }
    yield before;
    yield* valuePieces(item, indent);
    before = ", ";
  }
  yield before === ", " ? " ]" : "[ ]";
}

function plainText(value: null | boolean | number | bigint | string | Double): string {
  if (typeof value === "string") return stringText(value);
  // A number that is none has no place in JSON; null is the honest word for it.
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "null";
  if (value === null || typeof value !== "object") return String(value);
  return javaDouble(value.double);
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
