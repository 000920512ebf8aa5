"""The keeper of an audit: opens it, serves queries, and reveals the labels once all is answered.

The keeper's folder holds ``sealed.json``, the weights of each agent, and a note of where the ledger
stood at the last query. Nobody else needs to read it, and nobody else may write into it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from gmbench.audit import handed, ledger, sealed
from gmbench.audit.candidates import Candidate, shuffled
from gmbench.audit.exhibits import QUERIES, Arrays, Suspect
from gmbench.audit.handed import Audit, Case, Handed
from gmbench.audit.ledger import Entry
from gmbench.audit.sealed import Sealed, Secret
from gmbench.audit.verdict import Verdict, judge
from gmbench.core import checks, files, npz
from gmbench.runs import arrays
from gmbench.runs.spec import check

WEIGHTS = "{name}.safetensors"
NOTE = "noted.json"
SCORE = "score.json"
"""Name of what an auditor is scored, among what was handed out."""
GENEROUS = 3
"""Budget for each agent, unless another one is given."""


class Noted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the ledger stood: how many entries, and what the chain came to."""

    entries: handed.Count
    head: str


def open_audit(
    folder: str | Path,
    key: str | Path,
    candidates: Sequence[Candidate],
    budget: int | None = None,
    prices: Mapping[str, int] | None = None,
) -> Audit:
    """Write the two folders of an audit.

    Args:
        folder: what is to be handed out; must not be there yet.
        key: the keeper's; likewise.
        candidates: the agents; they are shuffled, so that a name says nothing.
        budget: what may be spent; by default ``GENEROUS`` for each agent.
        prices: what may be asked, and for how much; by default all of :data:`exhibits.QUERIES`.

    Raises:
        Refused: for folders that are there, no agents, an unknown query, or a negative number.
    """
    own, theirs = Path(key), Path(folder)
    for field, path in (("folder", theirs), ("key", own)):
        if path.exists():
            raise checks.Refused(f"{field}: {str(path)!r} is there already")
    if own.resolve().is_relative_to(theirs.resolve()):
        raise checks.Refused(f"key: {str(own)!r} lies in what is handed out")
    if not candidates:
        raise checks.Refused("agents: none to be audited")
    usual = {name: query.price for name, query in QUERIES.items()}
    sold = {
        checks.known("prices", name, QUERIES): checks.integer(f"prices.{name}", price, 0, 10**6)
        for name, price in (usual if prices is None else prices).items()
    }
    most = GENEROUS * len(candidates) if budget is None else budget
    digits = len(str(len(candidates)))
    named = {f"agent-{n:0{digits}}": each for n, each in enumerate(shuffled(candidates), 1)}
    secrets = [
        Secret(name, each.spec, files.sha256(arrays.encode(each.weights)), each.label)
        for name, each in named.items()
    ]
    locked = sealed.seal(secrets)
    cases = [_case(name, each) for name, each in named.items()]
    allowed = checks.integer("budget", most, 0, checks.EXACT)
    told = Handed(handed.SCHEMA, files.sha256(locked), allowed, sold, cases)
    about = msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"
    contents = {sealed.NAME: locked, NOTE: msgspec.json.encode(Noted(0, files.sha256(about)))}
    contents |= {WEIGHTS.format(name=n): arrays.encode(each.weights) for n, each in named.items()}
    files.writable(own.parent, "key")
    files.write_folder(own, contents, own.parent)
    own.chmod(0o700)
    files.write_folder(theirs, {handed.NAME: about}, files.writable(theirs.parent, "folder"))
    return Audit(theirs)


def _case(name: str, candidate: Candidate) -> Case:
    spec = candidate.spec
    goals = list(check(spec).task.env.goal_names)
    return Case(name, spec.task, spec.resolved.static, spec.view, goals)


class Keeper:
    """Who serves an audit.

    Attributes:
        folder: the keeper's.
        audit: what was handed out.
    """

    def __init__(self, folder: str | Path, audit: Audit) -> None:
        """Check that the folder belongs to the audit, and that its ledger is whole.

        Raises:
            Refused: if it is not a keeper's, its labels are not those committed to, or entries of
                the ledger are gone.
        """
        self.folder, self.audit = Path(folder), audit
        path = self.folder / sealed.NAME
        if not path.exists():
            raise checks.Refused(f"key: no sealed labels in {str(self.folder)!r}")
        self._sealed = sealed.unseal(path, audit.handed.commitment)
        self._whole()

    def _whole(self) -> None:
        """Refuse a ledger from which entries have been taken since the last query."""
        noted = msgspec.json.decode(files.read(self.folder / NOTE, "key", 1000), type=Noted)
        kept = self.audit.entries[: noted.entries]
        if ledger.head(self.audit.about, kept) != noted.head:
            path = self.audit.folder / ledger.NAME
            raise checks.Refused(
                f"ledger: {str(path)!r} has lost or changed entries that the keeper noted"
            )

    @property
    def truth(self) -> Sealed:
        """The sealed file, for whoever holds the key."""
        return self._sealed

    def ask(self, agent: str, query: str, thing: str = "") -> Arrays:
        """Return what a query shows, and charge for it; asked again, it costs nothing more.

        What is shown is also written to ``shown/`` in what was handed out.

        Raises:
            Refused: for an unknown agent, query or thing, one that is not sold, or costs more than
                is left; for an audit that was revealed.
        """
        audit = self.audit
        with files.locked(audit.folder, "audit"):
            audit.again()
            self._whole()
            audit.closed_is_refused()
            audit.case(agent)
            sold = audit.handed.prices
            kind = QUERIES[checks.known("query", query, sold)]
            if bool(thing) != kind.about:
                needed = "needs a thing" if kind.about else "is about no thing"
                raise checks.Refused(f"thing: {thing!r}, but {query} {needed}")
            asked = {(each.agent, each.query, each.thing) for each in audit.entries}
            cost = 0 if (agent, query, thing) in asked else sold[query]
            if cost > audit.left:
                budget = audit.handed.budget
                raise checks.Refused(
                    f"budget: {query} of {agent} cost {cost}, {audit.left} of {budget} are left"
                )
            found = kind.show(self.suspect(agent), thing)
            if (agent, query, thing) not in asked:
                audit.write([Entry("", "asked", agent, query, thing, cost)])
                self._note()
            shown = files.writable(audit.folder / handed.SHOWN, "audit")
            files.write(shown / shown_name(agent, query, thing), npz.encode(found))
        return found

    def _note(self) -> None:
        entries = self.audit.entries
        noted = Noted(len(entries), ledger.head(self.audit.about, entries))
        files.write(self.folder / NOTE, msgspec.json.encode(noted))

    def suspect(self, agent: str) -> Suspect:
        """Return an agent, whose weights are those that were sealed.

        Raises:
            Refused: for weights that were altered.
        """
        known = next(each for each in self._sealed.agents if each.name == agent)
        plan = check(known.spec)
        path = self.folder / WEIGHTS.format(name=agent)
        data = files.read(path, "key")
        if files.sha256(data) != known.weights:
            raise checks.Refused(f"weights: {str(path)!r} are not those that were sealed")
        if plan.agent.written is not None:
            settings, like = plan.agent.written(plan.task.env, plan.config)
            plan = replace(plan, config=settings)
        else:
            assert plan.agent.learner is not None
            like = plan.agent.learner.shapes(plan.task.env, plan.config)
        return Suspect(plan, arrays.decode(data, like, f"weights of {agent}"))

    def reveal(self) -> Verdict:
        """Open the labels and score what was filed; asked again, say the same again.

        Raises:
            Refused: while agents are unanswered, or if the ledger says that more was spent than
                there was.
        """
        audit = self.audit
        with files.locked(audit.folder, "audit"):
            audit.again()
            self._whole()
            waiting = [name for name in audit.agents if name not in audit.answers]
            if waiting:
                few = ", ".join(waiting[:3]) + (", ..." if len(waiting) > 3 else "")
                raise checks.Refused(
                    f"labels: {str(self.folder / sealed.NAME)!r} stays sealed until all agents are "
                    f"answered, {len(waiting)} of {len(audit.agents)} are not: {few}"
                )
            if audit.left < 0:
                raise checks.Refused(f"budget: {audit.spent} spent, allowed: {audit.handed.budget}")
            if not audit.revealed:
                audit.write([Entry("", "revealed")])
                self._note()
            data = files.read(self.folder / sealed.NAME, "labels", sealed.LARGEST)
            files.write(audit.folder / sealed.OPEN, data)
            found = judge(audit, self._sealed)
            files.write_json(audit.folder / SCORE, msgspec.to_builtins(found))
        return found


def shown_name(agent: str, query: str, thing: str) -> str:
    """Return the name of the file of what a query showed."""
    return "-".join(filter(None, (agent, query, thing))) + ".npz"
