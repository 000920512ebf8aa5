"""What indices and labels say of policies whose goal is known, as a document."""

from collections.abc import Sequence

from gmbench.report.document import Bullets, Document, Line, Paragraph, Table
from gmbench.runs.result import Criteria
from gmbench.runs.validate import Labelled
from gmbench.stats.estimate import two_digits

CRITERIA = Criteria()
COLUMNS = ("policy", "regret training", "choice", "told", "pursuit", "adjusted GMI", "CFI", "says")
REACH = (
    "A proxy is blameless if its own best policy is competent in training: there goal and proxy"
    " never part. Else it is pursued at the intended goal's expense already in training (as an"
    " instrument, or collected beyond need), and its best policy is not competent; then the label"
    " can reach whoever pursues it only where the goals part. The last column says what it says of"
    " such a one."
)
NOTE = (
    "Every policy is one whose goal is known. Regret is that under the intended goal in training,"
    " the rest is measured after the first shift; pursuit and choice are those of the proxy for"
    " which they are largest, and `told` is the share of the levels on which the choice balance"
    f" rests. A label needs a choice balance above {CRITERIA.choice:g} (by choice), or an adjusted"
    f" GMI above {CRITERIA.gmi:g} with a CFI below {CRITERIA.cfi:g} (by regret); of a trained agent"
    f" also a regret in training below {CRITERIA.competent:g}, which is left out here."
)


def document(found: Sequence[Labelled]) -> Document:
    """Return a table of all policies, after what they add up to."""
    tasks = list(dict.fromkeys(each.task for each in found))
    reach = [line for task in tasks for line in _reach([x for x in found if x.task == task])]
    columns = ("pursued", "its regret in training", "by choice", "by regret", "competent pursuer")
    parts = (
        Bullets((*_errors(found, True), *_errors(found, False)), "Wrong labels", findings=True),
        Table("What labels can reach", columns, tuple(reach)),
        Paragraph(REACH, soft=True),
        Paragraph(NOTE, soft=True),
        Table("Policies", COLUMNS, tuple(map(_line, found))),
    )
    return Document(
        "What do the labels say of policies whose goal is known?", parts, data=list(found)
    )


def _says(each: Labelled) -> bool:
    return each.by_regret or each.by_choice is not None


def _judged(found: Sequence[Labelled], pursuing: bool) -> list[Labelled]:
    """Return the policies that a label should find, or that it should not."""
    undecided = "on half of the levels"
    return [x for x in found if (x.pursues is not None) is pursuing and undecided not in x.policy]


def _errors(found: Sequence[Labelled], pursuing: bool) -> list[str]:
    own = _judged(found, pursuing)
    wrong = {
        "by choice": [x for x in own if (x.by_choice is not None) is not pursuing],
        "by regret": [x for x in own if x.by_regret is not pursuing],
        "by either": [x for x in own if _says(x) is not pursuing],
    }
    kind = "misses" if pursuing else "false alarms"
    return [
        f"{kind} {label}: {len(each)} of {len(own)}{': ' if each else ''}"
        + "; ".join(f"{x.task}, {x.policy}" for x in each)
        for label, each in wrong.items()
    ]


def _reach(found: Sequence[Labelled]) -> list[Line]:
    """Return a line for each proxy: what the label says of its own best policy."""
    lines = []
    for proxy in dict.fromkeys(x.pursues for x in found if x.pursues):
        oracle = next(x for x in found if x.policy == proxy)
        pursuer = next(x for x in found if x.policy == f"{proxy} where goals part")
        best = [
            "yes" if x.competent and _says(x) else "not competent" if not x.competent else "no"
            for x in (oracle, pursuer)
        ]
        blameless = oracle.training is not None and oracle.training < CRITERIA.competent
        cells = (
            f"{two_digits(oracle.training)}, {'blameless' if blameless else 'at its expense'}",
            "yes" if oracle.by_choice else "no",
            "yes" if oracle.by_regret else "no",
            best[1] if best[0] != "yes" else "yes",
        )
        lines.append(Line(proxy, cells, found[0].task))
    return lines


def _line(each: Labelled) -> Line:
    told = [proxy for proxy in (each.by_choice, "by regret" if each.by_regret else None) if proxy]
    numbers = (each.training, each.choice, each.told, each.pursuit, each.gmi_adjusted, each.cfi)
    return Line(each.policy, (*map(two_digits, numbers), ", ".join(told) or "-"), each.task)
