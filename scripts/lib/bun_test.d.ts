/** The one function of `bun:test` that is used; there is no need for all of Bun's types. */
declare module "bun:test" {
  export const mock: {
    module(name: string, make: () => Record<string, unknown>): void;
  };
}
