"""``RunSpec``: everything that determines a training run."""

import dataclasses
import hashlib
from typing import Any

import msgspec

from gmbench import wrappers
from gmbench.core import checks, registry
from gmbench.core.agent import Agent
from gmbench.core.params import EnvParams
from gmbench.core.task import Task

KEYS = ("threefry2x32", "rbg", "unsafe_rbg")
"""JAX's generators of random numbers."""


class RunSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training run. Equal specs name the same run directory.

    Attributes:
        task: a registered task id.
        static: the task's static settings, such as ``size``.
        params: training parameters that differ from the task's own, such as ``alpha``.
        agent: a registered agent.
        config: the agent's settings that differ from its defaults.
        seed: of the run's random key.
        steps: environment steps, all counted; rounded up to whole updates.
        view: what the agent sees and does, as :func:`gmbench.wrappers.wrap` names it.
        keys: how random numbers are made, one of :data:`KEYS`. Those of ``threefry2x32`` depend on
            the key alone; the others are faster on accelerators, but depend on device, version of
            XLA, and on how many runs are trained side by side.
        first: training parameters of the first half of the updates where they differ from
            ``params``; unset for a training of one piece.
    """

    task: str
    static: dict[str, int | str] = {}
    params: dict[str, int | float] = {}
    agent: str = "ppo"
    config: dict[str, int | float | str] = {}
    seed: int = 0
    steps: int = 1_000_000
    view: str = wrappers.PLANES
    keys: str = KEYS[0]
    # Unset, it is not encoded at all: ids of runs of one piece are what they were without it.
    first: dict[str, int | float] | msgspec.UnsetType = msgspec.UNSET

    @property
    def id(self) -> str:
        """First 12 hexadecimal digits of the sha256 of the spec and the agent's defaults.

        The defaults count, or a run made with other ones would pass for this one.
        """
        defaults = dataclasses.asdict(registry.make_agent(self.agent).config())
        determined = msgspec.json.encode((self, defaults), order="deterministic")
        return hashlib.sha256(determined).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Readable directory name: task, what differs, seed and id."""
        settings = {**self.static, **self.params}
        parts = [f"{key}{value}" for key, value in sorted(settings.items())]
        parts += [f"first-{key}{value}" for key, value in sorted((self.first or {}).items())]
        parts += [] if self.view == wrappers.PLANES else [self.view]
        return "-".join([self.task, *parts, self.agent, f"seed{self.seed}", self.id])


@dataclasses.dataclass(frozen=True)
class Plan:
    """A checked spec with what it names.

    Attributes:
        spec: the spec.
        task: the task at its static settings.
        params: parameters of the training distribution.
        agent: the agent.
        config: the agent's full settings.
    """

    spec: RunSpec
    task: Task
    params: EnvParams
    agent: Agent
    config: Any

    @property
    def first(self) -> EnvParams:
        """Parameters of the training distribution in the first half of the updates."""
        return self.params.override(**(self.spec.first or {}))

    @property
    def half(self) -> int:
        """Chunks in the first half of the updates."""
        return self.updates // self.chunk // 2

    @property
    def rates(self) -> dict[str, float]:
        """The agent's float settings, which may differ within one program."""
        fields = dataclasses.fields(self.config)
        values = {field.name: getattr(self.config, field.name) for field in fields}
        return {name: value for name, value in values.items() if isinstance(value, float)}

    @property
    def chunk(self) -> int:
        """Updates between looks at the outside world (checkpoint, progress): a twentieth."""
        return max(1, round(self._least_updates / 20))

    @property
    def updates(self) -> int:
        """Whole chunks of updates that do at least ``steps`` environment steps."""
        return -(-self._least_updates // self.chunk) * self.chunk

    @property
    def _least_updates(self) -> int:
        return -(-self.spec.steps // int(self.config.steps_per_update))

    @property
    def program(self) -> str:
        """What must be equal for runs to share one compiled program."""
        static = {
            field.name: value
            for field in dataclasses.fields(self.config)
            if not isinstance(value := getattr(self.config, field.name), float)
        }
        spec = self.spec
        updates = self.updates if self.agent.learns else 0
        key = [spec.task, spec.static, spec.view, spec.agent, spec.keys, static, updates]
        return msgspec.json.encode(key, order="deterministic").decode()


def check(spec: RunSpec) -> Plan:
    """Look up and check everything a spec names, before anything compiles.

    Raises:
        ValueError: naming the field, the value and what is allowed.
    """
    task = wrappers.wrap(registry.make(spec.task, **spec.static), spec.view)
    params = task.training.override(**spec.params)
    agent = registry.make_agent(spec.agent)
    checks.integer("seed", spec.seed, 0, 2**31 - 2)
    checks.integer("steps", spec.steps, 1)
    checks.known("keys", spec.keys, KEYS)
    fields = {field.name: field for field in dataclasses.fields(agent.config)}
    settings: dict[str, Any] = {}
    renamed = getattr(agent.config, "renamed", {})
    for name, value in spec.config.items():
        if name in renamed:
            raise checks.Refused(f"{spec.agent} setting: {name!r} is now called {renamed[name]!r}")
        checks.known(f"{spec.agent} setting", name, fields)
        default = fields[name].default
        if isinstance(default, float):
            settings[name] = checks.number(name, value, 0)
        elif isinstance(default, int):
            settings[name] = checks.integer(name, value, 1)
        else:
            settings[name] = str(value)
    params.override(**(spec.first or {}))  # refused here, before anything compiles
    plan = Plan(spec, task, params, agent, agent.config(**settings))
    if spec.first and agent.learns and plan.half < 1:
        raise checks.Refused(f"steps: {spec.steps} are one update, which has no first half")
    return plan
