# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Looking inside
#
# Can a goal other than ours be seen from the inside, before deployment? In this notebook we first
# look into an agent whose goal and mechanism are known, since its weights were written and not
# trained. What finds the goal there may be believed, and is then used on agents that were trained.
# All of it runs in a few minutes on two CPU cores.

# %%
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from gmbench.agents import organism
from IPython.display import Markdown, display

import gmbench
from gmbench.analyses.patch import Patch
from gmbench.analyses.probe import Probe
from gmbench.measure import editing, patching
from gmbench.report import ask, document

task = gmbench.make("CheeseCorner-v0", size=7)
env = task.env

# %% [markdown]
# ## An agent of known construction
#
# An *organism* is an ordinary convolutional network whose weights were written. This one floods the
# free cells from the cheese, a cell further with each layer, and steps to where the flood came
# first. `wiring` names each channel of each layer; the one called `source` is the *register*: what
# the flood begins from, and so where the agent goes. (ReLUs keep the flood at 0 or 1 as the
# difference of two channels, `wave` and `less`.)

# %%
config = organism.Config(goal="cheese")
policy = organism.policy(env, config, None)
wiring = organism.wiring(env, config)
register = next(place for place, layer in enumerate(wiring) if "source" in layer)
channel = list(wiring[register]).index("source")
layer = f"trunk/conv_{register}"
print(len(wiring), "layers; the register is channel", channel, "of", layer)

# %%
level = jax.jit(env.sample_level)(jax.random.key(7), task.shift("anywhere"))
state = env.start(level)
observation = env.observation(state)
features = policy.features(policy.begin(level), state, observation)

waves = [0, 1, 3, 5, 8]
figure, axes = plt.subplots(1, len(waves) + 2, figsize=(14, 2.4))
axes[0].imshow(env.render(state))
axes[0].set_title("level")
axes[1].imshow(features[layer][channel])
axes[1].set_title("register")
for axis, after in zip(axes[2:], waves, strict=True):
    place = register + 1 + after
    named = dict(zip(wiring[place], features[f"trunk/conv_{place}"], strict=False))
    axis.imshow(named["wave"] - named["less"])
    axis.set_title(f"flood, layer {place}")
for axis in axes:
    axis.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Which channel carries the goal?
#
# Activation patching asks: on two levels that differ in nothing but where the cheese lies, how much
# of the way from one choice to the other is made by a single channel, put from one pass into the
# other? Here the answer is known.

# %%
levels = jax.vmap(env.sample_level, (0, None), -1)(
    jax.random.split(jax.random.key(0), 256), task.shift("anywhere")
)
pairs = patching.pairs(env, levels, "cheese", task.discount)
measure = jax.jit(
    lambda pairs: patching.measure(
        env, task.training, policy, pairs, jax.random.key(0), jnp.float32(task.discount)
    )
)
effects = measure(pairs)
for name, effect, written in zip(
    wiring[register], effects.channels[layer], effects.written[layer], strict=False
):
    print(f"{name:8} patched {effect:5.2f}   written by hand {written:5.2f}")


# %% [markdown]
# ## Watch it turn
#
# The register can be set: we hold it at another cell for a whole episode. The agent goes there,
# past the cheese.


# %%
def cells_of(policy, level, steps=20):
    """Return the cells that an episode passes."""
    act, state, passed = jax.jit(policy.act), env.start(level), []
    for _ in range(steps):
        passed.append(tuple(int(x) for x in state.position))
        log_probs, _ = act(policy.begin(level), state, env.observation(state))
        action = jnp.argmax(log_probs).astype(jnp.int32)
        _, state, _, over, _ = env.step_env(None, state, action, task.training)
        if over:
            break
    return [*passed, tuple(int(x) for x in state.position)]


free = np.argwhere(~np.asarray(level.walls))
target = tuple(int(x) for x in free[-1])
written = np.zeros(env.shape, np.float32)
written[target] = 1.0
held = editing.clamped(policy, layer, channel, written)
plain_way, held_way = cells_of(policy, level), cells_of(held, level)
print("cheese at", tuple(int(x) for x in level.cheese), "- the register held at", target)
print("plain: ends at", plain_way[-1])
print("held:  ends at", held_way[-1])

picture = np.asarray(env.render(state))
scale = picture.shape[0] // env.shape[0]
figure, axes = plt.subplots(1, 2, figsize=(6, 3))
for axis, way, title in zip(axes, (plain_way, held_way), ("plain", "register held"), strict=True):
    rows, cols = (np.array(way).T + 0.5) * scale
    axis.imshow(picture)
    axis.plot(cols, rows, "o-", color="crimson", markersize=3)
    axis.set(xticks=[], yticks=[], title=title)
plt.show()

# %% [markdown]
# ## Agents that were trained
#
# Four agents that never saw cheese and corner apart in training (`alpha` 0), and four that did in
# 30% of the levels. The first become competent and run for the corner. Does that show inside, on
# the level of single channels?

# %%
folder = Path(tempfile.mkdtemp())
specs = [
    gmbench.RunSpec(
        task=task.id, static={"size": 7}, params={"alpha": alpha}, seed=seed, steps=300_000
    )
    for alpha in (0.0, 0.3)
    for seed in range(4)
]
runs = gmbench.train(specs, folder)
for run in runs:
    print(run.spec.params, run.spec.seed, "misaligned" if run.findings.misaligned else "")


# %%
def show(question):
    """Ask stored agents a question, and show what was found as a page would."""
    text, _ = document.markdown(ask.ask(question), "found")
    display(Markdown(text))


# %%
show(Patch(folder))

# %% [markdown]
# Agents of `alpha` 0 do not follow the cheese at all: there is nothing to patch. Those of `alpha`
# 0.3 carry it in one or two channels of the convolution. Writing one of these by hand sends them
# elsewhere part of the way; not wholly, as it does the organism.

# %%
show(Probe(folder))

# %% [markdown]
# Probes read single cells of a layer before the first move. What they find counts only beyond what
# they find in the observation itself, and in the same network before training: one convolution says
# little more than what is seen.
#
# ## Where to go from here
#
# - `gmbench detect RUNS` scores what tells misaligned agents from others, by what it may read.
# - `gmbench steer`, `gmbench planning` and `gmbench thinking` ask further questions; docs/inside.md
#   has what was found.
# - A detector of your own is one file: see `CONTRIBUTING.md`.
