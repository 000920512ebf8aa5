"""Settings of agents that learn from rollouts."""

import dataclasses
from typing import ClassVar

from gmbench.core import checks, registry

from .player import PRECISIONS


@dataclasses.dataclass(frozen=True)
class Settings:
    """What they share. Floats can differ between runs of one program; the rest cannot."""

    network: str = "conv_mlp"
    """Name of a network (`gmbench list` names them)."""
    num_envs: int = 256
    """Environments stepped side by side."""
    num_steps: int = 16
    """Steps of each environment between updates."""
    slots: int = 4
    """Fresh levels in the pool before each rollout, as a multiple of ``num_envs``."""
    update_epochs: int = 2
    """Passes over each rollout."""
    num_minibatches: int = 8
    """Gradient steps in a pass; each sees its own environments."""
    lr: float = 4e-3
    """Adam's step size at the start; it falls linearly to zero at the last update."""
    gamma: float = 0.95
    """Gamma."""
    gae_lambda: float = 0.9
    """Lambda of generalised advantage estimation."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Gradients are scaled down to at most this norm."""
    precision: str = "float32"
    """What the network computes in; weights, optimiser and losses are float32 either way."""
    devices: int = 1
    """Devices that one run is spread over: each steps its share, gradients are averaged."""

    remembers: ClassVar[bool] = False
    """Whether its networks are recurrent."""

    def __post_init__(self) -> None:
        """Refuse an unknown network or precision, or environments that cannot be shared evenly."""
        checks.known("network", self.network, registry.network_names(self.remembers))
        checks.known("precision", self.precision, PRECISIONS)
        for name, parts in (("devices", self.devices), ("num_minibatches", self.num_minibatches)):
            if self.num_envs % parts:
                raise checks.Refused(f"{name}: {parts} does not divide num_envs {self.num_envs}")
        if self.share % self.num_minibatches:
            raise checks.Refused(
                f"num_minibatches: {self.num_minibatches} does not divide the {self.share} envs of "
                f"each of {self.devices} devices"
            )

    @property
    def share(self) -> int:
        """Environments on one device."""
        return self.num_envs // self.devices
