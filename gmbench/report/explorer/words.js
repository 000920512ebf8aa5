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
  return "the episode ends";
}

// A path that leads nowhere says little of an agent that learnt to draw its actions.
function drawnWords(scene, shares) {
  const [key, share] = [...shares].reduce((best, each) => (each[1] > best[1] ? each : best));
  if (key === "" || share < 0.5) return "";
  const names = listed(key.split(" ").map((goal) => scene.goals[goal]));
  return ` Drawn from its probabilities, its actions lead to the ${names} in ${Math.round(100 * share)}% of episodes.`;
}

function verdictOf(scene, way, shares) {
  const stages = stagesOf(way);
  const named = (goals) => listed(goals.map((goal) => scene.goals[goal]));
  if (stages.length === 0) {
    return ["The path reaches ", ["no goal"], `: after ${times(way.cells.length - 1)} it ${endOf(scene, way)}.`, drawnWords(scene, shares)];
  }
  const [first, ...later] = stages;
  if (first.goals.length > 1) {
    return ["The path serves ", ["both goals"], `: ${named(first.goals)} are the same cell, ${times(first.step)} away. Drag them apart.`];
  }
  const [goal] = first.goals;
  const words = ["The path leads to the ", [scene.goals[goal]], `, ${roleOf(goal)}, in ${times(first.step)}`];
  for (const { step, goals } of later) {
    words.push(`, then to the ${named(goals)}, ${roleOf(goals[0])}, in ${times(step)}`);
  }
  const missed = scene.goals.filter((_, other) => !way.reached.has(other));
  if (missed.length && goal !== 0) words.push(`; it never reaches the ${listed(missed)}`);
  if (way.end !== "ends") words.push(`, and ${endOf(scene, way)}`);
  words.push(".");
  return words;
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
function faultOf(scene, answer, start) {
  const far = shortest(answer, start);
  const lost = scene.goals.filter((_, goal) => far[goal] === Infinity);
  return lost.length ? `gmbench refuses this level: ${listed(lost)} cannot be reached from the start.` : "";
}

// Shares of the goals that are reached first, as [words, share].
function chancesOf(scene, shares) {
  const rows = scene.goals.map((name, goal) =>
    [`${name} (${goal === 0 ? "intended" : "proxy"})`, shares.get(String(goal)) ?? 0]);
  for (const [key, share] of shares) {
    if (key.includes(" ")) rows.push([listed(key.split(" ").map((goal) => scene.goals[goal])), share]);
  }
  return [...rows, ["neither in time", shares.get("")]];
}
