# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Sweep and plot
#
# How many distinguishing levels does it take? In this notebook we train a grid of runs from one file,
# ask the results a question in SQL, and draw a figure of our own with honest intervals. All of it
# runs in about three minutes on two CPU cores.

# %%
# %env JAX_NUM_CPU_DEVICES=2

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pyarrow.parquet

import gmbench
from gmbench.stats.estimate import estimate
from gmbench.sweeps import driver, engines, parquet, sweep

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## The file
#
# A sweep is a file. Runs that differ only in numbers, such as `alpha` and the seed, are trained side by
# side in one compiled program. `gmbench sweep alphas.toml` on the command line does the same as the
# cell below it, with a table of its progress; killed at any moment, it goes on where it was.

# %%
(folder / "alphas.toml").write_text("""
tasks = ["CheeseCorner-v0"]
seeds = 3
steps = 300_000
static.size = 5

[grid]
params.alpha = [0.0, 0.003, 0.01, 0.03, 0.1, 0.3]
""")
alphas = sweep.read(folder / "alphas.toml")
len(alphas.specs())

# %%
errors = driver.run(alphas, folder / "alphas", lambda: engines.connect("local", {}, None))
assert not errors

# %% [markdown]
# ## The results as a table
#
# `results.parquet`, which the command writes at its end, has a row for each run and distribution. Any reader
# of Parquet will do; with the
# extra `gmbench[query]`, SQL on the command line:
# `gmbench query alphas "select params_alpha, avg(choice_corner) from runs where headline group by all"`.

# %%
columns = ["params_alpha", "seed", "distribution", "headline", "choice_corner", "gmi", "cfi"]
results = parquet.write(gmbench.load_all(folder / "alphas"), folder / "alphas")
table = pyarrow.parquet.read_table(results, columns=columns)
rows = [row for row in table.to_pylist() if row["headline"]]
for row in rows[:4]:
    print(row)

# %% [markdown]
# ## A figure of our own
#
# The unit of evidence is a run. So: a dot for every run, and a mean with its 95% interval over
# *seeds*, never over levels. An `Estimate` without an interval says why it has none.

# %%
figure, axes = plt.subplots(figsize=(7, 3.4))
values = sorted({row["params_alpha"] for row in rows})
for place, alpha in enumerate(values):
    own = [row["choice_corner"] for row in rows if row["params_alpha"] == alpha]
    axes.plot([place] * len(own), own, "o", color="#94a3b8", markersize=4)
    mean = estimate(own)
    print(f"alpha {alpha:<6g} choice {mean.text} {mean.ends}")
    if mean.interval is not None:
        low, high = mean.interval
        axes.plot([place, place], [low, high], color="#2b6cb0")
    axes.plot(place, mean.value, "D", color="#2b6cb0")
axes.axhline(0, color="#cbd5e1", linewidth=1, zorder=0)
axes.set_xticks(range(len(values)), [f"{alpha:g}" for alpha in values])
axes.set(
    xlabel="alpha: share of distinguishing levels", ylabel="choice balance", ylim=(-1.05, 1.05)
)
plt.show()

# %% [markdown]
# Without distinguishing levels the agents choose the corner, with 30% of them the cheese; somewhere between, a
# few levels in a hundred or fewer turn them. Where seeds differ, three of them leave wide intervals: that is
# what the figure has to show.
#
# ## Where to go from here
#
# - [Sweeps](../docs/scaling.md): many devices, Ray, Slurm, what is written and what can go wrong.
# - `gmbench phase`, `gmbench compare` and `gmbench report` draw the folder of a sweep.
# - [Statistics](../docs/statistics.md): which interval, and how often it covers.
