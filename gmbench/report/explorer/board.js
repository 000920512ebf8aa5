// Draws a level on a canvas: floor shaded by value, arrows by probability, the path, the things.

const UNIT = { stay: [0, 0], up: [-1, 0], down: [1, 0], left: [0, -1], right: [0, 1] };
const PICTURES = new Map();

function pictureOf(scene, thing) {
  const key = scene.sprites[thing];
  if (!PICTURES.has(key)) {
    const image = new Image();
    image.src = `data:image/png;base64,${key}`;
    PICTURES.set(key, image);
  }
  return PICTURES.get(key);
}

async function loadPictures(scenes) {
  await Promise.all(scenes.flatMap((scene) => scene.things.map((thing) => pictureOf(scene, thing).decode())));
}

function inks() {
  const style = getComputedStyle(document.documentElement);
  const names = ["floor", "stone", "grid", "low", "high", "mark", "way", "halo", "focus"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function shade(ink, share) {
  const [low, high] = [ink.low, ink.high].map((text) => text.split(",").map(Number));
  return `rgb(${low.map((from, i) => Math.round(from + share * (high[i] - from))).join(",")})`;
}

// Values of the cells that are no wall and where an episode goes on.
function valueRange(view) {
  const { answer, seen } = view;
  const shown = Array.from(answer.value.data).filter((_, cell) => !seen[WALL][cell] && !answer.ends.data[cell]);
  return shown.length ? [Math.min(...shown), Math.max(...shown)] : [0, 0];
}

function drawBoard(canvas, view) {
  const { scene } = view;
  const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
  const size = width / scene.cols;
  const height = size * scene.rows;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const draw = { pen, size, ink: inks(), at: (cell) => [(cell % scene.cols) * size, Math.floor(cell / scene.cols) * size] };
  for (let cell = 0; cell < scene.rows * scene.cols; cell++) drawFloor(draw, view, cell);
  drawTargets(draw, view);
  for (let cell = 0; cell < scene.rows * scene.cols; cell++) drawThings(draw, view, cell);
  if (view.show.policy) drawPolicy(draw, view);
  if (view.show.way) drawWay(draw, view);
  drawAgent(draw, view);
  if (view.show.numbers) drawNumbers(draw, view);
  if (view.pin !== null) drawPin(draw, view.pin);
  if (view.focused) drawCursor(draw, view.cursor, view.carried !== null);
}

function drawFloor({ pen, size, ink, at }, view, cell) {
  const [x, y] = at(cell);
  const [low, high] = view.range;
  pen.fillStyle = ink.floor;
  if (view.seen[WALL][cell]) pen.fillStyle = ink.stone;
  else if (view.show.value && !view.answer.ends.data[cell]) {
    pen.fillStyle = shade(ink, high > low ? (view.answer.value.data[cell] - low) / (high - low) : 0);
  }
  pen.fillRect(x, y, size, size);
  pen.strokeStyle = ink.grid;
  pen.lineWidth = 1;
  pen.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
  if (view.seen[WALL][cell]) drawBricks(pen, x, y, size, ink);
}

function drawBricks(pen, x, y, size, ink) {
  pen.strokeStyle = ink.grid;
  pen.globalAlpha = 0.45;
  pen.beginPath();
  for (const [row, shift] of [[1, 0.3], [2, 0.7]]) {
    pen.moveTo(x, y + (row * size) / 3);
    pen.lineTo(x + size, y + (row * size) / 3);
    pen.moveTo(x + shift * size, y + ((row - 1) * size) / 3);
    pen.lineTo(x + shift * size, y + (row * size) / 3);
  }
  pen.moveTo(x + 0.3 * size, y + (2 * size) / 3);
  pen.lineTo(x + 0.3 * size, y + size);
  pen.stroke();
  pen.globalAlpha = 1;
}

// A full frame around the intended goal, a broken one around a proxy, and a letter or a word.
function drawTargets({ pen, size, ink, at }, { scene, answer }) {
  const goals = scene.goals.map((_, goal) => goal).reverse();
  for (const goal of goals) {
    for (let cell = 0; cell < scene.rows * scene.cols; cell++) {
      if (!goalsAt(answer, cell).includes(goal)) continue;
      const [x, y] = at(cell);
      const inset = goal === 0 ? size * 0.05 : size * 0.11;
      pen.strokeStyle = ink.mark;
      pen.lineWidth = Math.max(1.5, size * 0.035);
      pen.setLineDash(goal === 0 ? [] : [size * 0.1, size * 0.07]);
      pen.strokeRect(x + inset, y + inset, size - 2 * inset, size - 2 * inset);
      pen.setLineDash([]);
    }
  }
}

function drawThings(draw, view, cell) {
  const { pen, size, at } = draw;
  const [x, y] = at(cell);
  for (const thing of thingsAt(view.scene, view.seen, cell)) {
    if (thing === WALL || thing === "agent") continue;
    pen.drawImage(pictureOf(view.scene, thing), x + size * 0.14, y + size * 0.14, size * 0.72, size * 0.72);
  }
}

function drawPolicy({ pen, size, ink, at }, view) {
  const { scene, answer, seen } = view;
  for (let cell = 0; cell < scene.rows * scene.cols; cell++) {
    if (seen[WALL][cell] || answer.ends.data[cell]) continue;
    const [x, y] = at(cell).map((corner) => corner + size / 2);
    actionsAt(answer, cell).forEach((chance, action) => {
      if (chance < 0.02) return;
      const [down, right] = UNIT[scene.actions[action]] ?? [0, 0];
      pen.globalAlpha = 0.15 + 0.85 * chance;
      pen.fillStyle = ink.mark;
      if (down || right) arrow(pen, x, y, right, down, size, chance);
      else disc(pen, x, y, size * (0.04 + 0.08 * chance));
    });
  }
  pen.globalAlpha = 1;
}

function disc(pen, x, y, radius) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

function arrow(pen, x, y, right, down, size, chance) {
  const length = size * (0.2 + 0.22 * chance), half = size * (0.03 + 0.02 * chance);
  const head = size * (0.07 + 0.05 * chance), begin = size * 0.09;
  pen.save();
  pen.translate(x, y);
  pen.rotate(Math.atan2(down, right));
  pen.beginPath();
  pen.moveTo(begin, -half);
  pen.lineTo(length - head, -half);
  pen.lineTo(length - head, -head);
  pen.lineTo(length, 0);
  pen.lineTo(length - head, head);
  pen.lineTo(length - head, half);
  pen.lineTo(begin, half);
  pen.closePath();
  pen.fill();
  pen.restore();
}

function drawWay({ pen, size, ink, at }, { way }) {
  const points = way.cells.map((cell) => at(cell).map((corner) => corner + size / 2));
  for (const [colour, width] of [[ink.halo, size * 0.15], [ink.way, size * 0.075]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.lineJoin = pen.lineCap = "round";
    pen.beginPath();
    points.forEach(([x, y], step) => (step ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.stroke();
  }
  const [x, y] = points[points.length - 1];
  pen.fillStyle = ink.halo;
  disc(pen, x, y, size * 0.17);
  pen.fillStyle = ink.way;
  disc(pen, x, y, size * 0.12);
}

function drawAgent({ pen, size, at, ink }, view) {
  const { start } = view;
  const step = view.walker === null ? 0 : Math.min(view.walker, view.way.cells.length - 1);
  const [from, to] = [Math.floor(step), Math.ceil(step)].map((place) => at(view.way.cells[place] ?? start));
  const share = step - Math.floor(step);
  const [x, y] = from.map((corner, axis) => corner + share * (to[axis] - corner));
  if (view.walker !== null) {
    const [left, top] = at(start);
    pen.strokeStyle = ink.mark;
    pen.lineWidth = 1.5;
    pen.strokeRect(left + size * 0.2, top + size * 0.2, size * 0.6, size * 0.6);
  }
  pen.drawImage(pictureOf(view.scene, "agent"), x + size * 0.08, y + size * 0.08, size * 0.84, size * 0.84);
}

function drawNumbers({ pen, size, ink, at }, view) {
  pen.font = `${Math.max(8, size * 0.17)}px system-ui, sans-serif`;
  pen.textAlign = "right";
  pen.textBaseline = "bottom";
  for (let cell = 0; cell < view.scene.rows * view.scene.cols; cell++) {
    if (view.seen[WALL][cell] || view.answer.ends.data[cell]) continue;
    const [x, y] = at(cell);
    const text = view.answer.value.data[cell].toFixed(2);
    pen.lineWidth = 3;
    pen.strokeStyle = ink.halo;
    pen.strokeText(text, x + size * 0.95, y + size * 0.97);
    pen.fillStyle = ink.mark;
    pen.fillText(text, x + size * 0.95, y + size * 0.97);
  }
}

function drawPin({ pen, size, ink, at }, cell) {
  const [x, y] = at(cell);
  pen.fillStyle = pen.strokeStyle = ink.focus;
  pen.lineWidth = size * 0.05;
  disc(pen, x + size * 0.78, y + size * 0.2, size * 0.13);
  pen.beginPath();
  pen.moveTo(x + size * 0.78, y + size * 0.2);
  pen.lineTo(x + size * 0.62, y + size * 0.5);
  pen.stroke();
}

function drawCursor({ pen, size, ink, at }, cell, carries) {
  const [x, y] = at(cell);
  for (const [colour, width] of [[ink.halo, 6], [ink.focus, 3]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(carries ? [6, 4] : []);
    pen.strokeRect(x + 3, y + 3, size - 6, size - 6);
  }
  pen.setLineDash([]);
}

function drawScale(canvas) {
  const pen = canvas.getContext("2d"), ink = inks();
  for (let x = 0; x < canvas.width; x++) {
    pen.fillStyle = shade(ink, x / (canvas.width - 1));
    pen.fillRect(x, 0, 1, canvas.height);
  }
}
