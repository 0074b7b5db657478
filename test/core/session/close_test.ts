/** The end of a session, in all the ways it can come. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import { writeCreateRequest, writeWatchableRequest } from "../../../src/core/wire/requests.ts";
import { Driver } from "../peer/driver.ts";

for (const closeSessionTxn of [true, false]) {
  for (const digestEnabled of [true, false]) {
    test(`closeSession takes the ephemerals, also pending ones (list ${closeSessionTxn}, digest ${digestEnabled})`, () => {
      const driver = new Driver({ digestEnabled, judge: { closeSessionTxn } });
      const line = driver.connect();
      const other = driver.connect();
      line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/p", null, aclOpen, 0));
      line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/p/e1", null, aclOpen, 1));
      line.send(OpCode.Create, (w) => writeCreateRequest(w, "/p/e2", null, aclOpen, 1));
      line.send(OpCode.CloseSession);
      driver.settle();
      assert.equal(line.closed, true);
      assert.equal(driver.peer.sessions.size, 1);
      assert.equal(driver.peer.tree.ephemeralCount, 0);
      for (const path of ["/p/e1", "/p/e2"]) {
        assert.equal(other.ask(OpCode.Exists, (w) => writeWatchableRequest(w, path, false)).err, -101);
      }
      assert.equal(driver.peer.applier.digestMismatches, 0);
    });
  }
}
