"""The parts of a reproduction: plans, jobs, tables, figures, and the studies that make them."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from scenarios.report.markup import Markup
from scenarios.reproduction.verdicts import Claim

Cell: TypeAlias = str | int | float | bool | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        seed: of everything random.
        seeds: data sets, or bouts, that a mean is over; at least 2.
        full: whether to take the time for more points.
    """

    seed: int
    seeds: int
    full: bool = False


@dataclasses.dataclass(frozen=True)
class Job:
    """A piece of work for any process.

    Attributes:
        work: a function of a module, which another process can import.
        args: what it takes, and can be pickled.
    """

    work: Callable[..., Any]
    args: tuple[Any, ...] = ()

    def __call__(self) -> Any:
        """Do it."""
        return self.work(*self.args)


@dataclasses.dataclass(frozen=True)
class Table:
    """A tidy table: one observation a row.

    Attributes:
        name: of its file, without the ending.
        columns: their names, with units.
        rows: of cells.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_csv(self) -> str:
        """Its file. Floats have ten digits: the last ones differ between processors."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_spelled(cell) for cell in row] for row in self.rows)
        return text.getvalue()


def _spelled(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return f"{cell + 0.0:.10g}"  # no negative zero
    return str(cell)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: of its file, without the ending.
        title: above it.
        draw: makes the drawing for a width, as an SVG element that carries its own style.
        caption: below it.
    """

    name: str
    title: str
    draw: Callable[[int], Markup]
    caption: str


@dataclasses.dataclass(frozen=True)
class Shown:
    """A table as the report shows it.

    Attributes:
        title: above it.
        columns: heads.
        rows: of finished cells.
        note: below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Part:
    """What a study found.

    Attributes:
        title: its heading in the report.
        about: what was done, in a few plain sentences.
        claims: that it decides.
        tables: for files.
        figures: for files and for the report.
        shown: summaries for the report.
        printed: for the terminal, lines of at most 80 columns; made from the claims if empty.
    """

    title: str
    about: str
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    shown: tuple[Shown, ...] = ()
    printed: str = ""


@dataclasses.dataclass(frozen=True)
class Study:
    """A measurement.

    Attributes:
        name: of one word, for progress.
        jobs: of a plan; their results do not depend on the process or the order.
        found: what the results of the jobs, in their order, come to.
    """

    name: str
    jobs: Callable[[Plan], Sequence[Job]]
    found: Callable[[Plan, Sequence[Any]], Part]


def long_rows(results: Sequence[Mapping[str, float]]) -> tuple[tuple[Cell, ...], ...]:
    """Results of bouts as rows (number of the bout, name, value), bouts counted from 0."""
    return tuple((number, name, value) for number, bout in enumerate(results) for name, value in bout.items())
