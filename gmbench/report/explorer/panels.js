// The panels beside the level: they show the state of the page, and change it.

function fill(select, names, words = names) {
  const wanted = names.map((name, place) => `${name}:${words[place]}`).join("\n");
  if (select.dataset.filled === wanted) return;
  select.dataset.filled = wanted;
  select.replaceChildren(...names.map((name, place) => new Option(words[place], name)));
}

function pieces(words) {
  return words.map((piece) => {
    if (!Array.isArray(piece)) return piece;
    const strong = document.createElement("strong");
    strong.textContent = piece[0];
    return strong;
  });
}

function chanceRow([words, share]) {
  const row = document.createElement("div"), bar = document.createElement("span"), full = document.createElement("i");
  const [name, percent] = [document.createElement("span"), document.createElement("span")];
  row.className = "chance";
  bar.className = "bar";
  full.style.width = `${100 * share}%`;
  name.textContent = words;
  percent.textContent = `${Math.round(100 * share)}%`;
  bar.append(full);
  row.append(name, bar, percent);
  return row;
}

function showVerdict() {
  const { scene, way, shares } = explorer;
  element("verdict").replaceChildren(...pieces(verdictOf(scene, way, shares)));
  const title = document.createElement("p");
  title.className = "soft";
  title.textContent = shares
    ? `First goal reached when actions are drawn, within ${times(scene.horizon)}:`
    : "What is reached when actions are drawn depends on more states than this page looks at.";
  element("chances").replaceChildren(title, ...(shares ? chancesOf(scene, shares) : []).map(chanceRow));
}

function showAgent() {
  const { own, moment, scene } = explorer;
  const [intended, ...proxies] = scene.goals;
  element("task").textContent = `${scene.task}, ${own.title}. Intended: ${intended}, ${scene.words[intended]}. `
    + proxies.map((name) => `Proxy: ${name}, ${scene.words[name]}.`).join(" ");
  fill(element("agent"), TOLD.agents.map((_, place) => String(place)), TOLD.agents.map((each) => each.title));
  element("agent").value = String(explorer.agent);
  element("agent").hidden = element("agent-label").hidden = TOLD.agents.length < 2;
  element("past").hidden = own.moments.length < 2;
  element("who").hidden = TOLD.agents.length < 2 && own.moments.length < 2;
  element("moment").max = String(own.moments.length - 1);
  element("moment").value = String(moment);
  const steps = `${own.moments[moment].steps.toLocaleString("en")} steps`;
  element("steps").textContent = steps;
  element("moment").setAttribute("aria-valuetext", steps);
}

function showLevel() {
  const { scene, distribution, number, level, world } = explorer;
  fill(element("distribution"), Object.keys(scene.levels));
  element("distribution").value = distribution;
  element("number").textContent = `${number + 1} of ${scene.levels[distribution].length}`
    + (level === explorer.original ? "" : ", edited");
  element("undo").disabled = explorer.history.length === 0;
  element("reset").disabled = level === explorer.original;
  fill(element("brush"), buildable(scene));
  element("brush").value = explorer.brush;
  element("building").hidden = buildable(scene).length < 2;
  showNotes();
  const text = element("ascii");
  if (document.activeElement !== text) {
    text.rows = scene.rows + Object.keys(scene.notes).length;
    text.value = printLevel(scene, levelSeen(scene, world, world.start.rest.answer, world.start.cell));
    element("problem").textContent = explorer.fault ??= faultOf(scene, world);
  }
}

// A list for each note that samples have more than one value of.
function showNotes() {
  const { scene, seen } = explorer;
  const names = Object.keys(scene.notes).filter((name) => scene.notes[name].choices.length > 1);
  const box = element("notes");
  if (box.dataset.task !== scene.task) {
    box.dataset.task = scene.task;
    box.replaceChildren(...names.flatMap((name) => {
      const label = document.createElement("label"), select = document.createElement("select");
      label.textContent = name;
      label.htmlFor = select.id = `note-${name}`;
      select.addEventListener("change", () => {
        explorer.edit(noted(explorer.level, name, select.value.split(" ").map(Number)));
        say(spoken(explorer.verdict));
      });
      return [label, select];
    }));
  }
  for (const name of names) {
    const now = seen[noteOf(name)].join(" "), known = scene.notes[name].choices.map((each) => each.join(" "));
    fill(element(`note-${name}`), known.includes(now) ? known : [...known, now]);
    element(`note-${name}`).value = now;
  }
}

// The board, and in words the state that it shows.
function showState() {
  const { scene, answer, seen, way, step, rest, cursor, walker } = explorer;
  element("cell").textContent = cellWords(scene, seen, answer, cursor);
  element("rest").textContent = restWords(scene, rest.state, step);
  element("at").max = String(way.cells.length - 1);
  element("at").value = String(step);
  element("at-step").textContent = `${step} of ${way.cells.length - 1}`;
  showBoard();
}

function showForce() {
  const { force, program, pinned, spread } = explorer;
  const layers = Object.keys(program.taps);
  element("forcing").hidden = layers.length === 0;
  if (!layers.length) return;
  fill(element("layer"), layers);
  element("layer").value = force.layer;
  const names = program.channels[force.layer] ?? [];
  const numbers = Array.from({ length: program.taps[force.layer][0] }, (_, channel) => channel);
  fill(element("channel"), ["free", ...numbers.map(String)],
    ["none", ...numbers.map((n) => (names[n] ? `${n}: ${names[n]}` : String(n)))]);
  element("channel").value = force.value === null ? "free" : String(force.channel);
  element("dial").hidden = force.value === null;
  element("where").hidden = force.value === null || !explorer.hasCells;
  element("forced").textContent = force.value === null ? "" : force.value.toFixed(2);
  const dial = element("level-of-force");
  dial.min = String(2 * spread[0]);
  dial.max = String(Math.max(2 * spread[1], 2));
  dial.step = "any";
  dial.value = String(force.value ?? 0);
  element("pinned").checked = pinned;
  element("everywhere").checked = !pinned;
}

function showBoard() {
  const { scene, answer, seen, start } = explorer;
  const view = { ...explorer, scene, answer, seen, start, pin: explorer.pinned ? explorer.pin : null };
  view.range = valueRange(view);
  drawBoard(element("board"), view);
  drawScale(element("scale"));
  const [low, high] = view.range.map((value) => value.toFixed(2));
  element("range").textContent = `value ${low} to ${high}, as the critic expects`;
}

function legendEntry(picture, words) {
  const entry = document.createElement("li"), text = document.createElement("span");
  text.textContent = words;
  entry.append(picture, text);
  return entry;
}

function showLegend() {
  const { scene } = explorer;
  if (element("legend").dataset.task === scene.task) return;
  element("legend").dataset.task = scene.task;
  const entries = scene.things.map((thing) => {
    const image = pictureOf(scene, thing).cloneNode();
    image.alt = "";
    const mark = printed(scene, thing) ? markOf(scene, [thing]) : undefined;
    const shown = mark ? `${thing} (${mark})` : thing;
    return legendEntry(image, shown);
  });
  const signs = [
    "Full frame: the intended goal. Broken frame: the proxy.",
    "Arrows: where it would go from each cell, the stronger the likelier; a dot: it stays.",
    "Line: the path of its likeliest actions; the disc is where that ends.",
    "Shade: what its critic expects of each cell.",
  ].map((words) => {
    const entry = document.createElement("li");
    entry.textContent = words;
    return entry;
  });
  element("legend").replaceChildren(...entries, ...signs);
}

function say(words) {
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { element("spoken").textContent = words; }, 300);
}

function bindPanels() {
  const on = (id, kind, act) => element(id).addEventListener(kind, act);
  on("agent", "change", (event) => explorer.choose(Number(event.target.value)));
  on("moment", "input", (event) => {
    explorer.moment = Number(event.target.value);
    explorer.walker = null;
    explorer.update();
  });
  on("at", "input", (event) => {
    explorer.walker = Number(event.target.value);
    showState();
  });
  on("brush", "change", (event) => { explorer.brush = event.target.value; });
  on("distribution", "change", (event) => explorer.open(event.target.value, 0));
  on("before", "click", () => explorer.open(explorer.distribution, explorer.number - 1));
  on("next", "click", () => explorer.open(explorer.distribution, explorer.number + 1));
  for (const name of Object.keys(explorer.show)) {
    on(`show-${name}`, "change", (event) => {
      explorer.show[name] = event.target.checked;
      explorer.render();
    });
  }
  on("layer", "change", (event) => {
    explorer.force = { layer: event.target.value, channel: 0, value: null };
    explorer.pinned = false;
    explorer.update();
  });
  on("channel", "change", (event) => {
    const free = event.target.value === "free";
    explorer.force.channel = free ? 0 : Number(event.target.value);
    explorer.force.value = free ? null : 1;
    explorer.update();
  });
  on("level-of-force", "input", (event) => {
    explorer.force.value = Number(event.target.value);
    explorer.update();
  });
  for (const id of ["pinned", "everywhere"]) {
    on(id, "change", () => {
      explorer.pinned = element("pinned").checked;
      explorer.update();
    });
  }
  on("load", "click", loadText);
  on("copy", "click", copyText);
  on("save", "click", saveText);
}

function loadText() {
  try {
    explorer.take(explorer.level_of(element("ascii").value));
  } catch (error) {
    element("problem").textContent = error.message;
  }
}

function copyText() {
  element("ascii").select();
  navigator.clipboard?.writeText(element("ascii").value).catch(() => document.execCommand("copy"));
}

function saveText() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${element("ascii").value}\n`], { type: "text/plain" }));
  link.download = `${explorer.scene.task}-level.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
}
