// The exits that the alert builder writes into a message.
import assert from "node:assert/strict";
import { test } from "node:test";
import { exitsOf } from "../../web/exits.js";

const NONE = { stop: "", targets: "", entry: "", trail: "" };

test("nothing typed adds nothing", () => assert.deepEqual(exitsOf(NONE), {}));

test("each field goes under its name", () => {
  const typed = { stop: "2%", targets: "60000", entry: "1", trail: "1%" };
  assert.deepEqual(exitsOf(typed), { stop_loss: "2%", break_even_after: "1", trailing_stop: "1%", take_profit: "60000" });
});

test("several levels become take-profits with shares", () => {
  assert.deepEqual(exitsOf({ ...NONE, targets: " 2% 50,  60000 25 ," }), {
    take_profits: [{ percent: "2", share: "50" }, { price: "60000", share: "25" }],
  });
});

test("a share that is missing stays empty, so that the webhook names it", () => {
  assert.deepEqual(exitsOf({ ...NONE, targets: "2%, 4% 50" }).take_profits[0], { percent: "2", share: "" });
});
