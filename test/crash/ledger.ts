/**
 * Ledger: what one writer was promised, and what it only asked for.
 *
 * Writes go out in a pipeline, so a crash leaves a tail of requests without a reply. Of those any
 * number may have happened, but only a first part of them: the server takes one connection's
 * requests in order. What was acknowledged has to be there, and nothing else.
 */

export type Deed =
  | { readonly kind: "create"; readonly name: string }
  | { readonly kind: "delete"; readonly name: string }
  | { readonly kind: "count"; readonly value: number }
  /** Both names or neither, and the count with them. */
  | { readonly kind: "pair"; readonly names: readonly [string, string]; readonly value: number };

/** What a restarted server holds for one writer. */
export interface Found {
  readonly names: ReadonlySet<string>;
  readonly count: number;
}

export class Ledger {
  readonly owner: string;
  acknowledged = 0;
  /** Highest zxid of a reply. Invariant: never falls, also across restarts. */
  zxidLast = 0n;
  #names = new Set<string>();
  #count = 0;
  #asked: Deed[] = [];

  constructor(owner: string) {
    this.owner = owner;
  }

  /** The names that are there for sure. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  get inFlight(): number {
    return this.#asked.length;
  }

  asked(deed: Deed): void {
    this.#asked.push(deed);
  }

  /** The oldest deed without a reply has one now. */
  acked(zxid: bigint): string | null {
    const deed = this.#asked.shift();
    if (deed === undefined) return `${this.owner}: a reply that nobody waits for`;
    this.#apply(deed);
    this.acknowledged++;
    if (zxid < this.zxidLast) return `${this.owner}: zxid ${zxid} after ${this.zxidLast}`;
    this.zxidLast = zxid;
    return null;
  }

  #apply(deed: Deed): void {
    switch (deed.kind) {
      case "create":
        this.#names.add(deed.name);
        break;
      case "delete":
        this.#names.delete(deed.name);
        break;
      case "count":
        this.#count = deed.value;
        break;
      case "pair":
        for (const name of deed.names) this.#names.add(name);
        this.#count = deed.value;
    }
  }

  /**
   * Compares what a restarted server holds with what was promised, and takes over what turned out
   * to have happened. Returns each broken promise as a sentence.
   */
  settle(found: Found): string[] {
    const problems: string[] = [];
    // How many of the tail happened: the longest first part that left a trace.
    let happened = 0;
    for (const [index, deed] of this.#asked.entries()) if (this.#traceOf(deed, found)) happened = index + 1;
    for (const deed of this.#asked.splice(0).slice(0, happened)) this.#apply(deed);
    for (const name of this.#names) {
      if (!found.names.has(name)) problems.push(`${this.owner}: ${name} is missing`);
    }
    for (const name of found.names) {
      if (!this.#names.has(name)) problems.push(`${this.owner}: ${name} is there, and should not be`);
    }
    if (found.count !== this.#count) {
      problems.push(`${this.owner}: the count is ${found.count}, not ${this.#count}`);
    }
    return problems;
  }

  #traceOf(deed: Deed, found: Found): boolean {
    switch (deed.kind) {
      case "create":
        return found.names.has(deed.name);
      case "delete":
        return !found.names.has(deed.name) && this.#names.has(deed.name);
      case "count":
        return found.count >= deed.value;
      case "pair":
        return found.count >= deed.value || found.names.has(deed.names[0]) || found.names.has(deed.names[1]);
    }
  }
}
