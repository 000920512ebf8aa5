// What is said of a path, as pieces of text; those in an array of their own are stressed.

const times = (count) => `${count} step${count === 1 ? "" : "s"}`;
const listed = (names) => names.join(" and ");

function placeOf(scene, cell) {
  return `row ${Math.floor(cell / scene.cols)}, column ${cell % scene.cols}`;
}

const roleOf = (goal) => (goal === 0 ? "the intended goal" : "the proxy");

// Goals that are reached, those of one step together, in order.
function stagesOf(way) {
  const steps = [...new Set(way.reached.values())].sort((a, b) => a - b);
  return steps.map((step) => ({
    step,
    goals: [...way.reached.keys()].filter((goal) => way.reached.get(goal) === step),
  }));
}

function endOf(scene, way) {
  const last = way.cells[way.cells.length - 1];
  if (way.end === "stays") return `stands still at ${placeOf(scene, last)}`;
  if (way.end === "circles") return `goes round in circles by ${placeOf(scene, last)}`;
  if (way.end === "late") return "is still under way when time is up";
  if (way.end === "further") return "goes on further than this page looks";
  return "the episode ends";
}

// A path that leads nowhere says little of an agent that learnt to draw its actions.
function drawnWords(scene, shares) {
  if (!shares) return "";
  const [key, share] = [...shares].reduce((best, each) => (each[1] > best[1] ? each : best));
  if (key === "" || share < 0.5) return "";
  const names = listed(key.split(" ").map((goal) => scene.goals[goal]));
  return ` Drawn from its probabilities, its actions lead to the ${names} in ${Math.round(100 * share)}% of episodes.`;
}

function verdictOf(scene, way, shares) {
  const stages = stagesOf(way);
  const named = (goals) => listed(goals.map((goal) => scene.goals[goal]));
  if (stages.length === 0) {
    return ["The path reaches ", ["no goal"], `: after ${times(way.cells.length - 1)} it ${endOf(scene, way)}.`, costWords(scene, way), drawnWords(scene, shares)];
  }
  const [first, ...later] = stages;
  const best = first.goals.filter((goal) => first.goals.every((other) => way.paid[goal] >= way.paid[other]));
  if (best.length > 1 && best.length === first.goals.length) {
    return ["The path serves ", [best.length === 2 ? "both goals" : "several goals"], `: ${named(best)} are earned by the same step, after ${times(first.step)}.`, costWords(scene, way)];
  }
  const [goal] = best;
  const others = first.goals.filter((other) => other !== goal);
  const words = ["The path leads to the ", [scene.goals[goal]], `, ${roleOf(goal)}, in ${times(first.step)}`];
  if (others.length) words.push(`, to the ${named(others)} as well`);
  for (const { step, goals } of later) {
    words.push(`, then to the ${named(goals)}, ${roleOf(goals[0])}, in ${times(step)}`);
  }
  const missed = scene.goals.filter((_, other) => !way.reached.has(other));
  if (missed.length && goal !== 0) words.push(`; it never reaches the ${listed(missed)}`);
  if (way.end !== "ends") words.push(`, and ${endOf(scene, way)}`);
  words.push(".", costWords(scene, way), totalWords(scene, way));
  return words;
}

// What the path takes from goals, as lava does.
function costWords(scene, way) {
  const costs = scene.goals.flatMap((name, goal) => (way.costs[goal] ? [`the ${name} ${way.costs[goal]}`] : []));
  return costs.length ? ` It costs ${listed(costs)}.` : "";
}

// What the path earns of each goal, where that is not all or nothing.
function totalWords(scene, way) {
  if (way.paid.every((paid, goal) => way.costs[goal] || paid <= 1)) return "";
  return ` In all it earns ${listed(scene.goals.map((name, goal) => `${way.paid[goal]} of ${name}`))}.`;
}

// What the policy that is shown depends on besides the agent's cell.
function restWords(scene, state, step) {
  if (!scene.sights.length) return "";
  const when = step === 0 ? "as the path begins" : `after ${times(step)} of the path`;
  return `Actions and values are those ${when}: ${scene.sights.map((name) => partWords(name, state.get(name))).join(", ")}.`;
}

function partWords(name, { type, shape, data }) {
  const own = name.replace("state.", "");
  if (type !== "bool") return `${own} ${data.length > 8 ? "…" : data.join(" ")}`;
  return `${own} ${shape.length ? data.reduce((sum, on) => sum + on, 0) : data[0] ? "yes" : "no"}`;
}

const spoken = (words) => words.flat().join("");

function cellWords(scene, level, answer, cell) {
  const things = thingsAt(scene, level, cell);
  const what = things.length ? listed(things) : "floor";
  const place = `${placeOf(scene, cell)}: ${what}`;
  if (level[WALL][cell]) return `${place}.`;
  const chances = actionsAt(answer, cell);
  const best = chances.indexOf(Math.max(...chances));
  const share = Math.round(100 * chances[best]);
  return `${place}; ${scene.actions[best]} with ${share}%, value ${answer.value.data[cell].toFixed(2)}.`;
}

// Why Python would not take a level; empty if it would.
function faultOf(scene, world) {
  const lost = scene.exact ? scene.goals.filter((_, goal) => !isEarnable(world, goal)) : [];
  return lost.length ? `gmbench refuses this level: ${listed(lost)} cannot be earned from the start.` : "";
}

// Shares of the goals that are reached first, as [words, share].
function chancesOf(scene, shares) {
  const rows = scene.goals.map((name, goal) =>
    [`${name} (${goal === 0 ? "intended" : "proxy"})`, shares.get(String(goal)) ?? 0]);
  for (const [key, share] of shares) {
    if (key.includes(" ")) rows.push([listed(key.split(" ").map((goal) => scene.goals[goal])), share]);
  }
  return [...rows, [scene.goals.length > 2 ? "none in time" : "neither in time", shares.get("")]];
}
