/**
 * Preload: a small library in C between a server and its kernel, built when a test needs it.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** The library, or why there is none. */
export function buildPreload(source: string, directory: string): string | { readonly reason: string } {
  if (process.platform !== "linux") {
    return { reason: "stands between a process and its kernel on Linux only" };
  }
  const library = join(directory, "preload.so");
  try {
    execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], { stdio: "pipe" });
  } catch (error) {
    return {
      reason: `no C compiler: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`,
    };
  }
  return library;
}
