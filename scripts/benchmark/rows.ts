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
  | "cold";

/** `ratio`: to the original. `value`: as it is. */
export type Bar =
  | { readonly kind: "ratio"; readonly atLeast: number }
  | { readonly kind: "ratio"; readonly atMost: number }
  | { readonly kind: "value"; readonly atMost: number; readonly sameOnDeno: boolean };

export interface Row {
  readonly name: RowName;
  /** `%` stands for the number of znodes, which may be asked for smaller. */
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

export const rows: readonly Row[] = [
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
];

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
  return { limit: runtime === "bun" ? full : (1 + full) / 2, atLeast: "atLeast" in bar, of: "ratio" };
}
