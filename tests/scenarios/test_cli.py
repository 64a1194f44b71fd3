"""The command: exit statuses, what goes to which stream, tables that fit, and clear lines when something is wrong."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nodes.attacks.catalogue import CATALOGUE
from scenarios.cli import app
from scenarios.loader import LIBRARY, load

TINY = """\
duration: 60 ms
fabric: direct
link:
  protocol: bb84
  pulse_rate: 5 MHz
  block_pulses: 50000
  length: 1 km
queries:
  rate: 200 /s
  start: 30 ms
server:
  training:
    samples: 40
expect:
  - link.blocks > 2
"""
COMMAND = [sys.executable, "-m", "scenarios.cli"]
ANSI = re.compile(rb"\x1b\[")
COLOUR = re.compile(rb"\x1b\[[0-9;]*(?:3|4|9|10)[0-7][;m]")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory with a tiny scenario in it, and no wish about colours or width."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return tmp_path


def evelab(*args: str):
    """The result of a command in this process."""
    return CliRunner().invoke(app, list(args))


def spoken(*args: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The result of a command in a process of its own, its streams no terminals."""
    return subprocess.run(  # noqa: S603  our own command
        [*COMMAND, *args], capture_output=True, check=False, env={**os.environ, **environment}
    )


def _heed_interrupts() -> None:
    """Tests that run in the background of a shell have been told to ignore Ctrl-C, and would hand that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command in a process of its own, on a terminal of 80 columns."""

    def __init__(self, *args: str, **environment: str) -> None:
        self._master, slave = pty.openpty()
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **environment}
        self._process = subprocess.Popen(  # noqa: S603  our own command
            [*COMMAND, *args],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509  it takes no lock
        )
        os.close(slave)
        self.shown = b""

    def read_until(self, wanted: bytes, within_s: float = 60.0) -> None:
        """Wait for the terminal to show something."""
        end = time.monotonic() + within_s
        while wanted not in self.shown:
            if time.monotonic() > end or not self._read():
                self._process.kill()  # a test that fails must not leave a run behind
                pytest.fail(f"not shown: {wanted!r}; shown: {self.shown[-500:]!r}")

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 1.0)[0]:
            return True
        try:
            more = os.read(self._master, 65536)
        except OSError:  # how Linux says that the other side has closed
            more = b""
        self.shown += more
        return bool(more)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def finish(self) -> int:
        """Read to the end; the exit status."""
        while self._read():
            pass
        os.close(self._master)
        return self._process.wait(timeout=60)


# Exit statuses


def test_run_that_passes_and_run_that_fails(here):
    """0 when every expectation held, 3 when one did not; both leave their folder."""
    good = evelab("run", "tiny.yaml", "--out", "good")
    assert (good.exit_code, good.stderr) == (0, "")
    assert " PASS  tiny, seed 1: 0.06 s simulated" in good.stdout
    assert good.stdout.endswith("report: good/report.html\n")
    bad = evelab("run", "tiny.yaml", "--out", "bad", "--set", "expect=[link.blocks > 2, link.qber > 20 %]")
    assert bad.exit_code == 3
    assert " FAIL " in bad.stdout
    assert re.search(r"link\.blocks > 2 +\d  held\nlink\.qber > 20 % +[\d.]+ %  FAILED\n", bad.stdout)
    assert (here / "bad" / "report.html").is_file()


def test_seed_fabric_and_overrides_reach_the_run(here):
    """The options change what is run, and the manifest has the command."""
    options = ("--seed", "9", "--fabric", "direct", "--set", "link.length=2 km", "--set", "duration=30 ms")
    result = evelab(
        "run", "tiny.yaml", *options, "--set", "queries.start=0 s", "--set", "expect=[]", "--out", "x"
    )
    assert result.exit_code == 0, result.stderr
    manifest = json.loads((here / "x" / "manifest.json").read_text())
    assert manifest["seed"] == 9
    assert manifest["scenario"]["link"]["length"] == "2 km"
    assert manifest["scenario"]["duration"] == "30 ms"


WRONG_CALLS = {
    "no such scenario": (("run", "tinny.yaml"), "tinny.yaml: there is no such file"),
    "a name that is nearly one": (("run", "baseline-bb48"), "did you mean baseline-bb84?"),
    "a negative seed": (("run", "tiny.yaml", "--seed", "-1"), "--seed"),
    "a seed that is no number": (("run", "tiny.yaml", "--seed", "one"), "--seed"),
    "no such fabric": (
        ("run", "tiny.yaml", "--fabric", "copper"),
        "got 'copper', expected qunetsim or direct",
    ),
    "an override of nothing": (("run", "tiny.yaml", "--set", "link.lenght=3 km"), "did you mean length?"),
    "an override without a value": (("run", "tiny.yaml", "--set", "link.length"), "--set link.length"),
    "an override without a unit": (("run", "tiny.yaml", "--set", "link.length=3"), "like 25 km"),
    "a folder that is not empty": (
        ("run", "tiny.yaml", "--out", "full"),
        "--out full: exists and is not an empty",
    ),
    "an option without its value": (("run", "tiny.yaml", "--out"), "--out"),
    "no scenario": (("run",), "SCENARIO"),
    "no file to check": (("check",), "FILE"),
    "no such command": (("frobnicate",), "frobnicate"),
    "no such option": (("run", "tiny.yaml", "--frobnicate"), "--frobnicate"),
    "no such action": (("attacks", "eve.tampr"), "eve.tampr: no such action: did you mean eve.tamper?"),
    "the beginning of an action": (("attacks", "intercept"), "did you mean eve.intercept_resend?"),
    "nothing like an action": (("attacks", "xyzzy"), "`evelab attacks` shows them all"),
    "a scenario that exists": (("init", "tiny.yaml"), "tiny.yaml: exists"),
    "a scenario in no folder": (("init", "no/new.yaml"), "there is no folder no"),
    "a scenario of another kind": (("init", "new.json"), "ends in .yaml"),
    "a folder that is no run's": (("report", "full"), "full: not a run's folder"),
    "a run that is not there": (("report", "gone"), "gone: not a run's folder"),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_wrong_calls(here, case):
    """A call that is wrong ends in status 2 and a line on stderr that says what, with nothing on stdout, nothing written."""
    (here / "full").mkdir()
    (here / "full" / "precious").write_text("")
    args, said = WRONG_CALLS[case]
    result = evelab(*args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in here.rglob("*")) == ["full", "precious", "tiny.yaml"]
    assert (here / "tiny.yaml").read_text() == TINY


def test_all_faults_of_a_call_at_once(here):
    """A run that is wrong in its file and its overrides is told everything in one go."""
    (here / "bad.yaml").write_text(TINY.replace("5 MHz", "5").replace("1 km", "1 mile"))
    result = evelab("run", "bad.yaml", "--set", "seed=x")
    assert result.exit_code == 2
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [
        "bad.yaml:5:15",
        "bad.yaml:7:11",
        "--set seed",
    ]


def test_fault_of_ours(here, monkeypatch):
    """A bug ends in status 1, with the trace and a line that says it is ours."""
    monkeypatch.setattr("scenarios.runner.build", lambda *_: 1 / 0)
    result = evelab("run", "tiny.yaml")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("a fault of EveLab's own while running tiny.yaml")
    assert [path.name for path in here.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("command", ["run", "init"])
def test_full_disk(here, monkeypatch, command):
    """A full disk ends in status 1 and a clear line, without a trace and without half a file."""

    def full(*_args: object, **_kwargs: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if command == "run":
        monkeypatch.setattr(Path, "write_text", full)
        result = evelab("run", "tiny.yaml", "--out", "new")
    else:
        opened = Path.open

        def open_full(path: Path, mode: str = "r", **kwargs: object):
            file = opened(path, mode, **kwargs)
            if mode == "x":
                file.write = full
            return file

        monkeypatch.setattr(Path, "open", open_full)
        result = evelab("init", "new.yaml")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in here.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("fabric", ["direct", "qunetsim"])
def test_interrupt_in_the_middle(here, fabric):
    """Ctrl-C in the middle ends in status 130 and a clear line; nothing is left, whatever the file is called."""
    (here / "odd {name} [red].yaml").write_text(TINY.replace("60 ms", "60 s", 1))
    terminal = Terminal("run", "odd {name} [red].yaml", "--fabric", fabric, "--out", "new")
    terminal.read_until(b" s of 60 s")
    terminal.interrupt()
    assert terminal.finish() == 130
    assert b"odd {name} [red].yaml" in terminal.shown
    assert b"interrupted while running" in terminal.shown
    assert b"Traceback" not in terminal.shown
    assert [path.name for path in here.iterdir() if path.name != "tiny.yaml"] == ["odd {name} [red].yaml"]


# What goes where


@pytest.mark.parametrize("fabric", ["direct", "qunetsim"])
def test_json_is_one_object_and_nothing_else(here, fabric):
    """`--json` prints exactly one JSON object on stdout and, where there is no terminal, nothing on stderr."""
    result = spoken("run", "tiny.yaml", "--json", "--fabric", fabric, "--out", "new")
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.count(b"\n") == 1
    summary = json.loads(result.stdout)
    assert (summary["scenario"], summary["fabric"], summary["out"]) == ("tiny", fabric, "new")
    assert {path.name for path in here.iterdir()} == {"tiny.yaml", "new"}


@pytest.mark.usefixtures("here")
def test_json_of_a_run_that_fails_is_still_one_object():
    """An expectation that fails changes the verdict and the status, not the form."""
    result = evelab("run", "tiny.yaml", "--json", "--set", "expect=[link.blocks == 0]")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["verdict"] == "fail"


@pytest.mark.usefixtures("here")
def test_no_ornaments_where_there_is_no_terminal():
    """Without a terminal there is no progress, no colour and no padding, however wide the environment says it is."""
    result = spoken("run", "tiny.yaml", COLUMNS="200")
    assert (result.returncode, result.stderr) == (0, b"")
    assert not ANSI.search(result.stdout)
    lines = result.stdout.decode().splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.usefixtures("here")
def test_ornaments_on_a_terminal():
    """On a terminal there is progress and colour; NO_COLOR takes the colour away."""
    plain, coloured = Terminal("run", "tiny.yaml", NO_COLOR="1"), Terminal("run", "tiny.yaml")
    assert plain.finish() == coloured.finish() == 0
    assert b"0.06 s of 0.06 s" in coloured.shown
    assert COLOUR.search(coloured.shown)
    assert not COLOUR.search(plain.shown)
    assert b" PASS " in plain.shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_that_know_few_letters(encoding):
    """A stream that has no ε and no dash gets something else, and no trace."""
    result = spoken("attacks", PYTHONIOENCODING=encoding)
    assert (result.returncode, result.stderr) == (0, b"")


def test_reader_who_leaves_early():
    """When whoever reads our output has had enough, we leave without a trace."""
    process = subprocess.Popen([*COMMAND, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603  ours
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert b"Traceback" not in said


PRINTS = [("list",), ("attacks",), *[("attacks", name) for name in CATALOGUE], ("--help",), ("run", "--help")]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("args", PRINTS, ids=" ".join)
def test_tables_fit_80_columns(args):
    """Every table fits 80 columns, pads no line, and breaks no quantity apart."""
    result = evelab(*args)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line != line.rstrip()]
    assert "\N{BRAILLE PATTERN BLANK}" not in result.stdout
    assert not ANSI.search(result.stdout.encode())


@pytest.mark.usefixtures("here")
def test_long_results_break_between_quantities():
    """In a result that takes several lines no line ends in a number that its unit should follow."""
    attacks = ", ".join(
        f"{{at: 30 ms, action: {name}}}"
        for name in ("eve.intercept_resend", "eve.tamper", "eve.replay", "eve.cut")
    )
    result = evelab("run", "tiny.yaml", "--set", f"timeline=[{attacks}]", "--set", "expect=[]")
    assert result.exit_code == 0, result.stderr
    about_eve = result.stdout[result.stdout.index("eve ") : result.stdout.index("report:")].splitlines()
    assert len([line for line in about_eve if line]) >= 2
    assert not [line for line in about_eve if re.search(r"[0-9]$", line)]
    assert re.search(r"\d (k?bit) of final key", " ".join(line.strip() for line in about_eve))


# The other commands


def test_check_tells_all_faults_of_all_files(here, monkeypatch):
    """`check` names each good file, and every fault of each bad one; it runs nothing."""
    monkeypatch.setattr("scenarios.runner.run", None)
    (here / "one.yaml").write_text(TINY.replace("5 MHz", "5").replace("1 km", "1 mile"))
    (here / "two.yaml").write_text("duration: 0 s\n")
    result = evelab("check", "one.yaml", "tiny.yaml", "two.yaml", "gone.yaml", "showcase")
    assert result.exit_code == 2
    assert result.stdout == "tiny.yaml: ok\nshowcase: ok\n"
    places = [line.split(":")[0] for line in result.stderr.splitlines()]
    assert places == ["one.yaml", "one.yaml", "two.yaml", "two.yaml", "gone.yaml"]
    assert evelab("check", "tiny.yaml").exit_code == 0


def test_list_shows_every_scenario():
    """`list` shows each scenario that ships once, by name, with its protocol; `--json` has the whole text."""
    shipped = sorted(path.stem for path in LIBRARY.glob("*.yaml"))
    lines = evelab("list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == shipped
    rows = json.loads(evelab("list", "--json").stdout)["scenarios"]
    assert [row["name"] for row in rows] == shipped
    assert rows[0] == {
        "name": shipped[0],
        "protocol": load(LIBRARY / f"{shipped[0]}.yaml").link.protocol,
        "about": load(LIBRARY / f"{shipped[0]}.yaml").about.strip(),
    }


def test_attacks_shows_the_catalogue():
    """`attacks` shows every action; one by name in full, with defaults as a file would write them."""
    lines = evelab("attacks").stdout.splitlines()
    assert [line.split()[0] for line in lines if re.match(r"  \w+\.", line)] == list(CATALOGUE)
    families = [line for line in lines if re.fullmatch(r"\w+", line.rstrip())]
    assert [line.rstrip() for line in families] == list(dict.fromkeys(a.family for a in CATALOGUE.values()))
    rows = json.loads(evelab("attacks", "--json").stdout)["attacks"]
    assert [row["name"] for row in rows] == list(CATALOGUE)
    tamper = evelab("attacks", "eve.tamper").stdout
    assert "default [query]" in tamper
    assert "fraction  share of those messages that she changes; default 100 %" in tamper
    delay = evelab("attacks", "network.delay").stdout
    assert "one way; required" in delay
    assert "default 0 s" in delay
    assert "default 200 /s" in evelab("attacks", "eve.exhaust_keys").stdout
    assert "default true" in evelab("attacks", "eve.photon_number_splitting").stdout
    (one,) = json.loads(evelab("attacks", "eve.tamper", "--json").stdout)["attacks"]
    assert {p["name"]: p["default"] for p in one["parameters"]} == {
        "messages": ["query"],
        "bits": 1,
        "fraction": 1.0,
    }


@pytest.mark.parametrize("name", ["new.yaml", "My New File.yml"])
def test_init_writes_a_scenario_that_runs(here, name):
    """`init` writes a commented file that passes the check, runs and passes, and refuses to write over it."""
    made = evelab("init", name)
    assert (made.exit_code, made.stdout) == (0, "")
    assert made.stderr == f"wrote {name}; run it with: evelab run {shlex.quote(name)}\n"
    text = (here / name).read_text(encoding="utf-8")
    assert text.count("#") > 10
    assert evelab("check", name).exit_code == 0
    assert evelab("init", name).exit_code == 2
    assert (here / name).read_text(encoding="utf-8") == text
    if name == "new.yaml":
        assert evelab("run", name, "--fabric", "direct", "--out", "out").exit_code == 0


def test_schema_is_json_schema():
    """`schema` prints one JSON Schema, which knows the sections of a scenario."""
    result = evelab("schema")
    schema = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"duration", "link", "timeline", "expect"} <= set(schema["properties"])


def test_report_is_made_again(here):
    """`report` makes the page again from the tables, byte for byte, and prints where it is."""
    assert evelab("run", "tiny.yaml", "--out", "run").exit_code == 0
    page = here / "run" / "report.html"
    before = page.read_bytes()
    page.unlink()
    result = evelab("report", "run")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "run/report.html\n", "")
    assert page.read_bytes() == before


def test_version_and_help():
    """`--version` prints the version; no command at all is a wrong call that shows the help."""
    version = evelab("--version")
    assert re.fullmatch(r"evelab \d+\.\d+\.\d+\S*\n", version.stdout)
    nothing = evelab()
    assert nothing.exit_code == 2
    assert "Commands:" in nothing.stdout + nothing.stderr
    assert "[default: a new one in" in evelab("run", "--help").stdout


HEAVY = ("qiskit", "qunetsim", "sklearn", "scipy", "simpy")


@pytest.mark.parametrize(
    ("doing", "spared"),
    [
        ("import scenarios.loader", ("qiskit", "qunetsim", "sklearn")),
        (
            "from scenarios.cli import main; sys.argv[1:] = ['--help']; main()",
            (*HEAVY, "numpy", "pydantic", "rich.table"),
        ),
        ("from scenarios.cli import main; sys.argv[1:] = ['list']; main()", HEAVY),
        ("from scenarios.cli import main; sys.argv[1:] = ['attacks']; main()", HEAVY),
        ("from scenarios.cli import main; sys.argv[1:] = ['check', 'showcase']; main()", HEAVY),
    ],
    ids=["loader", "help", "list", "attacks", "check"],
)
def test_small_commands_import_little(doing, spared):
    """What only reads files imports nothing that a run needs, and help next to nothing: it stays quick."""
    told = f"print([name for name in {spared!r} if name in sys.modules], file=sys.stderr)"
    code = f"import sys, atexit\natexit.register(lambda: {told})\n{doing}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)  # noqa: S603  our own code
    assert (result.returncode, result.stderr) == (0, b"[]\n")


@pytest.mark.usefixtures("here")
def test_an_error_that_an_interrupt_became_is_an_interruption(monkeypatch):
    """Where a library turns Ctrl-C into an error of its own, the status is still 130 and there is no trace."""

    def broken(*_):
        raise RuntimeError("half an import")

    monkeypatch.setattr("scenarios.loader.load", broken)
    assert evelab("check", "tiny.yaml").exit_code == 1
    monkeypatch.setattr("scenarios.cli._interrupts", [2])
    result = evelab("check", "tiny.yaml")
    assert result.exit_code == 130
    assert "interrupted while checking" in result.stderr
    assert "Traceback" not in result.stderr
