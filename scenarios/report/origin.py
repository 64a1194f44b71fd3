"""How the run was made, so that it can be made again: command, scenario, versions, files."""

from __future__ import annotations

import io
import shlex

from ruamel.yaml import YAML

from scenarios.report import words
from scenarios.report.folder import Run
from scenarios.report.markup import Markup, joined, table, tag

_HOLDS = {
    "manifest.json": "scenario, seed, versions, summary, verdicts, hashes",
    "summary.csv": "the summary, a value a line",
    "blocks.csv": "a row a block",
    "intensities.csv": "a row a block, basis and intensity",
    "queries.csv": "a row a query",
    "metrics.csv": "quantities over time",
    "events.jsonl": "what happened, an object a line",
    "report.html": "this page",
}


def section(run: Run) -> Markup:
    """Command, versions, hashes, and the scenario with all defaults."""
    manifest = run.manifest
    command = shlex.join(manifest.command) or "called from Python: scenarios.run"
    made = (
        f"EveLab {manifest.evelab}, Python {manifest.python} on {manifest.machine}, "
        f"{words.time(run.summary.wall_s)} of computing for {words.time(run.duration_s)} simulated."
    )
    facts = [
        ("scenario SHA-256", tag("code", manifest.scenario_sha256)),
        ("seed", str(manifest.seed)),
        ("fabric", run.summary.fabric),
    ]
    scenario = io.StringIO()
    YAML().dump(run.resolved, scenario)
    text = tag("pre", tag("code", scenario.getvalue()))
    versions = table(["package", "version"], [(n, str(v)) for n, v in manifest.versions.items()], ["", ""])
    parts = (
        tag("pre", tag("code", command), class_="command"),
        tag("p", made),
        table(["", ""], facts, ["nowrap", "break"]),
        tag("details", tag("summary", "The scenario, with all defaults"), text),
        tag("details", tag("summary", "Versions"), versions),
        tag("h3", "Files"),
        _files(run),
    )
    same = "The same scenario and seed give the same bytes in every table. No key is in any file."
    return joined((parts, tag("p", same, class_="muted")))


def _files(run: Run) -> Markup:
    hashes = run.manifest.files
    rows = []
    for name in ("manifest.json", *hashes, "report.html"):
        size = "" if name == "report.html" else f"{(run.folder / name).stat().st_size:,} B"
        sha = tag("code", hashes[name]) if name in hashes else "–"
        rows.append((tag("code", name), _HOLDS.get(name, ""), size, sha))
    return table(["file", "holds", "size", "SHA-256"], rows, ["", "", "number", "break"])
