"""``RunSpec``: everything that determines a training run."""

import dataclasses
import functools
import hashlib
import itertools
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gmbench import wrappers
from gmbench.core import checks, keys, registry
from gmbench.core.agent import Agent, Needs
from gmbench.core.params import EnvParams
from gmbench.core.task import Task
from gmbench.runs.mitigate import Mitigating, typed
from gmbench.runs.mitigate import read as read_mitigation

KEYS = (keys.THREEFRY, "rbg", "unsafe_rbg")
"""JAX's generators of random numbers."""
MOST_WORDS = 180
"""Characters of a run's name before its seed and id: file names have 255 at most."""


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a training.

    Attributes:
        share: of the run's steps; the shares of all stages add up to 1.
        params: training parameters that differ from the run's own.
        mitigation: as in a RunSpec; unset, it is the run's own.
    """

    share: float
    params: dict[str, int | float] = {}
    mitigation: str | None = None

    def __post_init__(self) -> None:
        """Make equal stages the same: numbers are Python's own.

        Raises:
            Refused: naming what is of the wrong type.
        """
        own = {
            "share": checks.number("stages.share", self.share, 0, 1),
            "params": checks.scalars("stages.params", self.params),
        }
        if self.mitigation is not None:
            own["mitigation"] = checks.text("stages.mitigation", self.mitigation)
        for field, value in own.items():
            msgspec.structs.force_setattr(self, field, value)

    @property
    def words(self) -> str:
        """The stage as the command line takes it: ``0.5:phase=0``."""
        settings = [f"{name}={value}" for name, value in self.params.items()]
        settings += [] if self.mitigation is None else [f"mitigation={self.mitigation}"]
        share = checks.scalar("share", self.share)
        return f"{share}{':' if settings else ''}{','.join(settings)}"


def read_stage(text: str) -> Stage:
    """Read a stage as :attr:`Stage.words` writes it.

    Raises:
        Refused: naming what is not of the form.
    """
    share, _, settings = text.partition(":")
    settings, named, mitigation = settings.partition("mitigation=")
    params = {}
    for pair in filter(None, settings.rstrip(",").split(",")):
        name, equals, value = pair.partition("=")
        params[name] = _number("stages", value if equals else pair)
    return Stage(_number("stages", share), params, mitigation if named else None)


def _number(field: str, text: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise checks.Refused(f"{field}: {text!r} is not a number (a stage is SHARE:NAME=VALUE,...)")


class _Named(type(msgspec.Struct)):  # type: ignore[misc]
    """Class of classes that say which fields they have when called with another."""

    def __call__(cls, *values: Any, **fields: Any) -> Any:
        own = cls.__struct_fields__
        for name in fields:
            if name not in own:
                raise checks.Refused(
                    f"{cls.__name__}: no field {name!r} (allowed: "
                    f"{', '.join(own)}; a task's own settings go in static={{{name!r}: ...}}, "
                    "parameters of training in params, an agent's settings in config)"
                )
        return super().__call__(*values, **fields)


class RunSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, metaclass=_Named):
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
        mitigation: what changes training, as :mod:`gmbench.runs.mitigate` reads it; unset for none.
        stages: parts of the training, one after another; unset for a training of one piece.
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
    # Unset, they are not encoded at all: ids of runs without them are what they were.
    mitigation: str | msgspec.UnsetType = msgspec.UNSET
    stages: list[Stage] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Make equal specs the same, so that equal runs have equal names.

        Numbers are Python's own, whole ones are ``int``; what says nothing is unset.

        Raises:
            Refused: naming what is of the wrong type, or no seed or number of steps.
        """
        own: dict[str, Any] = {
            field: checks.text(field, getattr(self, field))
            for field in ("task", "agent", "view", "keys")
        }
        for field in ("static", "params", "config"):
            # What is not finite is refused by its range, which only the task or agent knows.
            own[field] = checks.scalars(field, getattr(self, field), field == "static")
        own["seed"] = keys.seed(self.seed)
        own["steps"] = checks.integer("steps", self.steps, 1)
        own["mitigation"] = self.mitigation or msgspec.UNSET
        if own["mitigation"] is not msgspec.UNSET:
            checks.text("mitigation", self.mitigation)
        own["stages"] = _stages(self.stages) or msgspec.UNSET
        for field, value in own.items():
            msgspec.structs.force_setattr(self, field, value)

    @functools.cached_property
    def resolved(self) -> "RunSpec":
        """The spec with every setting that it leaves to a default, which may change one day.

        Raises:
            Refused: as :func:`check`.
        """
        plan = check(self)
        stages = (
            [
                msgspec.structs.replace(each, mitigation=planned.mitigate.words)
                for each, planned in zip(self.stages, plan.stages, strict=True)
            ]
            if self.stages
            else []
        )
        return msgspec.structs.replace(
            self,
            static=registry.settings(self.task, **self.static),
            params=plan.params.values,
            config=dataclasses.asdict(plan.config),
            mitigation=read_mitigation(self.mitigation or "", plan.task.env, "").words,
            stages=stages,
        )

    @property
    def id(self) -> str:
        """First 12 hexadecimal digits of the sha256 of the resolved spec.

        Defaults count, or a run made with other ones would pass for this one.
        """
        return self.resolved.id_as_stored

    @functools.cached_property
    def id_as_stored(self) -> str:
        """The id of a spec that is resolved already, whatever the defaults are now."""
        determined = msgspec.json.encode(self, order="deterministic")
        return hashlib.sha256(determined).hexdigest()[:12]

    @functools.cached_property
    def name(self) -> str:
        """Readable directory name: task, what is not its default, seed and id."""
        params = check(self).task.training.values
        usual = registry.settings(self.task) | params | {"size": None, "alpha": None}
        settings = {**self.resolved.static, **self.resolved.params}
        shown = sorted(name for name, value in settings.items() if value != usual.get(name))
        parts = [f"{name}{settings[name]}" for name in shown]
        parts += [] if self.view == wrappers.PLANES else [self.view]
        parts += [self.mitigation[:60]] if self.mitigation else []
        parts += [f"{len(self.stages)}stages"] if self.stages else []
        words = (re.sub(r"[^A-Za-z0-9.+=_-]", "", part) for part in (self.task, *parts, self.agent))
        return f"{'-'.join(words)[:MOST_WORDS]}-seed{self.seed}-{self.id}"


def _stages(stages: Any) -> list[Stage]:
    """Return a list of stages.

    Raises:
        Refused: for anything else.
    """
    if stages is msgspec.UNSET or stages is None:
        return []
    if isinstance(stages, str | Stage) or not isinstance(stages, Iterable):
        raise checks.Refused(f"stages: {stages!r} is not a list of stages")
    listed = list(stages)
    for each in listed:
        if not isinstance(each, Stage):
            raise checks.Refused(f"stages: {each!r} is not a Stage")
    return listed


@dataclasses.dataclass(frozen=True)
class PlannedStage:
    """A stage of a training, with what it names.

    Attributes:
        until: chunks of the training at whose end it is over.
        params: parameters of its training distribution.
        mitigate: its mitigation.
    """

    until: int
    params: EnvParams
    mitigate: Mitigating


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

    @functools.cached_property
    def stages(self) -> tuple[PlannedStage, ...]:
        """The stages of the training, in order; one for a training of one piece."""
        spec, chunks = self.spec, self.updates // self.chunk
        listed = spec.stages or [Stage(1.0)]
        share, planned = 0.0, []
        for place, stage in enumerate(listed):
            share += stage.share
            own = (spec.mitigation or "") if stage.mitigation is None else stage.mitigation
            params = self.params.override(**stage.params)
            mitigate = read_mitigation(own, self.task.env, f"stage{place}")
            # The last one ends with the training, whatever the shares' rounding.
            until = chunks if place + 1 == len(listed) else int(share * chunks + 1e-9)
            planned.append(PlannedStage(until, params, mitigate))
        return tuple(planned)

    @property
    def needs(self) -> Needs:
        """What its training takes.

        Raises:
            Refused: if its agent does not learn.
        """
        if self.agent.learner is None:
            raise checks.Refused(f"agent: {self.spec.agent!r} does not learn")
        return self.agent.learner.needs(self.config)

    @property
    def rates(self) -> dict[str, float]:
        """The float settings of agent and mitigations, which may differ within one program."""
        fields = dataclasses.fields(self.config)
        values = {field.name: getattr(self.config, field.name) for field in fields}
        own = {name: value for name, value in values.items() if isinstance(value, float)}
        if not self.agent.learns:
            return own
        return own | {n: v for stage in self.stages for n, v in stage.mitigate.rates.items()}

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
        return -(-self.spec.steps // self.needs.steps_per_update)

    @property
    def program(self) -> str:
        """What must be equal for runs to share one compiled program."""
        static = {
            field.name: value
            for field in dataclasses.fields(self.config)
            if not isinstance(value := getattr(self.config, field.name), float)
        }
        spec = self.spec
        learns = self.agent.learns
        updates = self.updates if learns else 0
        stages = [[each.until, each.mitigate.static] for each in self.stages] if learns else []
        key = [spec.task, spec.static, spec.view, spec.agent, spec.keys, static, updates, stages]
        return msgspec.json.encode(key, order="deterministic").decode()


def check(spec: RunSpec) -> Plan:
    """Look up and check everything a spec names, before anything compiles.

    Raises:
        ValueError: naming the field, the value and what is allowed.
    """
    task = wrappers.wrap(registry.make(spec.task, **spec.static), spec.view)
    params = task.training.override(**spec.params)
    agent = registry.make_agent(spec.agent)
    checks.known("keys", spec.keys, KEYS)
    config = agent.config(**typed(spec.agent, agent.config, spec.config))
    plan = Plan(spec, task, params, agent, config)
    if agent.learns:
        _check_stages(plan)
    return plan


def _check_stages(plan: Plan) -> None:
    """Refuse stages that cannot be trained, before anything compiles."""
    shares = [each.share for each in plan.spec.stages or []]
    if shares and abs(sum(shares) - 1) > 1e-6:
        told = " + ".join(f"{share:g}" for share in shares)
        raise checks.Refused(f"stages: shares {told} add up to {sum(shares):g}, 1 is needed")
    for stage in plan.stages:
        stage.mitigate.check(stage.params)
    ends = [0, *(stage.until for stage in plan.stages)]
    for place, (begin, end) in enumerate(itertools.pairwise(ends), 1):
        if end <= begin:
            raise checks.Refused(
                f"stages: number {place} of {len(plan.stages)} has no update of the "
                f"{plan.updates} that steps {plan.spec.steps} allow"
            )
