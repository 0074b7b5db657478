/**
 * Servers: what tests ask of a running server, whichever it is.
 */
import type { Child } from "./child.ts";

export interface RunningServer {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly child: Child;
  /** Ends it in order; false when it had to be killed. */
  stop(): Promise<boolean>;
}

export interface ServerStart {
  /** Exists already; the server keeps its data there. */
  readonly directory: string;
  /** Further lines of the configuration. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

export function settingsText(settings: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join("");
}
