/**
 * Small disk: a tmpfs under one peer's data that can be filled to the last byte and emptied again.
 *
 * Needs root; elsewhere `smallDiskMissing` says why. What was mounted is unmounted at the end, also
 * when the run is interrupted.
 */
import { spawnSync } from "node:child_process";
import { closeSync, cpSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const sizeMb = 96;
const commandMsMax = 10_000;

export class SmallDisk {
  readonly path: string;
  #isMounted = false;
  readonly #onExit = () => this.close();

  private constructor(path: string) {
    this.path = path;
  }

  /** Null, with the reason in `missing`, where it cannot be had. */
  static open(path: string): { readonly disk: SmallDisk | null; readonly missing: string } {
    if (process.platform !== "linux" || process.getuid?.() !== 0) return { disk: null, missing: "not root" };
    const disk = new SmallDisk(path);
    const ran = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMb}m`, "zoolet-chaos", path], {
      encoding: "utf8",
      timeout: commandMsMax,
    });
    if (ran.status !== 0) return { disk: null, missing: `mount: ${(ran.stderr ?? "").trim()}` };
    disk.#isMounted = true;
    process.on("exit", disk.#onExit);
    return { disk, missing: "" };
  }

  /** Writes until nothing fits any more. */
  fill(): void {
    const file = openSync(join(this.path, "filler"), "a");
    try {
      for (let bytes = 1 << 20; bytes >= 1;) {
        try {
          if (writeSync(file, new Uint8Array(bytes)) < bytes) bytes >>= 1;
        } catch (error) {
          if ((error as { code?: string }).code !== "ENOSPC") throw error;
          bytes >>= 1;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  makeRoom(): void {
    rmSync(join(this.path, "filler"), { force: true });
  }

  /** A copy for whoever looks at a failing run. */
  keep(directory: string): void {
    this.makeRoom();
    if (this.#isMounted) cpSync(this.path, directory, { recursive: true });
  }

  close(): void {
    process.off("exit", this.#onExit);
    if (!this.#isMounted) return;
    const ran = spawnSync("umount", [this.path], { encoding: "utf8", timeout: commandMsMax });
    // A process that was just killed may hold it for a moment longer.
    if (ran.status !== 0) spawnSync("umount", ["-l", this.path], { timeout: commandMsMax });
    this.#isMounted = false;
  }
}
