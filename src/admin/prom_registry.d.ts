/**
 * The one module of prom-client that is used, by its path: the package's front door also loads a push
 * gateway, a cluster and a tracing interface, 17 MB of resident memory on Bun against 2 MB.
 */
declare module "prom-client/lib/registry.js" {
  export interface Sample {
    readonly value: number;
    readonly labels?: Readonly<Record<string, string | number>>;
    /** The family's own name when absent. */
    readonly metricName?: string;
  }
  export interface Family {
    readonly name: string;
    readonly help: string;
    readonly type: "gauge" | "counter" | "summary" | "histogram";
    readonly values: readonly Sample[];
  }
  export default class Registry {
    static readonly PROMETHEUS_CONTENT_TYPE: string;
    readonly contentType: string;
    registerMetric(metric: { readonly name: string; get(): Promise<Family> }): void;
    metrics(): Promise<string>;
  }
}
