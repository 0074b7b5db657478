/**
 * Options of a run, and what comes out of it.
 */
import type { MakeName } from "./chaos_member.ts";

export interface ChaosOptions {
  readonly mode: "chaos" | "killall";
  readonly seconds: number;
  /** In `killall`: how often. */
  readonly times: number;
  readonly makes: readonly MakeName[];
  readonly seed: number;
  readonly network: "auto" | "namespaces" | "proxies";
  readonly roundSeconds: number;
  readonly tickMs: number;
  readonly syncLimit: number;
  /** Clients of each kind. */
  readonly clients: number;
  /** Between two requests of one client, on average. */
  readonly pauseMs: number;
  /** Only these kinds; empty: all. */
  readonly faults: readonly string[];
  /** Factor for how long faults last. */
  readonly pace: number;
  /** Logs and data stay, whatever comes out. */
  readonly keep: boolean;
  /** What repeats the run. */
  readonly command: string;
  readonly note: (text: string) => void;
}

export const chaosDefaults = {
  mode: "chaos",
  seconds: 60,
  times: 100,
  network: "auto",
  roundSeconds: 45,
  tickMs: 300,
  syncLimit: 5,
  clients: 3,
  pauseMs: 10,
  faults: [],
  pace: 1,
  keep: false,
  note: () => {},
} as const;

export interface ChaosResult {
  readonly violations: readonly string[];
  readonly network: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly acknowledged: number;
  readonly answers: number;
  readonly lost: number;
  readonly reconnects: number;
  readonly dozes: number;
  readonly expired: number;
  readonly watchEvents: number;
  readonly locksHeld: number;
  readonly checked: number;
  /** From each kill of a leader to the next answered write. */
  readonly leaderKills: readonly number[];
  /** From the last healing of a round to all peers serving. */
  readonly settledMs: readonly number[];
  /** Where logs and data of a failing run are; null when there is nothing to see. */
  readonly kept: string | null;
  readonly command: string;
}

export function chaosText(result: ChaosResult): string {
  const { seconds, violations } = result;
  const perSecond = (count: number) => (count / seconds).toFixed(0);
  const kinds = [...result.faults].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${kind} ${count}`);
  const lines = [
    `${seconds.toFixed(0)} s over ${result.network}, ${result.rounds} rounds`,
    `answers ${result.answers} (${
      perSecond(result.answers)
    }/s), writes acknowledged ${result.acknowledged} (${
      perSecond(result.acknowledged)
    }/s), requests lost ${result.lost}`,
    `reconnects ${result.reconnects}, clients that stood still ${result.dozes}, sessions expired ${result.expired}, watch events ${result.watchEvents}, ` +
    `locks held ${result.locksHeld}, register operations checked ${result.checked}`,
    `faults: ${kinds.join(", ") || "none"}`,
    `writes after a leader's kill, ms: ${spread(result.leaderKills)}`,
    `all peers serving after a healing, ms: ${spread(result.settledMs)}`,
    ...violations.map((sentence) => `VIOLATION ${sentence}`),
    violations.length === 0 ? "no violation" : `${violations.length} violations; repeat: ${result.command}`,
  ];
  if (result.kept !== null) lines.push(`logs, data and histories: ${result.kept}`);
  return lines.join("\n");
}

function spread(list: readonly number[]): string {
  if (list.length === 0) return "none";
  const sorted = [...list].sort((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number).toFixed(0);
  return `${sorted.length} times, least ${at(0)}, median ${at(0.5)}, 90 % ${at(0.9)}, most ${at(1)}`;
}
