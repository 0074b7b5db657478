export * from "../zab/link.ts";
