"""What the benchmarks share: rows with goals, repeats that take turns, the machine they ran on, a table and a manifest of it.

A peer is installed into a virtual environment of its own that is thrown away, in the version of peers.txt, and left out with a remark
where that fails.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEER_LIMIT_S = 900


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: was measured.
        unit: of the values.
        values: one for each repeat.
        goal: the bound that is to be met, None if there is none.
        at_least: whether the goal is a lower bound.
    """

    what: str
    unit: str
    values: tuple[float, ...]
    goal: float | None = None
    at_least: bool = False

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the goal."""
        if self.goal is None:
            return None
        return self.median >= self.goal if self.at_least else self.median <= self.goal


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measured(repeats: int, *works: Callable[[], float]) -> list[tuple[float, ...]]:
    """The values of each work; repeats take turns, so that what else the machine does falls on all alike."""
    rounds = [[work() for work in works] for _ in range(repeats)]
    return [tuple(values) for values in zip(*rounds, strict=True)]


def ratio(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    """Repeat by repeat."""
    return tuple(a / b for a, b in zip(one, other, strict=True))


def peak_mb() -> float:
    """The largest resident size of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def peers(
    scripts: dict[str, tuple[str, str, Sequence[str]]], repeats: int
) -> Iterator[tuple[str, list[Any] | str]]:
    """For each peer its name and version, and what its script printed as JSON, once for each repeat, or why there are none.

    Args:
        scripts: package → its name, a script beside this one, and the script's arguments.
        repeats: of the script.
    """
    for line in (HERE / "peers.txt").read_text(encoding="utf-8").split():
        package, version = line.split("==")
        if package not in scripts:
            continue
        name, script, arguments = scripts[package]
        with tempfile.TemporaryDirectory() as folder:
            try:
                venv.create(folder, with_pip=True)
                python = str(next(Path(folder).glob("*/python")))
                _last_line([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", line])
                command = [python, str(HERE / script), *arguments]
                done = [json.loads(_last_line(command)) for _ in range(repeats)]
            except (OSError, subprocess.SubprocessError) as error:
                yield f"{name} {version}", f"skipped, as it does not install or run: {type(error).__name__}"
                continue
        yield f"{name} {version}", done


def _last_line(command: list[str]) -> str:
    """The last line of what a command prints, in an environment where nothing of ours is imported."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(  # noqa: S603  our own commands
        command, capture_output=True, text=True, timeout=PEER_LIMIT_S, check=True, env=outside
    )
    return (done.stdout.splitlines() or [""])[-1]


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """What this was measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [
        line.split(":", 1)[1].strip()
        for line in (cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def number(value: float) -> str:
    """Thousands apart; small ones with three significant digits, four near one."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.9 < value < 1.5 else f"{value:.3g}"


def table(results: Sequence[Row], header: Sequence[str], remarks: Sequence[str]) -> str:
    """The results as plain text."""
    width = max(len(row.what) for row in results)
    lines = [*header, "", f"{'':{width}}  {'median':>12}  {'least':>12}  {'most':>12}  unit    goal"]
    for row in results:
        cells = "  ".join(f"{number(v):>12}" for v in (row.median, min(row.values), max(row.values)))
        goal = ""
        if row.goal is not None:
            goal = f"{'≥' if row.at_least else '≤'} {number(row.goal)} {'met' if row.met else 'MISSED'}"
        lines.append(f"{row.what:{width}}  {cells}  {row.unit:6}  {goal}".rstrip())
    return "\n".join([*lines, *remarks]) + "\n"


def parser(about: str, name: str) -> argparse.ArgumentParser:
    """The arguments that all benchmarks take."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--repeats", type=int, default=3, help="of each measurement (default 3)")
    made.add_argument("--out", type=Path, help=f"folder for {name}.txt and {name}.json")
    return made


def report(
    name: str,
    packages: Sequence[str],
    arguments: argparse.Namespace,
    rows: Callable[[int], tuple[list[Row], list[str]]],
    more: Callable[[], dict[str, Any]] = dict,
) -> None:
    """Measure, print, and write if asked to.

    Args:
        name: of the two files.
        packages: whose versions are told.
        arguments: of `parser`.
        rows: measures, so many times each; the table's rows, and remarks.
        more: for the manifest, after all else.
    """
    here, before = machine(("evelab", *packages)), os.getloadavg()[0]
    results, remarks = rows(max(1, arguments.repeats))
    after = os.getloadavg()[0]
    header = [
        f"{here['cpu']}, {here['cores']} cores; {here['system']}",
        ", ".join(f"{what} {here[what]}" for what in ("python", *packages)),
        f"load average {before:.1f} before, {after:.1f} after; medians of {max(1, arguments.repeats)}",
    ]
    text = table(results, header, remarks)
    print(text, end="")
    if arguments.out is None:
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{name}.txt").write_text(text, encoding="utf-8")
    manifest = {
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": ["python", *sys.argv],
        "machine": here,
        "load_average": {"before": before, "after": after},
        "remarks": remarks,
        "rows": [
            dataclasses.asdict(row)
            | {"what": row.what.strip(), "detail": row.what[0] == " ", "median": row.median, "met": row.met}
            for row in results
        ],
        **more(),
    }
    written = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (arguments.out / f"{name}.json").write_text(written, encoding="utf-8")
