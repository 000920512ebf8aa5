// Where an agent goes: by its likeliest actions, and, when it draws them, how often where.
// An answer is what programs return of a level in some rest: what is around, policy, value.

function goalsAt(answer, cell) {
  const [goals, rows, cols] = answer.targets.shape;
  const at = (goal) => answer.targets.data[goal * rows * cols + cell];
  return Array.from({ length: goals }, (_, goal) => goal).filter(at);
}

function actionsAt(answer, cell) {
  const [actions, cells] = answer.policy.shape;
  return Array.from({ length: actions }, (_, action) => answer.policy.data[action * cells + cell]);
}

// The way of the likeliest actions (of equally likely ones the first): its cells and rests, how it
// ends, each goal with the step that first pays it, and what all steps pay and cost each.
function greedyWay(world, goals, horizon) {
  let { rest, cell } = world.start;
  const cells = [cell], rests = [rest], seen = new Map([[rest, new Set([cell])]]);
  const way = { cells, rests, reached: new Map(), paid: goals.map(() => 0), costs: goals.map(() => 0) };
  try {
    while (cells.length <= horizon) {
      const chances = actionsAt(world.acting(rest), cell);
      const step = world.next(rest, cell, chances.indexOf(Math.max(...chances)));
      if (step.rest === rest && step.cell === cell) return { ...way, end: "stays" };
      ({ rest, cell } = step);
      cells.push(cell);
      rests.push(rest);
      step.paid.forEach((pay, goal) => {
        if (pay > 0 && !way.reached.has(goal)) way.reached.set(goal, cells.length - 1);
        way.paid[goal] += pay;
        if (pay < 0) way.costs[goal] -= pay;
      });
      if (step.over) return { ...way, end: "ends" };
      if (seen.get(rest)?.has(cell)) return { ...way, end: "circles" };
      seen.set(rest, (seen.get(rest) ?? new Set()).add(cell));
    }
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    return { ...way, end: "further" };
  }
  return { ...way, end: "late" };
}

// Shares of episodes by the goals that are paid first (a key such as "0" or "0 1"; "" for none
// within the horizon), when actions are drawn; null if more states would have to be looked at.
function firstGoals(world, horizon) {
  const shares = new Map([["", 0]]);
  const add = (key, share) => shares.set(key, (shares.get(key) ?? 0) + share);
  const size = world.start.rest.answer.ends.data.length;
  let here = new Map([[world.start.rest, new Float64Array(size)]]);
  here.get(world.start.rest)[world.start.cell] = 1;
  try {
    for (let step = 0; step < horizon && here.size; step++) here = drawn(world, here, add, size);
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    return null;
  }
  for (const shared of here.values()) add("", shared.reduce((sum, share) => sum + share, 0));
  return shares;
}

function drawn(world, here, add, size) {
  const later = new Map();
  for (const [rest, shared] of here) {
    const [actions, cells] = world.acting(rest).policy.shape;
    shared.forEach((all, cell) => {
      for (let action = 0; action < actions && all > 0; action++) {
        const share = all * rest.answer.policy.data[action * cells + cell];
        const step = world.next(rest, cell, action);
        const key = step.paid.flatMap((pay, goal) => (pay > 0 ? [goal] : [])).join(" ");
        if (key || step.over) add(key, share);
        else {
          if (!later.has(step.rest)) later.set(step.rest, new Float64Array(size));
          later.get(step.rest)[step.cell] += share;
        }
      }
    });
  }
  return later;
}

// Whether some way from the start pays a goal more than it costs it; true, too, if more states would
// have to be looked at. States are taken by how little they have cost, the dearest last.
function isEarnable(world, goal) {
  const { start } = world;
  if (start.rest.answer.ends.data[start.cell]) return false;
  const borders = [[start]], seen = new Map();
  try {
    for (let cost = 0; cost < borders.length; cost++) {
      for (const { rest, cell } of borders[cost] ?? []) {
        if (seen.get(rest)?.has(cell)) continue;
        seen.set(rest, (seen.get(rest) ?? new Set()).add(cell));
        for (let action = 0; action < rest.answer.after.shape[0]; action++) {
          const step = world.next(rest, cell, action);
          const now = cost - step.paid[goal];
          if (now < 0) return true;
          if (!step.over) (borders[now] ??= []).push(step);
        }
      }
    }
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    return true;
  }
  return false;
}
