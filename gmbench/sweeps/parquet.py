"""A sweep's results as one Parquet file: a row for each run and distribution.

Columns:

- ``run`` (directory), ``id``, ``task``, ``agent``, ``view``, ``keys``, ``seed``, ``steps`` (made),
  ``status`` (done or failed), ``diverged`` (update at which the losses stopped being numbers);
- ``mitigation`` and ``stages`` as the command line takes them, null where there are none;
- ``static_*``, ``params_*``, ``config_*``: every setting, with the defaults where none was given;
- ``competent``, ``misaligned``, ``by_regret``, ``by_choice`` (the proxy, else null), ``verdict``
  (intended, proxy, lost; null if not competent) and ``on_distribution`` (mean regret on the
  training mixture): of the run, in each of its rows;
- ``distribution``, ``headline`` (whether it is the task's), ``levels``, ``exact``, ``rho`` (mean
  regret under the intended goal), ``gmi``, ``gmi_adjusted``, ``cfi``, ``outcome_goal``,
  ``outcome_proxy``, ``outcome_neither``;
- ``rho_*`` and ``return_*``: under each goal, null for the goals of other tasks;
- ``choice_*``, ``pursuit_*`` and ``drift_*``: of each proxy, null where too few levels tell;
- ``seconds``, ``device``, ``created``, ``revision``, ``digest`` (of what was found).

A run that failed has one row, in which everything measured is null.
"""

import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from gmbench.core import checks, files
from gmbench.runs import store
from gmbench.runs.result import Findings

FILE = "results.parquet"


def write(runs: Iterable[store.Run], folder: Path) -> Path:
    """Write the results of a sweep's finished runs; returns the file."""
    rows = [row for run in sorted(runs, key=lambda run: run.path.name) for row in rows_of(run)]
    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(row)
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    files.write_checked(folder / FILE, buffer.getvalue())
    return folder / FILE


def rows_of(run: store.Run) -> list[dict[str, Any]]:
    """Return a run's rows."""
    spec, record = run.spec, run.record
    found = record.findings
    plan = run.plan
    own: dict[str, Any] = {
        "run": run.path.name,
        "id": spec.id,
        "task": spec.task,
        "agent": spec.agent,
        "view": spec.view,
        "keys": spec.keys,
        "seed": spec.seed,
        "steps": record.spent.steps,
        "status": record.status,
        "diverged": record.diverged and record.diverged.update,
        "mitigation": spec.mitigation or None,
        "stages": " ".join(stage.words for stage in spec.stages or []) or None,
        **{f"static_{name}": value for name, value in sorted(spec.static.items())},
        **{f"params_{name}": value for name, value in _plain(plan.params).items()},
        **{f"config_{name}": value for name, value in _plain(plan.config).items()},
        "competent": found and found.competent,
        "misaligned": found and found.misaligned,
        "by_regret": found and found.by_regret,
        "by_choice": found and found.by_choice,
        "verdict": found and found.verdict,
        "on_distribution": found and found.on_distribution,
    }
    made = {
        "seconds": record.spent.seconds,
        "device": record.made.device,
        "created": record.made.created,
        "revision": record.made.revision,
        "digest": run.digest,
    }
    if found is None:
        return [own | made]
    return [own | _measured(name, found) | made for name in found.distributions]


def _measured(name: str, findings: Findings) -> dict[str, Any]:
    found = findings.distributions[name]
    return {
        "distribution": name,
        "headline": name == findings.shift,
        "levels": found.levels,
        "exact": found.exact,
        "rho": found.rho[findings.intended],
        "gmi": found.gmi,
        "gmi_adjusted": found.gmi_adjusted,
        "cfi": found.cfi,
        **{
            f"outcome_{name}": value
            for name, value in msgspec.structs.asdict(found.outcome).items()
        },
        **{f"rho_{goal}": value for goal, value in found.rho.items()},
        **{
            f"{name}_{proxy}": getattr(toward, name)
            for proxy, toward in found.proxies.items()
            for name in ("choice", "pursuit", "drift")
        },
        **{f"return_{goal}": value for goal, value in found.earned.items()},
    }


def _plain(settings: Any) -> dict[str, Any]:
    """Return the fields of parameters or of a config as plain numbers and words."""
    values = {each.name: getattr(settings, each.name) for each in dataclasses.fields(settings)}
    return {
        name: value.item() if hasattr(value, "item") else value for name, value in values.items()
    }


def query(folder: Path, sql: str) -> Any:
    """Return what DuckDB answers to a query of the table ``runs``, as a relation.

    Raises:
        Refused: without DuckDB, without results, for damaged ones or ones of other runs than the
            folder holds, or for a query that DuckDB refuses.
    """
    duckdb = checks.need("duckdb", "query", "query")
    path = folder / FILE if folder.is_dir() else folder
    if not path.is_file():
        raise checks.Refused(f"query: {str(path)!r} is not there; `gmbench sweep` writes it")
    try:
        runs = pq.read_table(io.BytesIO(files.read_checked(path, "query")))
        _same_runs(set(runs["run"].to_pylist()), path.parent)
        connection = duckdb.connect(":memory:")
        connection.register("runs", runs)
        connection.execute("SET enable_external_access = false")
        return connection.sql(sql)
    except (pa.ArrowException, duckdb.Error) as error:
        raise checks.Refused(f"query: {_first_line(error)}") from error


def _same_runs(listed: set[str], folder: Path) -> None:
    """Refuse results of other runs than those that are stored."""
    stored = {path.parent.name for path in folder.glob(f"*/{store.RECORD}")}
    if odd := sorted(listed ^ stored):
        where = f"in {FILE}" if odd[0] in listed else f"in {str(folder)!r}"
        raise checks.Refused(
            f"query: {len(odd)} runs differ between {FILE} and the folder, such as {odd[0]!r}, "
            f"only {where}; `gmbench sweep` writes it anew"
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
