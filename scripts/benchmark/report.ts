/**
 * Report: what was measured, kept until the end, as a table in Markdown and as JSON.
 *
 * Ratios are what counts, for absolute figures drift with the machine; a cell without a value says why
 * in the notes under the table.
 */
import { median } from "./processes.ts";
import { barOf, type Row, type RowName } from "./rows.ts";
import type { ServerName } from "./servers.ts";

type Runtime = Exclude<ServerName, "apache">;

const headings: Readonly<Record<ServerName, string>> = { apache: "Apache", bun: "Bun", deno: "Deno" };

export class Report {
  readonly #values = new Map<string, number[]>();
  readonly notes: string[] = [];

  record(row: RowName, server: ServerName, value: number): void {
    const key = `${row}/${server}`;
    this.#values.set(key, [...this.#values.get(key) ?? [], value]);
  }

  note(text: string): void {
    this.notes.push(text);
  }

  /** The median of the rounds. */
  value(row: RowName, server: ServerName): number | undefined {
    const values = this.#values.get(`${row}/${server}`);
    return values === undefined ? undefined : median(values);
  }

  table(rows: readonly Row[], runtimes: readonly Runtime[], withApache: boolean): string {
    const cells: string[][] = [[
      "what",
      ...(withApache ? ["Apache"] : []),
      ...runtimes.flatMap((runtime) => [headings[runtime], ...(withApache ? ["ratio"] : []), "bar", "met"]),
    ]];
    for (const row of rows) {
      const apache = this.value(row.name, "apache");
      const line = [row.title, ...(withApache ? [apache === undefined ? "–" : row.show(apache)] : [])];
      for (const runtime of runtimes) {
        const value = this.value(row.name, runtime);
        const verdict = judge(row, runtime, value, apache);
        const shown = value === undefined ? "–" : row.show(value);
        line.push(shown, ...(withApache ? [verdict.ratio] : []), verdict.bar, verdict.met);
      }
      cells.push(line);
    }
    return markdown(cells);
  }

  json(rows: readonly Row[], runtimes: readonly Runtime[], facts: Readonly<Record<string, unknown>>): string {
    const servers: readonly ServerName[] = ["apache", ...runtimes];
    const told = rows.map((row) => ({
      row: row.name,
      title: row.title,
      servers: Object.fromEntries(servers.map((server) => {
        const rounds = this.#values.get(`${row.name}/${server}`) ?? [];
        const value = this.value(row.name, server);
        if (server === "apache") return [server, { value, rounds }];
        return [server, { value, rounds, ...judge(row, server, value, this.value(row.name, "apache")) }];
      })),
    }));
    return `${JSON.stringify({ ...facts, rows: told, notes: this.notes }, null, 2)}\n`;
  }
}

interface Verdict {
  readonly ratio: string;
  readonly bar: string;
  readonly met: string;
}

function judge(row: Row, runtime: Runtime, value: number | undefined, apache: number | undefined): Verdict {
  const ratio = value === undefined || apache === undefined || row.ownOnly ? undefined : value / apache;
  const bar = barOf(row, runtime, apache);
  const shown = ratio === undefined ? "–" : `${ratio.toFixed(2)} ×`;
  if (bar === null) return { ratio: shown, bar: "–", met: "–" };
  const limit = bar.of === "value" ? row.show(bar.limit) : `${bar.limit.toFixed(2).replace(/\.?0+$/, "")} ×`;
  const measured = bar.of === "value" ? value : ratio;
  const met = measured === undefined
    ? "–"
    : (bar.atLeast ? measured >= bar.limit : measured <= bar.limit)
    ? "yes"
    : "no";
  return { ratio: shown, bar: `${bar.atLeast ? "≥" : "≤"} ${limit}`, met };
}

function markdown(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0))
  );
  const line = (row: readonly string[]): string => {
    const padded = row.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, i) => i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`);
  return [line(cells[0] ?? []), line(rule), ...cells.slice(1).map(line)].join("\n");
}
