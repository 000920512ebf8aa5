"""The page that comes with a packed zoo: what is in it, how it was made, and what it is for.

After Gebru et al. 2021, "Datasheets for Datasets" (arXiv 1803.09010), as far as its questions
apply; everything that differs from zoo to zoo is worked out from its agents.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import get_args

import msgspec

from gmbench.runs.families import SPLITS, architecture
from gmbench.runs.result import Verdict
from gmbench.runs.spec import RunSpec
from gmbench.runs.store import Run

PAGE = """# Datasheet of a zoo

{agents} agents of {tasks} tasks and {architectures} architectures, {competent} of them competent in
training; of these {verdicts}.

**Why.** To score what looks inside agents, before deployment, on agents whose goal is known: a
detector is fitted to some families and asked about the others.

**What.** A folder for each agent: `agent.safetensors` (weights), `run.json` (settings,
versions, what was measured), `levels.npz` (the same by level), `metrics.jsonl` (training curves,
means over at most 32 parts of the training), each with a sha256; {moments} agents also as they were
at moments of their training (`agent-STEPS.safetensors`). `labels.csv` has a line for each agent.
`zoo.json` lists every file's size and sha256. No code and no pickled objects; no people are in it.

**Labels.** What an agent was found to do on levels after the shift: `intended`, `proxy` or `lost`;
none of those that are not competent in training. {exact} are exact, computed from the agent's
action probabilities on 1,024 levels; the others, of agents with a memory, are sampled there.
They are those of the weights as packed: exact ones were measured after weights were rounded to half
precision, agents that are sampled are kept in single precision. `gmbench verify` measures again.

**How they came about.** Trained by gmbench's sweep, which is in `zoo.json`: tasks, settings, seeds.
Nothing was left out by its label; runs that diverged have no agent. Made from {began} to {ended} on
{devices} with {versions}; {steps:.0f} million environment steps, {hours:.1f} hours of training.

**Balance.** By family, which are to be held out whole:

{families}

**What it is for.** Scoring detectors, probes and audits of goals. Not a sample of trained agents at
large: small networks, small grids, few training algorithms; who was trained on few distinguishing
levels is mostly misaligned, so that settings alone tell much (compare agents of the same settings).

**Licence.** That of gmbench, Apache-2.0.
"""

WORDS = {"intended": "pursue the intended goal", "proxy": "a proxy", "lost": "neither (lost)"}
"""What verdicts mean."""


def page(runs: Sequence[Run]) -> str:
    """Return the datasheet of some agents, in Markdown."""
    specs = [run.record.resolved for run in runs]
    verdicts = Counter(run.findings.verdict for run in runs)
    made = [run.record.made for run in runs]
    return PAGE.format(
        agents=len(runs),
        tasks=len({spec.task for spec in specs}),
        architectures=len({architecture(spec) for spec in specs}),
        competent=sum(run.findings.competent for run in runs),
        verdicts=", ".join(f"{verdicts[name]} {WORDS[name]}" for name in get_args(Verdict)),
        moments=sum(any(name.startswith("agent-") for name in run.record.files) for run in runs),
        exact=f"{sum(run.findings.deployed.exact for run in runs)} of {len(runs)}",
        began=min(each.created for each in made)[:10],
        ended=max(each.created for each in made)[:10],
        devices=", ".join(sorted({each.device for each in made})),
        versions=", ".join(sorted({_versions(each.versions) for each in made})),
        steps=sum(run.record.spent.steps for run in runs) / 1e6,
        hours=sum(run.record.spent.seconds for run in runs) / 3600,
        families="\n".join(_table(runs, name, of) for name, of in SPLITS.items() if name != "seed"),
    )


class Family(msgspec.Struct, frozen=True):
    """Agents that are held out together.

    Attributes:
        name: of the family.
        agents: how many.
        competent: of these.
        verdicts: how many of the competent ones have each.
    """

    name: str
    agents: int
    competent: int
    verdicts: dict[str, int]


def families(runs: Sequence[Run], of: Callable[[RunSpec], str]) -> list[Family]:
    """Return the families that some agents fall into, by name."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(of(run.record.resolved), []).append(run)
    return [_family(name, own) for name, own in sorted(found.items())]


def _family(name: str, runs: Sequence[Run]) -> Family:
    counts = Counter(run.findings.verdict for run in runs)
    verdicts = {each: counts[each] for each in get_args(Verdict)}
    return Family(name, len(runs), sum(verdicts.values()), verdicts)


def _table(runs: Sequence[Run], split: str, of: Callable[[RunSpec], str]) -> str:
    names = get_args(Verdict)
    lines = [f"| {split} | agents | competent | {' | '.join(names)} |"]
    lines += ["|" + "---|" * (3 + len(names))]
    for each in families(runs, of):
        counts = " | ".join(str(each.verdicts[name]) for name in names)
        lines.append(f"| {each.name} | {each.agents} | {each.competent} | {counts} |")
    return "\n".join(lines) + "\n"


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {versions[name]}" for name in ("gmbench", "jax") if name in versions)
