"""Compare how fast gmbench and its peers step environments and train, in one run on one machine.

    python -m benchmarks.peers [--json OUT.json] [--only NAME ...] [--checkout NAME=PATH ...]

run in the root of the repository. Each peer is installed by name into an environment of its own,
made with the Python that runs this package (a newer Python may get newer releases of the peers), so
that none can break another; gmbench runs under ``--python``. Each measurement is one fresh process
on the CPU, pinned to the same core: it compiles one program, runs it once, then times it. Sides
take turns, so that a slow minute of the machine slows them all. A row that cannot be measured says
why, and the others go on.

- Environments: a scan over ``--steps`` steps of 1,024 environments. Actions are drawn uniformly
  inside the loop, every side resets in its own way, and observation, reward and end of episode are
  carried from step to step, so that the compiler has to write them at each one.
- Training: a scan over whole updates of PPO, as many as ``--steps`` steps of each environment make.
"""
