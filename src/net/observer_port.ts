/**
 * Observer port: where a follower serves observers, open while it follows and closed while it does not.
 *
 * To an observer a port that refuses says at once that it has to look elsewhere. Opening takes a
 * while, and the wish may change meanwhile: the steps are taken one after the other, and the last
 * wish is what comes out.
 */
import type { TcpListener } from "../runtime/ports.ts";
import { listenAll, type ListenAllOptions } from "./listen_all.ts";

export type ObserverPortOptions = Omit<ListenAllOptions, "isOver" | "what">;

export class ObserverPort {
  readonly #options: ObserverPortOptions;
  #listeners: readonly TcpListener[] = [];
  #wanted = false;
  #steps: Promise<void> = Promise.resolve();

  constructor(options: ObserverPortOptions) {
    this.#options = options;
  }

  /** Acts on a change alone. Resolves when this wish, or a later one, is carried out. */
  want(open: boolean): Promise<void> {
    if (open === this.#wanted) return this.#steps;
    this.#wanted = open;
    return this.#steps = this.#steps.then(() => this.#wanted ? this.#open() : this.#close());
  }

  async #open(): Promise<void> {
    if (this.#listeners.length > 0) return;
    const isOver = (): boolean => !this.#wanted;
    try {
      this.#listeners = await listenAll({ ...this.#options, what: "the port for observers", isOver });
    } catch (error) {
      if (isOver()) return;
      const why = error instanceof Error ? error.message : String(error);
      this.#options.note.note(
        "error",
        "observer_port_unavailable",
        `${why}; this follower serves no observers, until it follows anew`,
        { port: this.#options.addresses[0]?.port ?? -1 },
      );
    }
  }

  async #close(): Promise<void> {
    const listeners = this.#listeners;
    this.#listeners = [];
    await Promise.all(listeners.map((listener) => listener.close()));
  }
}
