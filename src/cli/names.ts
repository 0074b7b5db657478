/** The order in which names are listed: by their UTF-16 units, as the stock shell sorts. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
