/**
 * Words outside the whitelist, over a socket: refused at once, ours and the original's.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { everyServer } from "../client/every_server.ts";
import { makeTempDirectory } from "../support/places.ts";
import { askText } from "../support/wire_connection.ts";

for (const { name, missing, start } of everyServer) {
  test(`${name} refuses stmk without waiting for its mask`, { skip: missing ?? false }, async () => {
    const place = makeTempDirectory("words");
    const server = await start({ directory: place.path, settings: { "4lw.commands.whitelist": "srvr" } });
    try {
      for (const asked of ["stmk", "stmk\0\0\0\0\0\0\0\x01"]) {
        const answer = await askText(server.port, asked);
        assert.equal(answer, "stmk is not executed because it is not in the whitelist.\n");
      }
    } finally {
      await server.stop();
      place.remove();
    }
  });
}
