/**
 * A server with few descriptors: a crowd of clients keeps neither the admin endpoint nor later clients out.
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { withDirectory } from "../support/runtime_storage.ts";
import { startZoolet } from "../support/zoolet.ts";
import { freePort, sleep } from "../support/places.ts";
import { WireSession } from "../support/wire_session.ts";

function open(port: number): Promise<{ socket: Socket; isClosed: () => boolean }> {
  return new Promise((resolve) => {
    let closed = false;
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => closed = true);
    socket.on("connect", () => resolve({ socket, isClosed: () => closed }));
    socket.resume();
  });
}

test("a server that has no descriptors left refuses, says so, and accepts again", async () => {
  await withDirectory(async (directory) => {
    const admin = await freePort();
    const server = await startZoolet({
      directory,
      wrapper: ["sh", "-c", 'ulimit -n 120; exec "$@"', "sh"],
      settings: { "admin.enableServer": true, "admin.serverPort": admin, "admin.serverAddress": "127.0.0.1" },
    });
    try {
      for (let round = 0; round < 2; round++) {
        const crowd = await Promise.all(Array.from({ length: 150 }, () => open(server.port)));
        // Some are served, some refused, and under Deno some may hang in the queue of a deaf listener.
        await sleep(500);
        assert.ok(crowd.filter(({ isClosed }) => isClosed()).length <= 110);
        const health = await fetch(`http://127.0.0.1:${admin}/health`, { headers: { connection: "close" } });
        assert.equal(health.status, 200, await health.text());
        for (const { socket } of crowd) socket.destroy();
        await sleep(1000);
        const session = await WireSession.connect(server.port);
        await session.close();
      }
      // Deno may leave those beyond in the queue, where nobody is told.
      if ("Bun" in globalThis) {
        assert.match(
          server.child.stderr,
          /Closed a new connection: \d+ connections are open.*event=accept_failed/,
        );
      }
    } finally {
      await server.stop();
    }
  });
});
