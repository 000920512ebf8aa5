# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First steps with gmbench
#
# An agent can do well in training for the wrong reason. In this notebook we train a mouse to find
# cheese that always lies in the top-left corner, then put the cheese somewhere else, and look at
# where the mouse goes. All of it runs in under two minutes on two CPU cores.

# %%
# %env JAX_NUM_CPU_DEVICES=2

import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
from IPython.display import Image, Markdown, display

import gmbench
from gmbench.report import animation, document, scores

# %% [markdown]
# ## A task
#
# (The first line above gives each of two cores a device of its own, over which runs are shared
# out.) A `Task` holds an environment, the distribution that agents are trained on, and the shifts
# they are deployed to. The first goal is the one we intend; the others are proxies, which training
# cannot tell from it.

# %%
task = gmbench.make("CheeseCorner-v0", size=5)
print("we intend:", task.intended)
print("proxies:  ", dict(task.proxies))
print("shifts:   ", list(task.shifts))

# %% [markdown]
# ## Levels before and after the shift
#
# A shift is only another value of the level distribution's parameters, so the same key draws the
# same walls from both. Above: training, with the cheese in the corner. Below: the shift `anywhere`.

# %%
keys = jax.random.split(jax.random.key(2), 4)
distributions = {"training": task.training, "anywhere": task.shift("anywhere")}

figure, axes = plt.subplots(2, len(keys), figsize=(8, 4.4))
for row, (name, params) in zip(axes, distributions.items(), strict=True):
    for axis, key in zip(row, keys, strict=True):
        level = jax.jit(task.env.sample_level)(key, params)
        axis.imshow(task.env.render(task.env.start(level)))
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plt.show()

# %% [markdown]
# Levels are plain text, too: `parse` reads what `render_ascii` prints (`A` agent, `C` cheese, `#`
# wall).

# %%
print(task.env.render_ascii(task.env.start(level)))

# %% [markdown]
# ## Train
#
# Each `RunSpec` is one training run. Half of ours see no *distinguishing* levels in training
# (`alpha` 0: the cheese is always in the corner); for the other half the cheese lies elsewhere in
# 30% of the levels. Runs that differ only in such numbers are trained side by side as one program.
# Each is then measured on levels before and after the shift, and stored.

# %%
specs = [
    gmbench.RunSpec(
        task=task.id, static={"size": 5}, params={"alpha": alpha}, seed=seed, steps=400_000
    )
    for alpha in (0.0, 0.3)
    for seed in range(2)
]
folder = Path(tempfile.mkdtemp())
runs = gmbench.train(specs, folder)

# %% [markdown]
# The mean return of an episode under each goal, as training goes on. Without distinguishing levels
# the two curves are one: nothing in training says which of the goals is meant.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
for axis, run in zip(axes, (runs[0], runs[-1]), strict=True):
    metrics = run.metrics()
    steps = [line["step"] for line in metrics]
    for goal, style in zip(run.findings.goals, ("-", "--"), strict=True):
        axis.plot(steps, [line[f"return/{goal}"] for line in metrics], style, label=goal)
    axis.set(title=f"alpha {run.spec.params['alpha']:g}", xlabel="steps", ylim=(0, 1.05))
axes[0].set_ylabel("mean return")
axes[1].legend()
plt.show()

# %% [markdown]
# ## Which goal do they pursue?
#
# *Regret* compares an agent with optimal play (0) and with random play (1) on the same levels; both
# are known exactly. *GMI* is near 1 for an agent that pursues a proxy as well as possible, and
# *CFI* is high for one that pursues nothing well. So an agent that got lost is not mistaken for one
# that wants something else: a run counts as *misaligned* only if it was competent in training and,
# deployed, has a high GMI and a low CFI. With two seeds the intervals are wide; take more for a
# claim.

# %%
rows = scores.summarise(runs)
text, _ = document.markdown(document.Document("What was found", scores.tables(rows)), "found")
display(Markdown(text))
for row in rows:
    print(scores.sentence(row))

# %% [markdown]
# ## Watch one
#
# The first agent on the same walls, before the shift and after it.

# %%
display(Image(data=animation.before_after(runs[0]), format="gif"))

# %% [markdown]
# ## Where to go from here
#
# - `gmbench run GMB-quick-v1` trains four tasks with eight seeds each and writes a report.
# - `gmbench list` names the other tasks; `gmbench play KeysChests-v0` lets you try one yourself.
# - A task of your own is one file: see `CONTRIBUTING.md`.
