/**
 * The two clocks and the timers.
 *
 * Timers do not keep the process alive unless they are asked to: what does is an open listener or a
 * waiting question, so a forgotten timer can never hold up an exit.
 */
import type { ClockPort } from "../ports.ts";

/** Both runtimes take a longer delay for no delay at all. */
const delayMsMax = 0x7fff_ffff;

export const clock: ClockPort = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  every(ms, call) {
    const timer = setInterval(call, Math.min(ms, delayMsMax));
    timer.unref();
    return () => clearInterval(timer);
  },
  after(ms, call, holds = false) {
    const timer = setTimeout(call, Math.min(ms, delayMsMax));
    if (!holds) timer.unref();
    return () => clearTimeout(timer);
  },
  soon(call) {
    setImmediate(call);
  },
};
