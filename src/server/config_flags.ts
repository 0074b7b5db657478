/**
 * JVM flags: the `-Dname=value` that start scripts and containers pass in the environment.
 *
 * Half of ZooKeeper's options are documented as Java system properties, and images set them through
 * `JVMFLAGS` and `SERVER_JVMFLAGS`. Those are read here; whatever else a Java virtual machine takes
 * (`-Xmx`, `-javaagent`) is passed over with one line of information.
 *
 * Always true: `JVMFLAGS` wins over `SERVER_JVMFLAGS`, as on Java's own command line, and the file
 * wins over both (operations 1.1).
 */

export interface JvmProperty {
  readonly name: string;
  readonly value: string;
  /** The variable it stands in. */
  readonly origin: string;
}

export interface JvmFlags {
  /** In the order in which later ones win. */
  readonly properties: readonly JvmProperty[];
  /** Words that are no `-D`. */
  readonly passedOver: readonly string[];
}

/** Bytes of one variable that are looked at; a longer one is not from a person. */
const flagsLengthMax = 1 << 16;

export function readJvmFlags(env: Readonly<Record<string, string | undefined>>): JvmFlags {
  const properties: JvmProperty[] = [];
  const passedOver: string[] = [];
  for (const origin of ["SERVER_JVMFLAGS", "JVMFLAGS"]) {
    for (const word of wordsOf((env[origin] ?? "").slice(0, flagsLengthMax))) {
      if (!word.startsWith("-D") || word.length === 2) {
        passedOver.push(word);
        continue;
      }
      const equals = word.indexOf("=");
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      properties.push({ name, value: equals < 0 ? "" : word.slice(equals + 1), origin });
    }
  }
  return { properties, passedOver };
}

/** Words as a shell would split them: at blanks, with quotes that hold blanks together. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  let word = "";
  let open = false;
  let quote = "";
  for (const char of text) {
    if (quote !== "") {
      if (char === quote) quote = "";
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      open = true;
    } else if (char === " " || char === "\t" || char === "\n" || char === "\r") {
      if (open) words.push(word);
      word = "";
      open = false;
    } else {
      word += char;
      open = true;
    }
  }
  if (open) words.push(word);
  return words;
}
