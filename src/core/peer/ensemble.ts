export * from "../zab/ensemble.ts";
