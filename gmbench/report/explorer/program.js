// Runs what Python wrote down: a task's world as the environment has it, and the agent's network.

// Make a program ready: its constants read, those of its loops too, and for each operation what
// nobody needs after it.
function prepared(program, arrays = readTensors(program.arrays)) {
  const fixed = [];
  for (const [number, value] of program.literals) {
    const [type, shape] = program.values[number];
    const one = tensor(type, shape);
    one.data.fill(Number(value)); // "Infinity" is one, too
    fixed.push([number, one]);
  }
  for (const [number, name] of program.constants) fixed.push([number, arrays.get(name)]);
  const kept = new Set([...Object.values(program.returned), ...fixed.map(([number]) => number)]);
  const operations = program.operations.map((each) => {
    const loops = Object.keys(each).filter((name) => name.endsWith("jaxpr"));
    const ready = loops.map((name) => [name, prepared(each[name], arrays)]);
    return { ...each, ...Object.fromEntries(ready), spent: [] };
  });
  for (let place = operations.length - 1; place >= 0; place--) {
    for (const number of operations[place].in) {
      if (!kept.has(number)) operations[place].spent.push(number);
      kept.add(number);
    }
  }
  return { ...program, fixed, operations };
}

// Do a program's operations, given numbered arrays.
function executed(program, given, tap = (_, values) => values) {
  const arrays = new Array(program.values.length);
  for (const [number, values] of [...given, ...program.fixed]) arrays[number] = values;
  const like = (number) => ({ type: program.values[number][0], shape: program.values[number][1] });
  for (const each of program.operations) {
    const inputs = each.in.map((number) => arrays[number]);
    if (each.outs) {
      const results = OPERATIONS[each.op](inputs, each.outs.map(like), each);
      each.outs.forEach((number, place) => { arrays[number] = results[place]; });
    } else {
      const result = OPERATIONS[each.op](inputs, like(each.out), each);
      arrays[each.out] = each.op === "name" ? tap(each.name, result) : result;
    }
    for (const number of each.spent) arrays[number] = undefined;
  }
  return arrays;
}

// What a loop repeats: a program whose arrays have an order, not names.
function called(program, inputs) {
  const arrays = executed(program, program.given.map((number, place) => [number, inputs[place]]));
  return program.returned.map((number) => arrays[number]);
}

// Run a program on named tensors; tap(name, tensor) may replace an activation.
function run(program, given, tap = undefined) {
  const inputs = Object.entries(program.given).map(([name, number]) => [number, given.get(name)]);
  const arrays = executed(program, inputs, tap);
  const entries = Object.entries(program.returned).map(([name, number]) => [name, arrays[number]]);
  return Object.fromEntries(entries);
}
