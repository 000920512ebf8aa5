// A level's states: the agent's cell, and the rest of a state (keys held, the time), which is carried
// along as the task's own program returns it. Only what that program reads of a rest tells it apart.

const RESTS = 160; // most rests that are looked at
const SIGHTS = 40; // most different sights of which the network is asked

class TooMany extends Error {}

// What of a state the world depends on, besides the agent's cell.
function partsOf(scene) {
  return Object.keys(scene.programs.around.given)
    .filter((name) => name.startsWith("state.") && name !== "state.position");
}

// The states of a level; acts(seen) is what the network makes of what is seen.
function worldOf(scene, programs, level, acts) {
  const begun = run(programs.begin, arraysOf(scene, level));
  const fixed = Object.entries(begun).filter(([name]) => name.startsWith("level."));
  const parts = partsOf(scene), rests = new Map(), sights = [];

  function restOf(state) {
    const key = parts.map((name) => state.get(name).data.join()).join("|");
    if (rests.has(key)) return rests.get(key);
    if (rests.size >= RESTS) throw new TooMany();
    const answer = run(programs.around, new Map([...fixed, ...state]));
    const rest = { state, answer, to: [], acted: false };
    rests.set(key, rest);
    return rest;
  }

  // The rest with the network's policy and values; equal sights are asked about once.
  function acting(rest) {
    if (rest.acted) return rest.answer;
    const { data } = rest.answer.seen;
    let known = sights.find((each) => each.data.every((value, place) => value === data[place]));
    if (!known) {
      if (sights.length >= SIGHTS) throw new TooMany();
      known = { data, made: acts(rest.answer.seen, new Map(fixed)) };
      sights.push(known);
    }
    Object.assign(rest.answer, known.made);
    rest.acted = true;
    return rest.answer;
  }

  // Where an action leads: the next rest and cell, what goals are paid, and whether that is the end.
  function next(rest, cell, action) {
    const { after } = rest.answer, [actions, cells] = after.shape, at = action * cells + cell;
    rest.to[at] ??= {
      rest: restOf(stateAfter(rest, at, actions * cells)),
      cell: after.data[at],
      paid: scene.goals.map((_, goal) => rest.answer.paid.data[goal * actions * cells + at]),
      over: Boolean(rest.answer.over.data[at]),
    };
    return rest.to[at];
  }

  const first = new Map(Object.entries(begun).filter(([name]) => name.startsWith("state.")));
  const [row, col] = first.get("state.position").data;
  const start = { rest: restOf(first), cell: row * scene.cols + col };
  return { begun, start, acting, next };
}

// The rest of the state after an action: one entry of each of its arrays, the time one more.
function stateAfter({ state, answer }, at, count) {
  const later = new Map(state);
  for (const [name, { type, shape, data }] of Object.entries(answer)) {
    if (!name.startsWith("next.")) continue;
    const own = tensor(type, shape.slice(0, -2));
    for (let i = 0; i < own.data.length; i++) own.data[i] = data[i * count + at];
    later.set(name.replace("next.", "state."), own);
  }
  const time = state.get("state.time");
  return later.set("state.time", tensor(time.type, time.shape, time.data.map((step) => step + 1)));
}
