/**
 * Rows: what is measured, and the bar that zoolet on Bun is to meet beside the original.
 *
 * On Deno half of the gain is enough: where the bar is 3 x, that is 2 x; where it is 0.4 x, 0.7 x. A
 * bar that compares zoolet with itself is the same on both.
 */
import type { ServerName } from "./servers.ts";

export type RowName =
  | "set"
  | "get"
  | "latency-get"
  | "latency-set"
  | "checkpoint"
  | "fan"
  | "watches"
  | "memory-fresh"
  | "memory-load"
  | "memory-million"
  | "disk-million"
  | "restart-million"
  | "cold"
  | "ensemble-set"
  | "ensemble-get"
  | "ensemble-mixed"
  | "ensemble-latency"
  | "ensemble-failover"
  | "ensemble-cold"
  | "ensemble-return"
  | "ensemble-edge"
  | "ensemble-memory-fresh"
  | "ensemble-memory-load";

/** `ratio`: to the original, and with `valueAtMost` also as it is. `value`: as it is. */
export type Bar =
  | { readonly kind: "ratio"; readonly atLeast: number }
  | { readonly kind: "ratio"; readonly atMost: number; readonly valueAtMost?: number }
  | { readonly kind: "value"; readonly atMost: number; readonly sameOnDeno: boolean };

export interface Row {
  readonly name: RowName;
  readonly part: "standalone" | "ensemble";
  /** `%` stands for the number of znodes or writes, which may be asked for smaller. */
  readonly title: string;
  readonly bar: Bar;
  /** A value for the eye. */
  readonly show: (value: number) => string;
  /** The original has nothing to compare with. */
  readonly ownOnly?: true;
  /** In `--quick`. */
  readonly quick?: true;
}

const perSecond = (value: number): string =>
  value >= 1e6 ? `${(value / 1e6).toFixed(2)} M/s` : `${(value / 1e3).toFixed(1)} k/s`;
const us = (value: number): string => `${value.toFixed(0)} µs`;
const megabytes = (value: number): string =>
  value >= 1e9 ? `${(value / 1e9).toFixed(2)} GB` : `${(value / 1e6).toFixed(0)} MB`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 1000 ? 3 : 2)} s`;

const described: readonly Omit<Row, "part">[] = [
  {
    name: "set",
    title: "setData, 16 connections × pipeline 32, 128 bytes",
    bar: { kind: "ratio", atLeast: 3 },
    show: perSecond,
    quick: true,
  },
  {
    name: "get",
    title: "getData, the same",
    bar: { kind: "ratio", atLeast: 7 },
    show: perSecond,
    quick: true,
  },
  {
    name: "latency-get",
    title: "one client, one at a time: getData p50",
    bar: { kind: "ratio", atMost: 0.4 },
    show: us,
    quick: true,
  },
  {
    name: "latency-set",
    title: "one client, one at a time: setData p50",
    bar: { kind: "ratio", atMost: 0.9 },
    show: us,
    quick: true,
  },
  {
    name: "checkpoint",
    title: "setData p99 while a checkpoint runs ÷ without",
    bar: { kind: "value", atMost: 2, sameOnDeno: true },
    show: (value) => `${value.toFixed(2)} ×`,
    ownOnly: true,
  },
  {
    name: "fan",
    title: "one change to 2,000 watchers, events",
    bar: { kind: "ratio", atLeast: 3 },
    show: perSecond,
  },
  {
    name: "watches",
    title: "memory per further watch on a path of its own",
    bar: { kind: "ratio", atMost: 0.5 },
    show: (value) => `${value.toFixed(0)} B`,
  },
  {
    name: "memory-fresh",
    title: "resident memory, fresh",
    bar: { kind: "value", atMost: 60e6, sameOnDeno: false },
    show: megabytes,
  },
  {
    name: "memory-load",
    title: "resident memory after the load runs",
    bar: { kind: "ratio", atMost: 0.4 },
    show: megabytes,
  },
  {
    name: "memory-million",
    title: "resident memory with % znodes of 100 bytes",
    bar: { kind: "ratio", atMost: 0.4 },
    show: megabytes,
  },
  {
    name: "disk-million",
    title: "disk for those",
    bar: { kind: "ratio", atMost: 0.4 },
    show: megabytes,
  },
  {
    name: "restart-million",
    title: "restart with them to the first acknowledged write",
    bar: { kind: "ratio", atMost: 0.6 },
    show: seconds,
  },
  {
    name: "cold",
    title: "cold start to the first acknowledged write",
    bar: { kind: "ratio", atMost: 0.4 },
    show: seconds,
  },
  {
    name: "ensemble-set",
    title: "3 peers: setData, 15 connections × pipeline 32, 128 bytes",
    bar: { kind: "ratio", atLeast: 3 },
    show: perSecond,
    quick: true,
  },
  {
    name: "ensemble-get",
    title: "3 peers: getData, the same",
    bar: { kind: "ratio", atLeast: 6 },
    show: perSecond,
    quick: true,
  },
  {
    name: "ensemble-mixed",
    title: "3 peers: nine reads to a write, the same",
    bar: { kind: "ratio", atLeast: 5 },
    show: perSecond,
    quick: true,
  },
  {
    name: "ensemble-latency",
    title: "3 peers: one client, one at a time: setData p50",
    bar: { kind: "ratio", atMost: 0.7 },
    show: us,
    quick: true,
  },
  {
    name: "ensemble-failover",
    title: "3 peers: leader killed to the first acknowledged write",
    bar: { kind: "ratio", atMost: 0.4, valueAtMost: 250 },
    show: seconds,
  },
  {
    name: "ensemble-cold",
    title: "3 peers: cold start to the first acknowledged write",
    bar: { kind: "ratio", atMost: 0.5 },
    show: seconds,
  },
  {
    name: "ensemble-return",
    title: "3 peers: a follower back, % writes behind, to its first write",
    bar: { kind: "ratio", atMost: 0.5 },
    show: seconds,
  },
  {
    name: "ensemble-edge",
    title: "3 peers: an edge replica of 10,000 znodes, start to first write",
    bar: { kind: "ratio", atMost: 0.5 },
    show: seconds,
  },
  {
    name: "ensemble-memory-fresh",
    title: "3 peers: resident memory of the largest, fresh",
    bar: { kind: "value", atMost: 65e6, sameOnDeno: false },
    show: megabytes,
  },
  {
    name: "ensemble-memory-load",
    title: "3 peers: the same after the load runs",
    bar: { kind: "ratio", atMost: 0.4 },
    show: megabytes,
  },
];

export const rows: readonly Row[] = described.map((row) => ({
  ...row,
  part: row.name.startsWith("ensemble-") ? "ensemble" : "standalone",
}));

/** What a runtime is held to; `apache` is the original's own value, where there is one. */
export function barOf(
  row: Row,
  runtime: Exclude<ServerName, "apache">,
  apache: number | undefined,
): { readonly limit: number; readonly atLeast: boolean; readonly of: "ratio" | "value" } | null {
  const { bar } = row;
  if (bar.kind === "value") {
    if (runtime === "bun" || bar.sameOnDeno) return { limit: bar.atMost, atLeast: false, of: "value" };
    if (apache === undefined) return null;
    return { limit: (apache + bar.atMost) / 2, atLeast: false, of: "value" };
  }
  const full = "atLeast" in bar ? bar.atLeast : bar.atMost;
  if ("valueAtMost" in bar && bar.valueAtMost !== undefined) {
    // Whichever asks for more, told as a value.
    const half = (value: number, of: number): number => runtime === "bun" ? value : (of + value) / 2;
    if (apache === undefined) return { limit: bar.valueAtMost, atLeast: false, of: "value" };
    const limit = Math.min(half(full, 1) * apache, half(bar.valueAtMost, apache));
    return { limit, atLeast: false, of: "value" };
  }
  return { limit: runtime === "bun" ? full : (1 + full) / 2, atLeast: "atLeast" in bar, of: "ratio" };
}
