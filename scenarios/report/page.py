"""The page: its sections in order, in one file that loads nothing."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from scenarios.report import (
    conversation,
    errors,
    eve,
    expectations,
    headline,
    key,
    ledger,
    model,
    origin,
    queries,
    time,
)
from scenarios.report.figure import patterns
from scenarios.report.folder import Run, read_folder
from scenarios.report.markup import Markup, tag

_SECTIONS = (
    ("expectations", "Expectations", expectations.section),
    ("errors", "Errors on the quantum channel", errors.section),
    ("key", "Key", key.section),
    ("queries", "Queries", queries.section),
    ("model", "The model", model.section),
    ("eve", "What Eve knows", eve.section),
    ("ledger", "Where the bits went", ledger.section),
    ("time", "Where the time went", time.section),
    ("conversation", "Who said what", conversation.section),
    ("origin", "How this was made", origin.section),
)
# Nothing is loaded and nothing runs, whatever a text of the scenario may look like.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_report(folder: Path) -> Path:
    """Make report.html from the other files of a run's folder.

    Returns:
        Its path.

    Raises:
        ScenarioError: what is missing or damaged in the folder; a report that was there is as it was.
        OSError: the page could not be written; nothing half-written is left.
    """
    page = _page(read_folder(folder))
    path, partial = folder / "report.html", folder / ".report.html.partial"
    try:
        partial.write_text(page, encoding="utf-8", newline="\n")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path


def _page(run: Run) -> str:
    style = importlib.resources.files("scenarios.report").joinpath("report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"{run.summary.scenario}: {run.summary.verdict} – EveLab"),
        tag("style", Markup(style)),
    )
    links = [tag("a", title, href=f"#{name}") for name, title, _ in _SECTIONS]
    sections = [tag("section", tag("h2", title), made(run), id=name) for name, title, made in _SECTIONS]
    header = tag("header", headline.section(run), tag("nav", links, aria_label="Sections"))
    body = tag("body", patterns(), header, tag("main", sections))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"
