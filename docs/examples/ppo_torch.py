"""Train a PyTorch agent through Gymnasium's door, then score which goal it pursues.

    pip install torch
    python docs/examples/ppo_torch.py

PPO in one function, in the style of CleanRL. The network is gmbench's ``mlp``, so that the same
weights can also be loaded into it: the last lines show that both are scored alike.
"""

import argparse
import time

import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

import gmbench
import gmbench.gym
from gmbench.core import registry

GAMMA, LAMBDA, CLIP, ENTROPY, EPOCHS, BATCHES = 0.95, 0.9, 0.2, 0.01, 2, 8


class Agent(nn.Module):
    """Two hidden layers shared by policy and value, as in gmbench's ``mlp``."""

    def __init__(self, inputs, actions):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
        self.policy, self.value = nn.Linear(64, actions), nn.Linear(64, 1)

    def forward(self, seen):
        """Return logits and values of a batch of observations."""
        features = self.body(torch.as_tensor(np.array(seen)).flatten(1).float())
        return self.policy(features), self.value(features).squeeze(-1)


def train(envs, agent, seconds, num_steps=32):
    """Train with PPO for so long; return the mean reward of a step in the last rollout."""
    optimiser = torch.optim.Adam(agent.parameters(), lr=2e-3, eps=1e-5)
    seen, _ = envs.reset(seed=0)
    fresh = np.zeros(envs.num_envs, bool)  # whose step only begins the next episode
    until, reward = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        rows = []
        for _ in range(num_steps):
            with torch.no_grad():
                logits, value = agent(seen)
                chosen = torch.distributions.Categorical(logits=logits)
                action = chosen.sample()
            after, paid, ended, cut, _ = envs.step(action.numpy())
            rows.append((seen, action, chosen.log_prob(action), value, paid, ended | cut, ~fresh))
            seen, fresh = after, ended | cut
        with torch.no_grad():
            following = agent(seen)[1]
        advantage, advantages = torch.zeros(envs.num_envs), []
        for _, _, _, value, paid, done, _ in reversed(rows):
            going = torch.as_tensor(~done).float()
            delta = torch.tensor(paid) + GAMMA * going * following - value
            advantage = delta + GAMMA * LAMBDA * going * advantage
            advantages.append(advantage)
            following = value
        live = np.concatenate([row[6] for row in rows])
        seens = np.concatenate([row[0] for row in rows])[live]
        actions, old, values = (torch.cat([row[i] for row in rows])[live] for i in (1, 2, 3))
        advantages = torch.cat(advantages[::-1])[live]
        returns = advantages + values
        for _ in range(EPOCHS):
            for part in torch.randperm(len(returns)).chunk(BATCHES):
                logits, value = agent(seens[part])
                now = torch.distributions.Categorical(logits=logits)
                ratio = (now.log_prob(actions[part]) - old[part]).exp()
                gain = advantages[part]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                actor = -torch.min(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain).mean()
                loss = actor + 0.25 * (value - returns[part]).pow(2).mean()
                optimiser.zero_grad()
                (loss - ENTROPY * now.entropy().mean()).backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimiser.step()
        reward = float(np.mean([row[4].mean() for row in rows]))
    return reward


def in_our_network(agent, task):
    """Return the same weights in gmbench's ``mlp``, as ``observation -> logits``."""
    held = {name: jnp.asarray(weight.numpy()) for name, weight in agent.state_dict().items()}

    def layer(name):
        return {"kernel": held[f"{name}.weight"].T, "bias": held[f"{name}.bias"]}

    heads = {"policy": layer("policy"), "value": layer("value")}
    weights = {"Dense_0": layer("body.0"), "Dense_1": layer("body.2"), "Heads_0": heads}
    network = registry.make_network("mlp")(task.env.num_actions)
    return lambda seen: network.apply({"params": weights}, seen)[0]


def main():
    """Train for a minute, and print what the agent pursues."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--alpha", type=float, default=0.0)
    options = parser.parse_args()
    task = gmbench.make("CheeseCorner-v0", size=5)
    envs = gmbench.gym.make(task.id, num_envs=256, size=5, params={"alpha": options.alpha})
    agent = Agent(int(np.prod(task.env.observation_shape)), task.env.num_actions)
    reward = train(envs, agent, options.seconds)
    print(f"mean reward of a step: {reward:.3f}")
    scored = gmbench.score(task, lambda seen: agent(seen)[0], host=True)
    same = gmbench.score(task, in_our_network(agent, task))
    for name, found in scored.distributions.items():
        print(f"{name}: {found}")
        other = same.distributions[name]
        gap = max(abs(found.rho[goal] - other.rho[goal]) for goal in found.rho)
        print(f"    in gmbench's own network the regrets differ by {gap:.1g} at most")


if __name__ == "__main__":
    main()
