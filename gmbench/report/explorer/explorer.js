// The state of the page, and what follows from it anew whenever it changes.

const TOLD = JSON.parse(document.getElementById("data").textContent);
const PROGRAMS = new Map(), WORLDS = new Map(), WEIGHTS = new Map();
const once = (known, key, make) => known.get(key) ?? known.set(key, make()).get(key);
const element = (id) => document.getElementById(id);

const explorer = {
  agent: 0, moment: 0, distribution: "", number: 0, cursor: 0, focused: false,
  level: null, original: null, history: [], carried: null, walker: null, brush: WALL,
  force: { layer: "", channel: 0, value: 0 }, pinned: false, pin: 0,
  show: { policy: true, value: true, way: true, numbers: false },
  world: null, way: null, shares: null, fault: null, listeners: [],

  get own() { return TOLD.agents[this.agent]; },
  get scene() { return TOLD.scenes[this.own.scene]; },
  get program() {
    return once(PROGRAMS, this.own.program, () => prepared(TOLD.programs[this.own.program]));
  },
  get verdict() { return verdictOf(this.scene, this.way, this.shares); },
  get start() { return this.world.start.cell; },

  // The step of the path at which the agent is, whose state all that is shown belongs to.
  get step() { return Math.min(Math.floor(this.walker ?? 0), this.way.cells.length - 1); },
  get rest() { return this.way.rests[this.step]; },
  get answer() {
    try {
      return this.world.acting(this.rest);
    } catch (error) {
      if (!(error instanceof TooMany)) throw error;
      return this.world.start.rest.answer;
    }
  },
  get seen() { return levelSeen(this.scene, this.world, this.answer, this.way.cells[this.step]); },

  weights(moment) {
    const { weights } = this.own.moments[moment];
    return once(WEIGHTS, weights, () =>
      [...readTensors(weights)].map(([name, values]) => [`weights${name}`, values]));
  },

  // The states of a level for the agent at a moment of its training.
  ask(level, moment = this.moment, tap = undefined) {
    const weights = this.weights(moment);
    const programs = once(WORLDS, this.own.scene, () => {
      const { begin, around } = this.scene.programs;
      return { begin: prepared(begin), around: prepared(around) };
    });
    const acts = (seen, own) => run(this.program, new Map([["seen", seen], ...own, ...weights]), tap);
    return worldOf(this.scene, programs, level, acts);
  },

  // An activation, as it is or as it is forced to be: [channels, ..., cells the agent may be on].
  tapped(name, values) {
    if (name !== this.force.layer) return values;
    const count = values.data.length / values.shape[0], begin = this.force.channel * count;
    const own = values.data.subarray(begin, begin + count);
    this.spread = own.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [0, 0]);
    if (this.force.value === null) return values;
    const next = tensor(values.type, values.shape, values.data.slice());
    const states = values.shape[values.shape.length - 1];
    if (!this.pinned) next.data.fill(this.force.value, begin, begin + count);
    else {
      next.data.fill(0, begin, begin + count);
      next.data.fill(this.force.value, begin + this.pin * states, begin + (this.pin + 1) * states);
    }
    return next;
  },

  // Whether the layer that is forced has a number for each cell of the grid.
  get hasCells() {
    const shape = this.program.taps[this.force.layer];
    return shape?.length === 4 && shape[1] === this.scene.rows && shape[2] === this.scene.cols;
  },

  update() {
    this.world = this.ask(this.level, this.moment, (name, values) => this.tapped(name, values));
    this.way = greedyWay(this.world, this.scene.goals, this.scene.horizon);
    this.shares = firstGoals(this.world, this.scene.horizon);
    this.fault = null;
    this.render();
  },

  render() { for (const listener of this.listeners) listener(); },

  // Take another level as it is, to be gone back to.
  take(level) {
    Object.assign(this, { level, original: level, history: [], carried: null, walker: null });
    this.cursor = level.agent.indexOf(1);
    this.update();
  },

  open(distribution, number) {
    const known = this.scene.levels[distribution];
    this.distribution = distribution;
    this.number = (number + known.length) % known.length;
    this.take(this.level_of(known[this.number]));
  },

  level_of(text) { return parseLevel(this.scene, text); },

  // Change the level; what it was can be gone back to unless it is one step of a longer change.
  edit(level, further = false) {
    if (!level) return false;
    if (!further) this.history.push(this.level);
    this.walker = null;
    this.level = level;
    this.update();
    return true;
  },

  undo() {
    if (!this.history.length) return;
    Object.assign(this, { level: this.history.pop(), carried: null, walker: null });
    this.update();
  },

  choose(agent) {
    const before = this.own;
    this.agent = agent;
    this.moment = this.own.moments.length - 1;
    const layer = Object.keys(this.program.taps)[0] ?? "";
    this.force = { layer, channel: 0, value: null };
    this.pinned = false;
    if (this.level === null || before.scene !== this.own.scene) {
      const names = Object.keys(this.scene.levels);
      this.pin = 0;
      this.brush = buildable(this.scene)[0] ?? null;
      this.open(names[1] ?? names[0], 0);
    } else this.update();
  },
};
