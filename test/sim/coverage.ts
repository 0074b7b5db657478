/**
 * Coverage: how often what happened, over many seeds, to see that nothing is left out.
 */
export class Coverage {
  readonly counts = new Map<string, number>();

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  lines(seeds: number): string[] {
    const rows = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
    return rows.map(([what, count]) => `  ${((count * 1000) / seeds).toFixed(1).padStart(11)}  ${what}`);
  }
}
