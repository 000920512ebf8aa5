// Runs what Python wrote down: the environment's own view of a level, and the agent's network.

// Make a program ready: its constants read, and for each operation what nobody needs after it.
function prepared(program) {
  const arrays = readTensors(program.arrays);
  const fixed = [];
  for (const [number, value] of program.literals) {
    const [type, shape] = program.values[number];
    const one = tensor(type, shape);
    one.data.fill(Number(value)); // "Infinity" is one, too
    fixed.push([number, one]);
  }
  for (const [number, name] of program.constants) fixed.push([number, arrays.get(name)]);
  const kept = new Set([...Object.values(program.returned), ...fixed.map(([number]) => number)]);
  const operations = program.operations.map((each) => ({ ...each, spent: [] }));
  for (let place = operations.length - 1; place >= 0; place--) {
    for (const number of operations[place].in) {
      if (!kept.has(number)) operations[place].spent.push(number);
      kept.add(number);
    }
  }
  return { ...program, fixed, operations };
}

// Run a program on named tensors; tap(name, tensor) may replace an activation.
function run(program, given, tap = (_, values) => values) {
  const arrays = new Array(program.values.length);
  for (const [name, number] of Object.entries(program.given)) arrays[number] = given.get(name);
  for (const [number, values] of program.fixed) arrays[number] = values;
  for (const each of program.operations) {
    const [type, shape] = program.values[each.out];
    const inputs = each.in.map((number) => arrays[number]);
    let result = OPERATIONS[each.op](inputs, { type, shape }, each);
    if (each.op === "name") result = tap(each.name, result);
    arrays[each.out] = result;
    for (const number of each.spent) arrays[number] = undefined;
  }
  const entries = Object.entries(program.returned).map(([name, number]) => [name, arrays[number]]);
  return Object.fromEntries(entries);
}
