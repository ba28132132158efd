// The exits of an alert message, from what was typed into the builder.

const levelOf = (text) => (text.endsWith("%") ? { percent: text.slice(0, -1).trim() } : { price: text });

/** Take-profits such as "2% 50, 60000 25": level and share of each. One level alone is for all of it. */
function takeProfits(given) {
  const parts = given.split(",").map((each) => each.trim().split(/\s+/)).filter(([level]) => level);
  if (parts.length === 1 && parts[0].length === 1) return { take_profit: parts[0][0] };
  return parts.length ? { take_profits: parts.map(([level, share = ""]) => ({ ...levelOf(level), share })) } : {};
}

/** The exits that were chosen; what is empty is left out. */
export function exitsOf({ stop, targets, entry, trail }) {
  const plain = { stop_loss: stop, break_even_after: entry, trailing_stop: trail };
  return { ...Object.fromEntries(Object.entries(plain).filter(([, value]) => value)), ...takeProfits(targets) };
}
