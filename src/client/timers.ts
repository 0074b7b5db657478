/**
 * Timers that keep the process alive.
 *
 * The clock's own do not, so that a forgotten timer of a server cannot hold up its exit. A client
 * that waits for its turn to connect again is work that somebody asked for and has nothing else
 * open: with the clock's timer the process would end in the middle of it.
 */
const delayMsMax = 0x7fff_ffff;

export function afterMs(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, Math.min(ms, delayMsMax));
  return () => clearTimeout(timer);
}
