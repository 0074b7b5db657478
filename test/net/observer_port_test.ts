/** The port for observers: open while it is wanted, whatever was wanted meanwhile. */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { ObserverPort } from "../../src/net/observer_port.ts";
import type { TcpSocket } from "../../src/runtime/ports.ts";
import { clock } from "../../src/runtime/shared/clock.ts";
import { tcp } from "../../src/runtime/shared/tcp.ts";
import { freePort } from "../support/places.ts";

const host = "127.0.0.1";

async function makePort(): Promise<
  { port: number; observers: ObserverPort; notes: string[]; accepted: number[] }
> {
  const port = await freePort();
  const notes: string[] = [];
  const accepted: number[] = [];
  const observers = new ObserverPort({
    tcp,
    clock,
    note: { note: (level, event, message) => notes.push(`${level} ${event} ${message}`) },
    addresses: [{ host, port }],
    allAddresses: false,
    keepAlive: false,
    retries: 1,
    pauseMs: 10,
    accept: (socket: TcpSocket) => {
      accepted.push(socket.remotePort);
      socket.destroy();
      return { data() {}, drained() {}, ended() {}, closed() {} };
    },
  });
  return { port, observers, notes, accepted };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

test("nobody listens before it is wanted and after it is not", async () => {
  const { port, observers, notes } = await makePort();
  assert.equal(await answers(port), false);
  await observers.want(false);
  assert.equal(await answers(port), false);
  await observers.want(true);
  assert.equal(await answers(port), true);
  await observers.want(true);
  assert.equal(await answers(port), true);
  await observers.want(false);
  assert.equal(await answers(port), false);
  assert.deepEqual(notes, []);
});

test("of many wishes the last one comes out", async () => {
  const { port, observers, notes } = await makePort();
  const wishes = [true, false, true, false, true, false, true];
  await Promise.all(wishes.map((wanted) => observers.want(wanted)));
  assert.equal(await answers(port), true);
  await Promise.all([...wishes, false].map((wanted) => observers.want(wanted)));
  assert.equal(await answers(port), false);
  assert.deepEqual(notes, []);
});

test("a port that is taken is told, and tried again with the next wish", async () => {
  const { port, observers, notes } = await makePort();
  const thief = createServer();
  await new Promise<void>((resolve) => thief.listen(port, host, resolve));
  await observers.want(true);
  assert.equal(notes.length, 2);
  assert.match(notes[1] ?? "", /^error observer_port_unavailable .*the port for observers/);
  await new Promise<void>((resolve) => thief.close(() => resolve()));
  await observers.want(false);
  await observers.want(true);
  assert.equal(await answers(port), true);
  await observers.want(false);
});
