# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own mitigation
#
# A mitigation changes training so that an agent may come to pursue the intended goal. In this
# notebook we write one in a few lines, and compare it fairly with doing nothing and with one that
# costs labelled levels. All of it runs in about two minutes on two CPU cores.
#
# Our idea: make haste costly. An agent that pays for every step might look for the cheese itself
# rather than walk to where it always was. Will it?

# %%
# %env JAX_NUM_CPU_DEVICES=2

import dataclasses
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import gmbench
from gmbench.core import registry
from gmbench.core.mitigation import Mitigation, Recipe
from gmbench.report import document, scores

# %% [markdown]
# ## Write it
#
# A `Mitigation` is a tuple of hooks: where levels come from, what is rewarded, what is seen, what is
# added to the loss. Ours changes the reward. Settings of type `float` are traced, so runs that
# differ in them share one compiled program. (A name can be registered once: to run this cell again,
# restart the kernel.)


# %%
@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    cost: float = 0.01
    """Of each step."""


def haste(env, config):
    """Return the mitigation: every step costs."""
    del env

    def reward(state, action, after, paid):
        del state, action, after
        return paid - config.cost

    return Mitigation(reward=reward)


registry.mitigation("haste")(Recipe(config=Config, make=haste))

# %% [markdown]
# ## Train under it, and beside it
#
# A comparison needs the same task, seeds and number of steps for all. `mixture` is domain
# randomization: 10% of its training levels have the cheese elsewhere, which somebody had to make.

# %%
MITIGATIONS = ("", "haste:cost=0.02", "mixture:alpha=0.1")
specs = [
    gmbench.RunSpec(
        task="CheeseCorner-v0",
        static={"size": 5},
        mitigation=mitigation,
        seed=seed,
        steps=300_000,
    )
    for mitigation in MITIGATIONS
    for seed in range(2)
]
runs = gmbench.train(specs, Path(tempfile.mkdtemp()))

# %%
which_goal, by_how_much, chosen = scores.tables(scores.summarise(runs))
document.Document("What was found", (which_goal, by_how_much))

# %% [markdown]
# The same as a picture: the regret that a proxy explains (GMI), and the regret that no goal explains
# (CFI), after the shift. Dots are seeds.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True)
for axis, index in zip(axes, ("gmi", "cfi"), strict=True):
    for place, mitigation in enumerate(MITIGATIONS):
        own = [run for run in runs if (run.spec.mitigation or "") == mitigation]
        values = [getattr(run.findings.deployed, index) for run in own]
        axis.plot(values, [place] * len(values), "o", color="#2b6cb0", alpha=0.6)
    axis.set(title=index.upper(), xlim=(-0.05, 1.05), ylim=(-0.5, 2.5))
    axis.set_yticks(range(len(MITIGATIONS)), [name or "none" for name in MITIGATIONS])
axes[0].invert_yaxis()
plt.show()

# %% [markdown]
# Haste changes nothing: a cost of steps says "be quick", and the corner is as quick to reach as ever. Those
# agents are competent and pursue the proxy, as without a mitigation (GMI near .85, CFI near .05). With 10% of
# distinguishing levels nobody pursues the proxy. What helped was evidence of the goal, not pressure.
#
# Two seeds show this much only because the difference is so large; look at the intervals before you claim
# a small one.
#
# ## Where to go from here
#
# - `gmbench train CheeseCorner-v0 --mitigation haste:cost=0.02` works once the two definitions are in
#   a file that `--import` names, or are installed: [how](../CONTRIBUTING.md#add-a-mitigation).
# - `gmbench compare FOLDER` compares mitigations over several `alpha`, with what each costs in return,
#   steps and time. [What was found](../docs/curricula.md) of curricula so far.
# - [The mitigations there are](../docs/mitigations.md), and what each needs to know.
