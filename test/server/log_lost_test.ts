/**
 * A server whose log cannot be written serves on.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sleep } from "../support/places.ts";
import { withDirectory } from "../support/runtime_storage.ts";
import { WireConnection } from "../support/wire_connection.ts";
import { WireSession } from "../support/wire_session.ts";
import { startZoolet } from "../support/zoolet.ts";

for (
  const [where, line] of [["on a full disk", 'exec "$@" 2>/dev/full'], ["closed", 'exec "$@" 2>&-']] as const
) {
  test(`a server whose log is ${where} serves on`, async () => {
    await withDirectory(async (directory) => {
      const server = await startZoolet({ directory, wrapper: ["sh", "-c", line, "sh"] });
      try {
        for (let i = 0; i < 5; i++) {
          // A frame that is too long is worth a line.
          const connection = await WireConnection.open(server.port);
          connection.write(new Uint8Array([0x7f, 0xff, 0xff, 0xff, 0]));
          await sleep(20);
          connection.destroy();
        }
        const session = await WireSession.connect(server.port);
        await session.close();
        assert.equal(server.child.exit, null, server.child.stderr);
      } finally {
        await server.stop();
      }
    });
  });
}
