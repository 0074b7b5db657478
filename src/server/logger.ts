/**
 * Logger: one line an event, on standard error, as text or as JSON.
 *
 * An event has a stable name in snake_case and fields; the text form is for eyes, the JSON form for
 * machines. Session ids and zxids are given as hex text. Standard output belongs to the ready line.
 */
import type { ClockPort, LogPort } from "../runtime/ports.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Logger {
  debug(event: string, message: string, fields?: LogFields): void;
  info(event: string, message: string, fields?: LogFields): void;
  warn(event: string, message: string, fields?: LogFields): void;
  error(event: string, message: string, fields?: LogFields): void;
}

const rank: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface LoggerOptions {
  readonly clock: Pick<ClockPort, "wallMs">;
  readonly output: LogPort;
  readonly format: "text" | "json";
  readonly level: LogLevel;
}

export function makeLogger(options: LoggerOptions): Logger {
  const { clock, output, format, level } = options;
  const log = (at: LogLevel, event: string, message: string, fields: LogFields | undefined): void => {
    if (rank[at] < rank[level]) return;
    const time = new Date(clock.wallMs()).toISOString();
    if (format === "json") {
      output.write(`${JSON.stringify({ time, level: at, event, message, ...fields })}\n`);
    } else output.write(`${time} ${at.toUpperCase().padEnd(5)} ${message}${fieldsText(event, fields)}\n`);
    const lost = output.takeLost();
    if (lost === null) return;
    const { lines, why } = lost;
    log("warn", "log_lost", `${lines} lines of this log could not be written: ${why}`, { lines, why });
  };
  return {
    debug: (event, message, fields) => log("debug", event, message, fields),
    info: (event, message, fields) => log("info", event, message, fields),
    warn: (event, message, fields) => log("warn", event, message, fields),
    error: (event, message, fields) => log("error", event, message, fields),
  };
}

function fieldsText(event: string, fields: LogFields | undefined): string {
  let text = ` event=${event}`;
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (value === undefined) continue;
    const shown = String(value);
    // A newline or a quote in a client's text must not forge a second line.
    text += ` ${key}=${/^[\w.:/@%+-]+$/.test(shown) ? shown : JSON.stringify(shown)}`;
  }
  return text;
}
