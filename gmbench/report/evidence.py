"""What each measure says, side by side: return, regret, attribution, trade-off curve and MEG.

A page has a picture of all conditions, and for each condition a table with a line a measure: its
answer, its figures, and its reason where it names no goal. Below stands where the measures differ.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gmbench.core import checks
from gmbench.measure import tradeoff
from gmbench.measure.verdicts import MEASURES
from gmbench.report import figures, html, table
from gmbench.report.figures import BLUE, GREY, INK, ORANGE
from gmbench.report.table import Row
from gmbench.runs import evidence, files
from gmbench.runs.evidence import Evidence
from gmbench.runs.store import Run
from gmbench.stats.intervals import Interval, mean_interval

FORMATS = (".html", ".md")
"""What a page can be written as; the picture of a Markdown page lies beside it."""
TITLE = "Which goal, by which measure?"
NOTE = (
    "Figures are means over agents, on the levels of the first shift, with 95% intervals over"
    " agents (Student's t on the logit; plain for PSE) where there are two or more. An answer names"
    " what more than half of the levels, the regret or the nats speak for. PSE is the number of"
    " extra steps that the agents walk for the intended goal rather than the first proxy. MEG is"
    " relative to each goal's own optimal policy; by level, each level may have a randomness of its"
    " own."
)
WHY = (
    "The return counts an episode as done however late, and does not tell what was done instead.",
    "Regret counts how late a goal is reached, under each. Who is late for all of them reads as"
    " incapable, though it may have been after one.",
    "Attribution reads the actions until the first goal is earned. On short ways there are too few"
    " of them to be told from luck, and who errs much more often than the 2% of lapses that every"
    " hypothesis allows reads as random: both are none.",
    "The trade-off curve sees the levels on which one of two goals was reached first, by a way that"
    " was not the other's. It knows neither other goals nor incapability.",
    "MEG predicts all actions on all levels from one goal and one degree of randomness. Who acts"
    " with care on most levels and is lost on some, or follows another goal on each, reads low.",
)
"""Why measures that are all right may differ, in the order of :data:`MEASURES`."""
KEY = 0.5
"""Height of the key below the picture, in inches."""
HEAD = ("measure", "says", "figures", "because")

Mean = tuple[float, Interval | None]
"""A mean over agents, and its interval where there is one."""


@dataclass(frozen=True)
class Condition:
    """Agents trained alike, and the evidence on each.

    Attributes:
        row: the condition.
        label: its short name.
        found: one for each agent.
    """

    row: Row
    label: str
    found: tuple[Evidence, ...]

    def means(self, pick: Callable[[Evidence], Mapping[str, float]]) -> dict[str, Mean]:
        """Return the mean over agents of each of some named figures between 0 and 1."""
        return {
            name: _mean([pick(each)[name] for each in self.found]) for name in pick(self.found[0])
        }

    @property
    def pse(self) -> tuple[Interval, str]:
        """The mean point of subjective equality over agents that have a curve, and how many do."""
        return tradeoff.over_runs([each.trade_off for each in self.found])

    @property
    def title(self) -> str:
        """Task, settings and number of agents."""
        count = len(self.found)
        return f"{self.row.heading}, {self.label}: {count} agent{'s' if count > 1 else ''}"


def write(runs: Sequence[Run], page: Path, data: Path | None, watch: Callable[[Any], None]) -> None:
    """Measure the agents of finished runs, and write the page, and the figures as JSON.

    Args:
        runs: finished runs; those that failed are left out.
        page: where to write it, ending in one of :data:`FORMATS`.
        data: where to write what was found of each agent, if anywhere.
        watch: called with the progress.

    Raises:
        Refused: if there are no runs, one is damaged, or a file cannot be written.
    """
    checks.known("out", page.suffix, FORMATS)
    for path in (page, data):
        if path is not None:
            files.writable(path.parent)
    found = conditions(runs, watch)
    if page.suffix == ".md":
        figures.save(overview(found), page.with_suffix(".png"))
    text = _markdown(found, page) if page.suffix == ".md" else _html(found)
    files.write(page, text.encode())
    if data is not None:
        every = [each for condition in found for each in condition.found]
        content = msgspec.json.format(msgspec.json.encode(every), indent=1)
        files.write(data, content + b"\n")


def conditions(
    runs: Sequence[Run], watch: Callable[[Any], None] = lambda _: None
) -> list[Condition]:
    """Gather the evidence on finished runs, by condition."""
    rows = table.conditions([run for run in runs if not run.failed])
    found = iter(evidence.gather([run for _, row in rows for run in row.runs], watch))
    return [Condition(row, label, tuple(next(found) for _ in row.runs)) for label, row in rows]


# ---- words ---------------------------------------------------------------------------------------


def lines(condition: Condition) -> list[tuple[str, str, str, str]]:
    """Return a condition's table, a line a measure, with the columns of :data:`HEAD`."""
    told = {
        "return": _return(condition),
        "regret": _regret(condition),
        "attribution": _attribution(condition),
        "trade-off": _trade_off(condition),
        "MEG": _meg(condition),
    }
    return [(name, _answers(condition, name), told[name], _why(condition, name)) for name in told]


def disagreements(condition: Condition) -> list[str]:
    """Return in how many agents the measures contradict each other, and what each says there."""
    n = len(condition.found)
    differing = [each for each in condition.found if each.differ]
    if not differing:
        return [f"The measures contradict each other in none of the {n} agents."]
    text = [f"The measures contradict each other in {len(differing)} of {n} agents:"]
    for said, count in Counter(_said(each) for each in differing).most_common():
        text.append(f"{count} of {n}: {said}.")
    return text


def _said(each: Evidence) -> str:
    """Return what the measures say of one agent, those that agree together."""
    by_answer: dict[str, list[str]] = {}
    for name, verdict in each.verdicts.items():
        by_answer.setdefault(verdict.says, []).append(name)
    return "; ".join(f"{answer} ({', '.join(names)})" for answer, names in by_answer.items())


def _answers(condition: Condition, measure: str) -> str:
    counts = Counter(each.verdicts[measure].says for each in condition.found)
    return ", ".join(f"{says} {k}/{len(condition.found)}" for says, k in counts.most_common())


def _why(condition: Condition, measure: str) -> str:
    reasons = dict.fromkeys(each.verdicts[measure].why for each in condition.found)
    return "; ".join(why for why in reasons if why)


def _return(condition: Condition) -> str:
    return _joined(condition.means(_ended))


def _regret(condition: Condition) -> str:
    return _joined(condition.means(_explained))


def _attribution(condition: Condition) -> str:
    text = _joined(condition.means(lambda each: each.attributed))
    unsaid: Counter[str] = Counter()
    for each in condition.found:
        unsaid.update({why: n for why, n in each.reasons.items() if why != "attributed"})
    if unsaid:
        text += f'; none mostly for "{unsaid.most_common(1)[0][0]}"'
    agreement, _ = _mean([each.agreement for each in condition.found])
    agree = "" if np.isnan(agreement) else f"; the goal missed least on {agreement:.0%} of these"
    return text + agree


def _trade_off(condition: Condition) -> str:
    interval, said = condition.pse
    chose, _ = _mean([each.trade_off.chose_true for each in condition.found])
    text = "" if np.isnan(chose) else f"chose {condition.found[0].goals[0]} {chose:.2f}; "
    if np.isnan(interval.estimate):
        return f"{text}{said}"
    ends = "" if np.isnan(interval.low) else f" [{interval.low:.1f}, {interval.high:.1f}]"
    return f"{text}PSE {interval.estimate:.1f}{ends} steps; {said}"


def _meg(condition: Condition) -> str:
    text = _joined(condition.means(lambda each: each.meg))
    alone = condition.means(lambda each: each.meg_by_level)
    if all(np.isnan(mean) for mean, _ in alone.values()):
        return text
    return (
        f"{text}; by level {', '.join(f'{goal} {mean:.2f}' for goal, (mean, _) in alone.items())}"
    )


def _ended(each: Evidence) -> dict[str, float]:
    words = {"goal": "in full", "proxy": "a proxy only", "neither": "neither"}
    return {words[name]: share for name, share in each.ended.items()}


def _explained(each: Evidence) -> dict[str, float]:
    return {"1 - rho": each.regret.true, "GMI": each.regret.other, "CFI": each.regret.none}


def _mean(values: Sequence[float]) -> Mean:
    """Return the mean of what is known, and its interval where there are two values or more."""
    known = np.array([value for value in values if not np.isnan(value)], np.float64)
    if not len(known):
        return float("nan"), None
    interval = mean_interval(known.clip(0, 1)) if len(known) > 1 else None
    return float(known.mean()), interval


def _joined(means: Mapping[str, Mean]) -> str:
    return ", ".join(f"{name} {_number(*mean)}" for name, mean in means.items())


def _number(mean: float, interval: Interval | None) -> str:
    if np.isnan(mean):
        return "not measured"
    if interval is None or interval.low == interval.high:
        return f"{mean:.2f}"
    return f"{mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


# ---- picture -------------------------------------------------------------------------------------


def overview(found: Sequence[Condition]) -> Figure:
    """Draw the measures of all conditions, a line each: three stacked bars, PSE and MEG."""
    with mpl.rc_context(figures.STYLE):
        figure, axes, places = figures.row_axes([each.row for each in found], len(MEASURES))
        figure.set_figheight(figure.get_figheight() + KEY)
        for place, each in zip(places, found, strict=True):
            for panel, parts in zip(axes[:3], _bars(each), strict=True):
                _stack(panel, place, parts)
            _draw_pse(axes[3], place, each)
            _draw_meg(axes[4], place, each)
        for panel, name in zip(axes, MEASURES, strict=True):
            panel.set_title({"trade-off": "PSE, steps"}.get(name, name))
            panel.tick_params(axis="x", labelsize=7)
            if name != "trade-off":
                panel.set_xlim(0, 1)
                panel.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
        axes[3].axvline(0, color=INK, linewidth=0.6)
        words = {"intended goal": BLUE, "another goal": ORANGE, "none": GREY}
        patches = [Patch(color=colour, label=name) for name, colour in words.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _bars(each: Condition) -> list[list[float]]:
    """Return the shares of the intended goal, of others and of none, by the first measures."""
    ended, regret = (
        [mean for mean, _ in each.means(pick).values()] for pick in (_ended, _explained)
    )
    true, *others, none = (mean for mean, _ in each.means(lambda e: e.attributed).values())
    return [ended, regret, [true, sum(others), none]]


def _stack(panel: Axes, place: float, parts: Sequence[float]) -> None:
    left = 0.0
    for share, colour in zip(parts, (BLUE, ORANGE, GREY), strict=True):
        panel.barh(place, share, 0.72, left, color=colour)
        left += share


def _draw_pse(panel: Axes, place: float, each: Condition) -> None:
    interval, _ = each.pse
    if np.isnan(interval.estimate):
        panel.annotate("no curve", (0, place), va="center_baseline", color=GREY, fontsize=7)
        return
    colour = ORANGE if interval.estimate < 0 else BLUE
    panel.plot(interval.estimate, place, "o", color=colour, markersize=4)
    if not np.isnan(interval.low):
        panel.plot((interval.low, interval.high), (place, place), color=colour, linewidth=1.6)


def _draw_meg(panel: Axes, place: float, each: Condition) -> None:
    """Draw a dot for each goal, the intended one on top."""
    intended, *_ = each.found[0].goals
    for goal, (mean, interval) in reversed(each.means(lambda e: e.meg).items()):
        colour = BLUE if goal == intended else ORANGE
        if np.isnan(mean):
            continue
        panel.plot(mean, place, "o", color=colour, markersize=4, clip_on=False)
        if interval is not None:
            panel.plot((interval.low, interval.high), (place, place), color=colour, linewidth=1.6)


# ---- page ----------------------------------------------------------------------------------------


def _markdown(found: Sequence[Condition], page: Path) -> str:
    picture = page.with_suffix(".png").name
    parts = [f"# {TITLE}", f"![The measures of every condition]({picture})", NOTE]
    for each in found:
        printed = [HEAD, ("---",) * len(HEAD), *lines(each)]
        parts.append(f"## {each.title}")
        parts.append("\n".join("| " + " | ".join(cells) + " |" for cells in printed))
        first, *rest = disagreements(each)
        parts.append("\n".join([first, *(["", *(f"- {line}" for line in rest)] if rest else [])]))
    parts += ["## Why measures differ", "\n".join(f"- {line}" for line in WHY)]
    return "\n\n".join(parts) + "\n"


def _html(found: Sequence[Condition]) -> str:
    parts = [f"<h1>{TITLE}</h1>", html.drawn(overview(found), "The measures of every condition.")]
    parts.append(f"<p class='soft'>{escape(NOTE)}</p>")
    for each in found:
        head = "".join(f"<th scope='col'>{name}</th>" for name in HEAD)
        body = "".join(_html_line(line) for line in lines(each))
        parts.append(f"<h2>{escape(each.title)}</h2>")
        parts.append(
            f"<div class='wide words'><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )
        first, *rest = disagreements(each)
        items = "".join(f"<li>{escape(line)}</li>" for line in rest)
        parts.append(f"<p>{escape(first)}</p>" + (f"<ul>{items}</ul>" if items else ""))
    reasons = "".join(f"<li>{escape(line)}</li>" for line in WHY)
    parts.append(f"<h2>Why measures differ</h2><ul>{reasons}</ul>")
    return html.PAGE.format(title=escape(TITLE), style=html.STYLE, body="\n".join(parts))


def _html_line(cells: tuple[str, ...]) -> str:
    name, *rest = (escape(cell) for cell in cells)
    return f"<tr><th scope='row'>{name}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"
