/**
 * How Java would print it: doubles, dates and socket addresses.
 *
 * Dashboards and scripts parse what the original prints, so these three are copied to the letter.
 * Every number that leaves here is finite: one `NaN` makes some collectors drop the whole answer.
 */

/** `Double.toString` of a value rounded to four decimals: `0.0`, `14.6364`, `1.0E-4`, `1.2E7`. */
export function javaDouble(value: number): string {
  if (!Number.isFinite(value)) return "0.0";
  const rounded = Math.round(value * 1e4) / 1e4;
  if (rounded === 0) return "0.0";
  const size = Math.abs(rounded);
  if (size >= 1e-3 && size < 1e7) return withPoint(String(rounded));
  const [mantissa, exponent] = rounded.toExponential().split("e") as [string, string];
  return `${withPoint(mantissa)}E${exponent.replace("+", "")}`;
}

function withPoint(digits: string): string {
  return digits.includes(".") ? digits : `${digits}.0`;
}

/** A whole number, whatever was measured. */
export function whole(value: number): number {
  return Number.isFinite(value) ? Math.trunc(value) : 0;
}

const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Date.toString`, always in UTC: `Fri Nov 20 09:21:23 UTC 2026`. */
export function javaDate(wallMs: number): string {
  const date = new Date(wallMs);
  if (Number.isNaN(date.getTime())) return javaDate(0);
  const two = (n: number) => String(n).padStart(2, "0");
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  return `${days[date.getUTCDay()]} ${months[date.getUTCMonth()]} ${
    two(date.getUTCDate())
  } ${time} UTC ${date.getUTCFullYear()}`;
}

/**
 * `address:port`. IPv4 inside IPv6 is told as IPv4, as Java does: scripts that drain a server count
 * the lines of `cons` without `/127.0.0.1:`.
 */
export function socketText(address: string, port: number): string {
  const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`;
}
