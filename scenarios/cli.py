"""The command `evelab`. Data on stdout, progress and prose on stderr.

Exit status: 0 ran and every expectation held; 3 ran, some did not; 2 the scenario or the call is wrong;
1 a fault of ours, or of the disk; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

FAILED, WRONG, FAULT, INTERRUPTED = 3, 2, 1, 130

app = typer.Typer(
    help="A range for attacking and defending a QKD link that feeds a quantum inference server.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help and plain errors: Rich would take [default: ...] for markup
    pretty_exceptions_enable=False,
)

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A path, or the name of one that ships.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the file; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]


def main() -> None:
    """Entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no ε is no reason to fail
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    app()


_interrupts: list[int] = []
"""Signals of Ctrl-C that came: a library that is interrupted may raise an error of its own instead."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupts.append(number)
    signal.default_int_handler(number, frame)


@contextlib.contextmanager
def _speaking_plainly(doing: str) -> Iterator[None]:
    """Turn what goes wrong into a clear line and an exit status."""
    from netsim.errors import ScenarioError  # noqa: PLC0415  keeps `--help` quick, as do the imports below

    try:
        yield
    except ScenarioError as error:
        for fault in error.faults:
            _say(fault)
        raise typer.Exit(WRONG) from None
    except KeyboardInterrupt:
        _say(f"interrupted while {doing}: nothing of it was kept; what had finished before is whole")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise  # whoever read our output has had enough: Typer leaves quietly
    except OSError as error:
        _say(f"could not finish {doing}: {error}; nothing half-written was left")
        raise typer.Exit(FAULT) from None
    except typer.Exit:
        raise
    except Exception:  # noqa: BLE001  the last line of defence: whatever it is, the user gets the trace and status 1
        if _interrupts:
            _say(f"interrupted while {doing}: nothing of it was kept; what had finished before is whole")
            raise typer.Exit(INTERRUPTED) from None
        traceback.print_exc()
        _say(
            f"a fault of EveLab's own while {doing}: please report the lines above with the scenario and the seed"
        )
        raise typer.Exit(FAULT) from None


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata  # noqa: PLC0415  keeps `--help` quick

        print(f"evelab {importlib.metadata.version('evelab')}")
        raise typer.Exit


@app.callback()
def _evelab(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """A range for attacking and defending a QKD link that feeds a quantum inference server."""


@app.command()
def run(
    scenario: ScenarioArgument,
    seed: Annotated[int | None, typer.Option(help="Instead of the scenario's.", min=0)] = None,
    overrides: Overrides = None,
    fabric: Annotated[str | None, typer.Option(help="qunetsim or direct, instead of the scenario's.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run's folder, new or empty.  [default: a new one in results/runs/]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a scenario and report what was measured."""
    with _speaking_plainly(f"running {scenario}"):
        from scenarios.console import Progress, print_result  # noqa: PLC0415
        from scenarios.runner import run as run_scenario  # noqa: PLC0415

        with Progress(scenario) as progress:
            result = run_scenario(
                scenario,
                seed=seed,
                overrides=overrides or (),
                fabric=fabric,
                out=out,
                progress=progress,
                command=["evelab", *sys.argv[1:]],
            )
        if as_json:
            print(json.dumps(result.summary, allow_nan=False))
        else:
            print_result(result)
    if not result.passed:
        raise typer.Exit(FAILED)


@app.command()
def check(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Scenario files, or names of some that ship.")
    ],
) -> None:
    """Find every fault in scenario files; run nothing."""
    from netsim.errors import ScenarioError  # noqa: PLC0415
    from scenarios.loader import find, load  # noqa: PLC0415

    wrong = False
    with _speaking_plainly("checking"):
        for file in files:
            try:
                load(find(file))
            except ScenarioError as error:
                wrong = True
                for fault in error.faults:
                    _say(fault)
            else:
                print(f"{file}: ok")
    if wrong:
        raise typer.Exit(WRONG)


@app.command("list")
def list_scenarios(as_json: AsJson = False) -> None:
    """Show the scenarios that ship."""
    with _speaking_plainly("listing"):
        from scenarios.console import print_scenarios  # noqa: PLC0415
        from scenarios.loader import LIBRARY, load  # noqa: PLC0415

        shipped = [load(path) for path in sorted(LIBRARY.glob("*.yaml"), key=lambda path: path.stem)]
        if as_json:
            rows = [{"name": s.name, "protocol": s.link.protocol, "about": s.about.strip()} for s in shipped]
            print(json.dumps({"scenarios": rows}))
        else:
            print_scenarios(shipped)


@app.command()
def attacks(
    name: Annotated[str | None, typer.Argument(help="One entry, in full.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the catalogue of what a timeline can do."""
    with _speaking_plainly("reading the catalogue"):
        from scenarios.console import catalogue_entries, print_attack, print_attacks  # noqa: PLC0415

        entries = catalogue_entries(name)
        if as_json:
            print(json.dumps({"attacks": entries}))
        elif name is None:
            print_attacks(entries)
        else:
            print_attack(entries[0])


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="NAME.yaml", help="The file to write; must not exist.")],
) -> None:
    """Write a commented scenario that runs."""
    with _speaking_plainly(f"writing {file}"):
        from netsim.errors import ScenarioError  # noqa: PLC0415
        from scenarios.loader import LIBRARY  # noqa: PLC0415

        if file.suffix not in (".yaml", ".yml"):
            raise ScenarioError([f"{file}: expected a name that ends in .yaml"])
        text = (LIBRARY.parent / "template.yaml").read_text(encoding="utf-8")
        if not file.parent.is_dir():
            raise ScenarioError([f"{file}: there is no folder {file.parent}"])
        try:
            target = file.open("x", encoding="utf-8")
        except FileExistsError:
            raise ScenarioError([f"{file}: exists; name a file that does not"]) from None
        try:
            with target:
                target.write(text)
        except BaseException:
            file.unlink()
            raise
        _say(f"wrote {file}; run it with: evelab run {shlex.quote(str(file))}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a scenario file."""
    with _speaking_plainly("making the schema"):
        from scenarios.schema import json_schema  # noqa: PLC0415

        print(json.dumps(json_schema(), indent=2))


@app.command()
def report(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run's folder.")],
) -> None:
    """Make report.html of a run again, from its tables."""
    with _speaking_plainly(f"reporting {run_dir}"):
        from scenarios.report import write_report  # noqa: PLC0415

        print(write_report(run_dir))


@app.command()
def account(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run's folder.")],
    block: Annotated[
        int | None, typer.Option(help="One block, by its number.  [default: all that gave key]", min=0)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show where the bits and the time of a run's blocks went, line by line."""
    with _speaking_plainly(f"accounting for {run_dir}"):
        from scenarios import account as accounts  # noqa: PLC0415
        from scenarios.console import print_account  # noqa: PLC0415

        found = accounts.account(run_dir, block)
        if as_json:
            print(json.dumps(found.as_data(), allow_nan=False))
        else:
            print_account(found)


@app.command()
def rate(
    preset: Annotated[
        str, typer.Option(help="A published system; --show prints where its values are from.")
    ] = "ghz",
    protocol: Annotated[
        list[str] | None, typer.Option(help="To compare; may be repeated.  [default: the preset's]")
    ] = None,
    distances: Annotated[
        str | None, typer.Option(help="Kilometres: 0:200:5 or 10,50,100.  [default: the preset's]")
    ] = None,
    block: Annotated[
        str | None, typer.Option(help="Sifted bits, 1e7, or '1e10 pulses'.  [default: the preset's]")
    ] = None,
    optimise: Annotated[
        bool, typer.Option(help="Choose intensities, probabilities and bias for each distance.")
    ] = True,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the preset; may be repeated."),
    ] = None,
    simulate: Annotated[
        str | None, typer.Option(help="Kilometres at which to run the link as well, as --distances.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs for each simulated point.")] = 5,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the numbers.")] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figure; a page, if it ends in .html.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only print the preset, value by value.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print secret key rates against distance, for protocols side by side."""
    with _speaking_plainly("computing rates"):
        from scenarios import presets, rate_output  # noqa: PLC0415
        from scenarios import rate as rates  # noqa: PLC0415

        if show:
            print(rate_output.shown_preset(presets.find(preset)))
            return
        request = rates.asked(
            preset=preset,
            protocols=protocol or (),
            distances=distances,
            block=block,
            optimise=optimise,
            settings=overrides or (),
            simulate=simulate,
            seeds=seeds,
            csv=csv,
            svg=svg,
        )
        made = rates.curves(request)
        if csv is not None:
            rate_output.write(csv, rate_output.as_csv(made))
        if svg is not None:
            from scenarios import rate_figure  # noqa: PLC0415

            rate_output.write(
                svg, rate_figure.page(made) if svg.suffix == ".html" else rate_figure.standalone(made)
            )
        print(
            json.dumps(rate_output.as_data(made), allow_nan=False) if as_json else rate_output.printed(made)
        )


@app.command()
def reproduce(
    what: Annotated[
        str, typer.Argument(metavar="[paper|attacks|detector]", help="What to measure.")
    ] = "paper",
    full: Annotated[
        bool, typer.Option("--full/--quick", help="Minutes for more seeds and points, or two for fewer.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 1,
    seeds: Annotated[
        int | None,
        typer.Option(help="Data sets or bouts for each mean.  [default: the mode's]", min=2),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New, empty, or an earlier reproduction's.  [default: results/reproduction/<what>]"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the paper's claims, the duels of attacks and defences, or the detectors."""
    with _speaking_plainly(f"reproducing {what}"):
        from scenarios.reproduction.command import reproduce as reproduced  # noqa: PLC0415

        made = reproduced(what, full=full, seed=seed, seeds=seeds, out=out, say=_say)
        print(json.dumps(made.as_data(), allow_nan=False) if as_json else made.printed())


if __name__ == "__main__":
    main()
