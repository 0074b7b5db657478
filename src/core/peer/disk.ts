export * from "../zab/disk.ts";
