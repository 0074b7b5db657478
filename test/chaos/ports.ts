/**
 * Ports below the range from which the system takes those of outgoing connections: a peer that is down
 * must find its own free when it comes back.
 */
import { createServer } from "node:net";

const portMin = 11_000;
const portMax = 31_000;

export async function pickPorts(count: number): Promise<number[]> {
  const picked: number[] = [];
  for (let tries = 0; picked.length < count; tries++) {
    if (tries > 2000) throw new Error(`Cannot find ${count} free ports between ${portMin} and ${portMax}`);
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (!picked.includes(port) && await isFree(port)) picked.push(port);
  }
  return picked;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
