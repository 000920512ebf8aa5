// Levels: which things are on each cell. They are read from and written to the ASCII of gmbench.

const WALL = "wall";

// A level has a mask for each thing, and the numbers of each note under a name of its own.
const noteOf = (name) => `note: ${name}`;

function blankLevel(scene) {
  const cells = scene.rows * scene.cols;
  const things = [WALL, ...scene.things].map((thing) => [thing, new Uint8Array(cells)]);
  const notes = Object.entries(scene.notes).map(([name, note]) => [noteOf(name), Float64Array.from(note.default)]);
  return Object.fromEntries([...things, ...notes]);
}

function copyLevel(level) {
  return Object.fromEntries(Object.entries(level).map(([name, numbers]) => [name, numbers.slice()]));
}

function thingsAt(scene, level, cell) {
  return scene.things.filter((thing) => level[thing][cell]);
}

const printed = (scene, thing) => Object.values(scene.legend).some((things) => things.includes(thing));

// The character of the things on one cell, but for those that are never printed; undefined if they
// cannot meet.
function markOf(scene, all) {
  const things = all.filter((thing) => printed(scene, thing));
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
  for (const name of Object.keys(scene.notes)) lines.push(`${name}: ${level[noteOf(name)].join(" ")}`);
  return lines.join("\n");
}

// The level as it is once settled: what is seen of a state with the agent at a cell, and its notes.
function levelSeen(scene, { begun }, { picture }, agent) {
  const level = blankLevel(scene), { length } = scene.things;
  scene.things.forEach((thing, place) => {
    level[thing].forEach((_, cell) => { level[thing][cell] = picture.data[cell * length + place]; });
  });
  level.agent = level.agent.map((_, cell) => (cell === agent ? 1 : 0));
  for (const name of Object.keys(scene.notes)) level[noteOf(name)] = Float64Array.from(begun[`level.${name}`].data);
  return level;
}

// Read ASCII; what does not fit is an Error of one line.
function parseLevel(scene, text) {
  const all = text.trim().split("\n").map((line) => line.trim());
  const lines = all.slice(0, scene.rows), notes = all.slice(scene.rows);
  if (lines.length < scene.rows || notes.some((line) => !line.includes(":"))) {
    throw new Error(`${all.length} rows, ${scene.rows} are needed`);
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
  for (const line of notes) readNote(scene, level, line);
  checkCounts(scene, level);
  return level;
}

function readNote(scene, level, line) {
  const [name, text] = [line.slice(0, line.indexOf(":")).trim(), line.slice(line.indexOf(":") + 1)];
  const old = Object.hasOwn(scene.notes, name) ? level[noteOf(name)] : undefined;
  if (!old) throw new Error(`unknown note '${name}' (allowed: ${Object.keys(scene.notes).join(" ")})`);
  const numbers = text.trim().split(/\s+/).map(Number);
  if (numbers.length !== old.length || !numbers.every(Number.isInteger)) {
    throw new Error(`note '${name}' needs ${old.length} whole number${old.length === 1 ? "" : "s"}`);
  }
  level[noteOf(name)] = Float64Array.from(numbers);
}

const countOf = (level, thing) => level[thing].reduce((sum, on) => sum + on, 0);

function checkCounts(scene, level) {
  for (const [thing, [least, most]] of Object.entries(scene.ranges)) {
    const count = countOf(level, thing);
    if (count >= least && count <= most) continue;
    const range = least === most ? least : `${least} to ${most}`;
    throw new Error(`${count} ${thing} (allowed on a level: ${range})`);
  }
  for (const { kind, things, shape } of Object.values(scene.fields)) {
    const count = things.reduce((sum, thing) => sum + countOf(level, thing), 0);
    if (kind === "list" && count > shape[0]) throw new Error(`${count} ${listed(things)} (allowed: at most ${shape[0]})`);
  }
  const fits = (counts) => Object.entries(counts).every(([thing, n]) => countOf(level, thing) === n);
  if (scene.counts.some(fits)) return;
  const wanted = scene.counts.map((counts) =>
    Object.entries(counts).filter(([, n]) => n).map(([thing, n]) => `${n} ${thing}`).join(", "));
  throw new Error(`allowed on a level: ${wanted.join("; or ")}`);
}

const isAllowed = (scene, level) => {
  try { checkCounts(scene, level); } catch { return false; }
  return true;
};

// Numbers of the cells on which some of the things are.
function cellsOf(scene, level, things) {
  const on = (cell) => things.some((thing) => level[thing][cell]);
  return Array.from({ length: scene.rows * scene.cols }, (_, cell) => cell).filter(on);
}

// How the numbers of an array of a level are read, by its kind.
const READ = {
  note: (scene, level, field, name) => level[noteOf(name)],
  constant: (scene, level, { value }) => value,
  mask: (scene, level, { things }) => level[things[0]],
  cell: (scene, level, { things }) => placesOf(scene, cellsOf(scene, level, things), 1),
  list: (scene, level, { things, shape }) =>
    placesOf(scene, things.flatMap((thing) => cellsOf(scene, level, [thing])), shape[0]),
  members: (scene, level, { things, of, shape }) => {
    const own = scene.fields[of].things.flatMap((thing) => cellsOf(scene, level, [thing]));
    return Array.from({ length: shape[0] }, (_, place) => (place < own.length ? level[things[0]][own[place]] : 0));
  },
};

// Rows and columns of cells, (-1, -1) for those that are missing.
function placesOf(scene, cells, length) {
  const place = (cell) => (cell === undefined ? [-1, -1] : [Math.floor(cell / scene.cols), cell % scene.cols]);
  return Array.from({ length }, (_, n) => place(cells[n])).flat();
}

// The arrays of a level by the names that programs know them by, before it is settled.
function arraysOf(scene, level) {
  return new Map(Object.entries(scene.fields).map(([name, field]) =>
    [`level.${name}`, tensor(field.type, field.shape, ARRAYS[field.type].from(READ[field.kind](scene, level, field, name)))]));
}

// Things that are built and broken, cell by cell, and those of which a level may have more or fewer.
function buildable(scene) {
  const varying = Object.keys(scene.ranges).filter((thing) => scene.ranges[thing][0] < scene.ranges[thing][1]);
  return [...scene.free, ...varying];
}

// Things that can be moved, the topmost first.
function movable(scene, level, cell) {
  return thingsAt(scene, level, cell)
    .filter((thing) => printed(scene, thing) && !scene.free.includes(thing)).reverse();
}

// The level with a thing moved; null where it cannot stand.
function moved(scene, level, thing, from, to) {
  const next = copyLevel(level);
  next[thing][from] = 0;
  next[thing][to] = 1;
  return markOf(scene, thingsAt(scene, next, to)) === undefined ? null : next;
}

// The level with something built or taken away; null where something stands in its way, and where
// a level must not have more or fewer of it.
function built(scene, level, thing, cell, on) {
  const next = copyLevel(level);
  next[thing][cell] = on ? 1 : 0;
  return markOf(scene, thingsAt(scene, next, cell)) === undefined || !isAllowed(scene, next) ? null : next;
}

// The level with other numbers in a note.
function noted(level, name, numbers) {
  return { ...level, [noteOf(name)]: Float64Array.from(numbers) };
}
