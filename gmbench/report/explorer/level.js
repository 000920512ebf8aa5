// Levels: which things are on each cell. They are read from and written to the ASCII of gmbench.

const WALL = "wall";

function blankLevel(scene) {
  const cells = scene.rows * scene.cols;
  return Object.fromEntries(scene.things.map((thing) => [thing, new Uint8Array(cells)]));
}

function copyLevel(level) {
  return Object.fromEntries(Object.entries(level).map(([thing, mask]) => [thing, mask.slice()]));
}

function thingsAt(scene, level, cell) {
  return scene.things.filter((thing) => level[thing][cell]);
}

// The character of the things on one cell, but for those that are never printed; undefined if they
// cannot meet.
function markOf(scene, all) {
  const things = all.filter((thing) => !Object.hasOwn(scene.fixed, thing));
  const same = ([, others]) =>
    others.length === things.length && things.every((thing) => others.includes(thing));
  return Object.entries(scene.legend).find(same)?.[0];
}

function printLevel(scene, level) {
  const lines = [];
  for (let row = 0; row < scene.rows; row++) {
    let line = "";
    for (let col = 0; col < scene.cols; col++) {
      line += markOf(scene, thingsAt(scene, level, row * scene.cols + col));
    }
    lines.push(line);
  }
  return lines.join("\n");
}

// Read ASCII; what does not fit is an Error of one line.
function parseLevel(scene, text) {
  const lines = text.trim().split("\n").map((line) => line.trim());
  if (lines.length !== scene.rows) {
    throw new Error(`${lines.length} rows, ${scene.rows} are needed`);
  }
  const level = blankLevel(scene);
  lines.forEach((line, row) => {
    const marks = [...line];
    if (marks.length !== scene.cols) {
      throw new Error(`row ${row} has ${marks.length} columns, ${scene.cols} are needed`);
    }
    marks.forEach((mark, col) => {
      if (!Object.hasOwn(scene.legend, mark)) {
        const allowed = Object.keys(scene.legend).join(" ");
        throw new Error(`unknown character '${mark}' at row ${row}, column ${col} (allowed: ${allowed})`);
      }
      for (const thing of scene.legend[mark]) level[thing][row * scene.cols + col] = 1;
    });
  });
  checkCounts(scene, level);
  return level;
}

function checkCounts(scene, level) {
  const count = (thing) => level[thing].reduce((sum, on) => sum + on, 0);
  const fits = (counts) => Object.entries(counts).every(([thing, n]) => count(thing) === n);
  if (scene.counts.some(fits)) return;
  const wanted = scene.counts.map((counts) =>
    Object.entries(counts).filter(([, n]) => n).map(([thing, n]) => `${n} ${thing}`).join(", "));
  throw new Error(`allowed on a level: ${wanted.join("; or ")}`);
}

// The arrays of a level by the names that programs know them by.
function arraysOf(scene, level) {
  const arrays = new Map();
  for (const [name, { kind, things }] of Object.entries(scene.fields)) {
    if (kind === "mask") {
      arrays.set(`level.${name}`, tensor("bool", [scene.rows, scene.cols], level[things[0]]));
      continue;
    }
    const cell = level[things[0]].findIndex((_, i) => things.some((thing) => level[thing][i]));
    const place = cell < 0 ? [-1, -1] : [Math.floor(cell / scene.cols), cell % scene.cols];
    arrays.set(`level.${name}`, tensor("int8", [2], Int32Array.from(place)));
  }
  return arrays;
}

// Things that can be moved, the topmost first.
function movable(scene, level, cell) {
  const fixed = (thing) => thing === WALL || Object.hasOwn(scene.fixed, thing);
  return thingsAt(scene, level, cell).filter((thing) => !fixed(thing)).reverse();
}

// The level with a thing moved; null where it cannot stand.
function moved(scene, level, thing, from, to) {
  const next = copyLevel(level);
  next[thing][from] = 0;
  next[thing][to] = 1;
  return markOf(scene, thingsAt(scene, next, to)) === undefined ? null : next;
}

// The level with a wall set or taken away; null where something stands in its way.
function walled(scene, level, cell, on) {
  const next = copyLevel(level);
  next[WALL][cell] = on ? 1 : 0;
  return markOf(scene, thingsAt(scene, next, cell)) === undefined ? null : next;
}
