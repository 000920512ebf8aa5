// Pointer and keys on the level, the agent's walk, and the page's beginning.

const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const STEP = 140; // milliseconds that the agent takes for a step

function cellUnder(event) {
  const box = element("board").getBoundingClientRect(), { rows, cols } = explorer.scene;
  const place = (at, size, count) => Math.min(count - 1, Math.max(0, Math.floor((at / size) * count)));
  return place(event.clientY - box.top, box.height, rows) * cols + place(event.clientX - box.left, box.width, cols);
}

// What a pointer does once it is pressed on a cell: a function of each further cell.
function gesture(cell) {
  if (explorer.pinned && cell === explorer.pin) {
    return (to) => { explorer.pin = to; explorer.update(); };
  }
  const { brush } = explorer, on = !explorer.level[brush]?.[cell];
  const [thing] = on ? movable(explorer.scene, explorer.level, cell) : [];
  let further = false;
  if (thing) {
    let from = cell;
    return (to) => {
      if (to === from || !explorer.edit(moved(explorer.scene, explorer.level, thing, from, to), further)) return;
      [from, further] = [to, true];
    };
  }
  return (to) => {
    if (!brush || Boolean(explorer.level[brush][to]) === on) return;
    further = explorer.edit(built(explorer.scene, explorer.level, brush, to, on), further) || further;
  };
}

function bindPointer(board) {
  let act = null;
  board.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    board.focus({ preventScroll: true });
    board.setPointerCapture(event.pointerId);
    explorer.cursor = cellUnder(event);
    explorer.carried = null;
    act = gesture(explorer.cursor);
    act(explorer.cursor);
    explorer.render();
  });
  board.addEventListener("pointermove", (event) => {
    const cell = cellUnder(event);
    if (!act || cell === explorer.cursor) return;
    explorer.cursor = cell;
    act(cell);
    explorer.render();
  });
  const release = () => {
    if (act) say(spoken(explorer.verdict));
    act = null;
  };
  board.addEventListener("pointerup", release);
  board.addEventListener("pointercancel", release);
}

function moveCursor([down, right]) {
  const { rows, cols } = explorer.scene, { cursor, carried } = explorer;
  const row = Math.min(rows - 1, Math.max(0, Math.floor(cursor / cols) + down));
  const col = Math.min(cols - 1, Math.max(0, (cursor % cols) + right));
  const to = row * cols + col;
  if (carried && to !== cursor) {
    if (carried.pin) explorer.pin = to;
    else if (!explorer.edit(moved(explorer.scene, explorer.level, carried.thing, cursor, to), true)) {
      say(`The ${carried.thing} cannot stand at ${placeOf(explorer.scene, to)}.`);
      return;
    }
  }
  explorer.cursor = to;
  if (carried?.pin) explorer.update();
  else explorer.render();
  const where = cellWords(explorer.scene, explorer.seen, explorer.answer, to);
  say(carried ? spoken(explorer.verdict) : where);
}

function pickOrPut() {
  const { scene, level, cursor, carried } = explorer;
  if (carried) {
    explorer.carried = null;
    say(`Put down. ${spoken(explorer.verdict)}`);
  } else if (explorer.pinned && cursor === explorer.pin) {
    explorer.carried = { pin: true };
    say("Picked up the pin.");
  } else {
    const [thing] = movable(scene, level, cursor);
    if (!thing) return build();
    explorer.carried = { thing, before: level };
    explorer.history.push(level);
    say(`Picked up: ${thing}.`);
  }
  explorer.render();
}

function build() {
  const { scene, level, cursor, brush } = explorer;
  if (brush && explorer.edit(built(scene, level, brush, cursor, !level[brush][cursor]))) {
    say(spoken(explorer.verdict));
  } else say(brush ? "Something stands here, or there may be no other number of it." : "Nothing is built here.");
}

function putBack() {
  if (explorer.carried?.before) explorer.undo();
  explorer.carried = null;
  explorer.render();
}

function reset() {
  explorer.take(explorer.original);
}

const ACTS = {
  " ": pickOrPut, Enter: pickOrPut, Escape: putBack, w: build, z: () => explorer.undo(), r: reset, g: walk,
};

function bindKeys(board) {
  board.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = Object.hasOwn(KEYS, event.key)
      ? () => moveCursor(KEYS[event.key])
      : ACTS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const [kind, focused] of [["focus", true], ["blur", false]]) {
    board.addEventListener(kind, () => { explorer.focused = focused; explorer.render(); });
  }
}

// The agent walks its likeliest path; without a walk for readers who ask for less motion.
function walk() {
  const { way } = explorer, last = way.cells.length - 1;
  say(spoken(explorer.verdict));
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    explorer.walker = explorer.walker === null ? last : null;
    explorer.render();
    return;
  }
  let begun = null;
  const frame = (now) => {
    if (explorer.way !== way || explorer.walker === null) return;
    begun ??= now;
    explorer.walker = Math.min(last, (now - begun) / STEP);
    showState();
    if (now - begun < last * STEP + 900) requestAnimationFrame(frame);
    else { explorer.walker = null; showState(); }
  };
  explorer.walker = 0;
  requestAnimationFrame(frame);
}

async function begin() {
  const board = element("board");
  await loadPictures(TOLD.scenes);
  explorer.listeners.push(showVerdict, showAgent, showLevel, showForce, showState, showLegend);
  bindPanels();
  bindPointer(board);
  bindKeys(board);
  for (const [id, act] of [["walk", walk], ["undo", () => explorer.undo()], ["reset", reset]]) {
    element(id).addEventListener("click", act);
  }
  explorer.choose(0);
  new ResizeObserver(() => showBoard()).observe(board);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showBoard);
  document.documentElement.dataset.ready = "yes";
}

begin();
