// Where an agent goes: by its likeliest actions, and, when it draws them, how often where.
// An answer is what a program returns of a level: policy, value, after, targets, ends.

function goalsAt(answer, cell) {
  const [goals, rows, cols] = answer.targets.shape;
  const at = (goal) => answer.targets.data[goal * rows * cols + cell];
  return Array.from({ length: goals }, (_, goal) => goal).filter(at);
}

function actionsAt(answer, cell) {
  const [actions, cells] = answer.policy.shape;
  return Array.from({ length: actions }, (_, action) => answer.policy.data[action * cells + cell]);
}

function after(answer, cell, action) {
  return answer.after.data[cell * answer.after.shape[1] + action];
}

// The way of the likeliest actions (of equally likely ones the first): cells, how it ends, and each
// goal with the step at which it is first reached.
function greedyWay(answer, start) {
  const cells = [start], seen = new Set([start]), reached = new Map();
  for (let cell = start; ;) {
    const chances = actionsAt(answer, cell);
    const next = after(answer, cell, chances.indexOf(Math.max(...chances)));
    if (next === cell) return { cells, reached, end: "stays" };
    cells.push(next);
    for (const goal of goalsAt(answer, next)) {
      if (!reached.has(goal)) reached.set(goal, cells.length - 1);
    }
    if (answer.ends.data[next]) return { cells, reached, end: "ends" };
    if (seen.has(next)) return { cells, reached, end: "circles" };
    seen.add(next);
    cell = next;
  }
}

// Shares of episodes by the goals that are reached first (a key such as "0" or "0 1"; "" for
// none within the horizon), when actions are drawn from the policy.
function firstGoals(answer, start, horizon) {
  const [actions, cells] = answer.policy.shape;
  const shares = new Map([["", 0]]);
  let here = new Float64Array(cells);
  here[start] = 1;
  for (let step = 0; step < horizon; step++) {
    const next = new Float64Array(cells);
    for (let cell = 0; cell < cells; cell++) {
      if (here[cell] === 0) continue;
      for (let action = 0; action < actions; action++) {
        const share = here[cell] * answer.policy.data[action * cells + cell];
        const to = after(answer, cell, action);
        const key = goalsAt(answer, to).join(" ");
        if (key || answer.ends.data[to]) shares.set(key, (shares.get(key) ?? 0) + share);
        else next[to] += share;
      }
    }
    here = next;
  }
  const rest = here.reduce((sum, share) => sum + share, 0);
  return shares.set("", shares.get("") + rest);
}

// Steps of the shortest way from a start to each goal, Infinity where there is none.
function shortest(answer, start) {
  const goals = answer.targets.shape[0];
  return Array.from({ length: goals }, (_, goal) => {
    const isTarget = (cell) => goalsAt(answer, cell).includes(goal);
    if (isTarget(start) || answer.ends.data[start]) return Infinity;
    const seen = new Set([start]);
    let border = [start];
    for (let steps = 1; border.length; steps++) {
      const next = [];
      for (const cell of border) {
        for (let action = 0; action < answer.after.shape[1]; action++) {
          const to = after(answer, cell, action);
          if (seen.has(to)) continue;
          if (isTarget(to)) return steps;
          seen.add(to);
          if (!answer.ends.data[to]) next.push(to);
        }
      }
      border = next;
    }
    return Infinity;
  });
}
