/**
 * Families of metrics: the few shapes that numbers take on their way to Prometheus. No value that is
 * not a number leaves here.
 */
import type { Family, Sample } from "prom-client/lib/registry.js";
import type { LatencySummary } from "../core/peer/status.ts";

export function one(name: string, value: number): Pick<Family, "name" | "help" | "values"> {
  return { name, help: name, values: [{ value: finite(value) }] };
}

/** A whole family in one call: one value, or one for each set of labels. */
export function family(
  type: "gauge" | "counter",
  name: string,
  help: string,
  values: number | readonly (readonly [Record<string, string>, number])[],
): Family {
  const samples: Sample[] = typeof values === "number"
    ? [{ value: finite(values) }]
    : values.map(([labels, value]) => ({ value: finite(value), labels }));
  return { name, help, type, values: samples };
}

export function histogramSamples(
  name: string,
  labels: Record<string, string>,
  latency: LatencySummary,
): Sample[] {
  const bucket = (le: number | string, value: number): Sample => ({
    value,
    labels: { ...labels, le },
    metricName: `${name}_bucket`,
  });
  return [
    ...latency.buckets.map(({ leMs, count }) => bucket(leMs / 1000, count)),
    bucket("+Inf", latency.count),
    { value: finite(latency.sumMs / 1000), labels, metricName: `${name}_sum` },
    { value: latency.count, labels, metricName: `${name}_count` },
  ];
}

export function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
