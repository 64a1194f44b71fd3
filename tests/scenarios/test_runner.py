"""Running a scenario: what comes back, what is written, that it is the same again, and that nothing is left half done."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scenarios
from netsim.errors import ScenarioError
from scenarios import runner
from scenarios.loader import load, load_text
from scenarios.runner import Result, run

TINY = """\
duration: 100 ms
fabric: direct
link:
  protocol: bb84
  pulse_rate: 5 MHz
  block_pulses: 50000
  length: 1 km
queries:
  clients: 2
  rate: 200 /s
  start: 30 ms
server:
  training:
    samples: 40
timeline:
  - at: 60 ms
    until: 80 ms
    action: eve.intercept_resend
expect:
  - eve.detected == true
  - qber during 60 ms..80 ms > 15 %
"""
E91 = ("link.protocol=e91", "link.block_pulses=100000")

NUMBER = (int, float)
CONTRACT = {
    "scenario": str,
    "seed": int,
    "verdict": str,
    "simulated_s": float,
    "wall_s": float,
    "link.protocol": str,
    "link.pulses_sent": int,
    "link.detections": int,
    "link.sifted_bits": int,
    "link.qber": float,
    "link.chsh_s": (float, type(None)),
    "link.blocks": int,
    "link.blocks_aborted": int,
    "link.abort_reasons": dict,
    "link.secret_bits": int,
    "link.secret_key_rate_bps": NUMBER,
    "link.net_key_rate_bps": NUMBER,
    "link.reconciliation_efficiency": float,
    "link.epsilon": float,
    "keys.delivered_bits": int,
    "keys.consumed_bits": int,
    "keys.reused_bits": int,
    "keys.mismatched_bits": int,
    "keys.exhausted_events": int,
    "queries.sent": int,
    "queries.answered": int,
    "queries.rejected": int,
    "queries.lost": int,
    "queries.latency_s.p50": float,
    "queries.latency_s.p95": float,
    "queries.latency_s.p99": float,
    "queries.accuracy": float,
    "queries.throughput_per_s": NUMBER,
    "eve.attacks": list,
    "eve.known_key_bits": int,
    "eve.known_query_bits": int,
    "eve.detected": bool,
    "eve.detection_delay_s": (float, type(None)),
    "expect": list,
    "out": str,
}
"""The public contract: every key of the summary, and its type."""


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Path:
    """The tiny scenario's file, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def at(summary, path: str):
    """The value under a dotted path."""
    for name in path.split("."):
        summary = summary[name]
    return summary


def tables(result: Result) -> dict[str, bytes]:
    """The bytes of a run's tables and events."""
    assert result.out is not None
    found = {
        path.name: path.read_bytes() for path in result.out.iterdir() if path.suffix in (".csv", ".jsonl")
    }
    assert sorted(found) == ["blocks.csv", "events.jsonl", "metrics.csv", "queries.csv", "summary.csv"]
    return found


def left(folder: Path) -> list[str]:
    """The names of everything in a folder, at any depth."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(*args, **kwargs) -> list[str]:
    """The faults with which a call is refused."""
    with pytest.raises(ScenarioError) as caught:
        run(*args, **kwargs)
    return list(caught.value.faults)


# What comes back


@pytest.mark.parametrize("overrides", [(), E91], ids=["bb84", "e91"])
def test_summary_keeps_the_public_contract(tiny, overrides):
    """Every key of the contract is there, with its type, and the summary is JSON."""
    result = run(tiny, overrides=overrides)
    for path, expected in CONTRACT.items():
        value = at(result.summary, path)
        assert isinstance(value, expected), (path, value)
        assert isinstance(value, bool) == (expected is bool), (path, value)
    assert json.loads(json.dumps(result.summary, allow_nan=False)) == result.summary
    assert (result.summary["link"]["chsh_s"] is None) == (overrides == ())
    assert result.summary["scenario"] == "tiny"
    assert result.summary["eve"]["attacks"] == ["eve.intercept_resend"]
    assert set(result.summary["expect"][0]) == {"expression", "value", "passed"}
    assert Path(result.summary["out"]) == result.out


def test_package_runs_scenarios_that_ship_by_name():
    """`scenarios.run("name", seed=...)` is the runner's, and the summary says what it ran."""
    result = scenarios.run("qubits-bb84", seed=7, fabric="direct", write=False)
    assert (result.summary["scenario"], result.summary["seed"]) == ("qubits-bb84", 7)
    assert result.passed
    with pytest.raises(AttributeError, match="sweeps"):
        _ = scenarios.sweeps


def test_verdict_is_that_of_every_expectation(tiny):
    """One expectation that fails makes the verdict a failure, and each says what was measured."""
    good = run(tiny, write=False)
    bad = run(tiny, overrides=["expect=[eve.detected == true, link.blocks < 3]"], write=False)
    assert (good.passed, good.summary["verdict"]) == (True, "pass")
    assert (bad.passed, bad.summary["verdict"]) == (False, "fail")
    assert bad.summary["expect"] == [
        {"expression": "eve.detected == true", "value": True, "passed": True},
        {"expression": "link.blocks < 3", "value": bad.summary["link"]["blocks"], "passed": False},
    ]


def test_run_without_a_single_block(tiny):
    """A run too short for a block has nothing to show, says so with zeros and nulls, and is written."""
    summary = run(tiny, overrides=["duration=5 ms", "queries.start=0 s", "timeline=[]", "expect=[]"]).summary
    assert summary["verdict"] == "pass"
    assert (summary["link"]["blocks"], summary["link"]["secret_bits"], summary["link"]["qber"]) == (
        0,
        0,
        None,
    )
    assert summary["link"]["reconciliation_efficiency"] is None
    assert summary["queries"]["latency_s"] == {"p50": None, "p95": None, "p99": None}
    assert summary["queries"]["accuracy"] is None
    assert summary["eve"]["detection_delay_s"] is None


def test_shortest_duration(tiny):
    """A duration so short that its steps fall together runs like any other."""
    short = ["duration=5e-324 s", "queries.start=0 s", "timeline=[]", "expect=[]"]
    assert run(tiny, overrides=short, write=False).summary["link"]["blocks"] == 0


def test_training_set_of_one_label_still_answers(tiny):
    """An adversary who leaves one label only gets a server that answers that label, and no fault of ours."""
    poison = "timeline=[{at: 0 s, action: model.flip_labels, fraction: 50 %, how: targeted}]"
    result = run(tiny, overrides=[poison, "expect=[]"], write=False)
    assert len({query.answer for query in result.findings.queries if query.answer is not None}) == 1


# The same again


def test_same_tables_again_and_over_either_fabric(tiny):
    """Same file and seed, same bytes: twice in one process, and whether QuNetSim carries it or not."""
    first = tables(run(tiny))
    assert tables(run(tiny)) == first
    assert tables(run(tiny, fabric="qunetsim")) == first


def test_same_e91_tables_over_either_fabric(tiny):
    """The fabrics agree on entangled pairs from a source in the middle, with a lossy, jittery channel."""
    odd = (*E91, "link.source.position=middle", "classical.loss=5 %", "classical.jitter=1 ms")
    assert tables(run(tiny, overrides=odd)) == tables(run(tiny, overrides=odd, fabric="qunetsim"))


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_same_tables_in_a_fresh_process(tiny, hash_seed):
    """Same file and seed, same bytes, in another process, whatever Python's hash seed."""
    out = tiny.parent / "elsewhere"
    code = f"from scenarios.runner import run; run({str(tiny)!r}, out={str(out)!r})"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)  # noqa: S603  our own code
    here = tables(run(tiny))
    assert {name: (out / name).read_bytes() for name in here} == here


def test_another_seed_is_another_run(tiny):
    """Another seed changes the tables; the seed of the file counts when none is given."""
    one, other = run(tiny, seed=1), run(tiny, seed=2)
    assert one.summary["link"]["detections"] != other.summary["link"]["detections"]
    assert tables(run(tiny)) == tables(one)
    assert tables(run(tiny, overrides=["seed=2"])) == tables(other)


# What may be asked


def test_overrides_and_a_scenario_already_loaded(tiny):
    """Overrides change the file's values; a scenario already loaded runs as it is, and takes none."""
    changed = run(tiny, overrides=["link.length=20 km"], write=False)
    assert changed.summary["link"]["detections"] < run(tiny, write=False).summary["link"]["detections"]
    assert run(load(tiny, ["link.length=20 km"]), write=False).findings.summary == changed.findings.summary
    (fault,) = refused(load(tiny), overrides=["seed=2"])
    assert "already loaded" in fault


def test_every_wrong_argument_is_refused_before_anything_runs(tiny):
    """Seeds and fabrics that are none are refused together, with what was expected."""
    assert refused(tiny, seed=-1, fabric="quantum") == [
        "seed: got -1, expected a whole number, at least 0",
        "fabric: got 'quantum', expected qunetsim or direct",
    ]
    for seed in (True, 1.0, "1"):
        assert "expected a whole number" in refused(tiny, seed=seed)[0]
    assert "write=False" in refused(tiny, out="x", write=False)[0]
    assert refused("no-such-scenario")
    assert left(tiny.parent) == ["tiny.yaml"]


def test_numpy_integers_are_seeds(tiny):
    """A NumPy integer is a seed like any other, and the summary is still JSON."""
    result = run(tiny, seed=np.int64(2), write=False)
    assert json.dumps(result.summary)
    assert result.findings.summary == run(tiny, seed=2, write=False).findings.summary


def test_progress_is_told_in_order(tiny):
    """Progress goes up to the whole duration and never back."""
    told: list[tuple[float, float]] = []
    run(tiny, write=False, progress=lambda now_s, total_s: told.append((now_s, total_s)))
    times = [now_s for now_s, _ in told]
    assert times == sorted(times)
    assert told[-1] == (0.1, 0.1)
    assert {total_s for _, total_s in told} == {0.1}


# Where it is written


def test_nothing_is_written_when_not_asked_for(tiny):
    """With write=False there is no folder, and the summary says so."""
    result = run(tiny, write=False)
    assert result.out is None
    assert result.summary["out"] is None
    assert left(tiny.parent) == ["tiny.yaml"]


def test_default_folders_do_not_meet(tiny, monkeypatch):
    """A run whose folder's name is taken, by another of the same second, takes the next number."""
    monkeypatch.setattr(runner, "folder_for", lambda *_: Path("results/runs/tiny-now"))
    names = [str(run(tiny).out) for _ in range(3)]
    assert names == [f"results/runs/tiny-now{number}" for number in ("", "-2", "-3")]
    assert all(len(list(Path(name).iterdir())) == 7 for name in names)


def test_default_folder_is_named_after_the_run(tiny):
    """The default folder lies under results/runs and begins with the scenario's name."""
    out = run(tiny).out
    assert out is not None
    assert out.parent == Path("results/runs")
    assert out.name.startswith("tiny-2")
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_out_is_made_with_its_parents(tiny):
    """A new folder is made, its parents too, and is named as it was asked for."""
    result = run(tiny, out="deep/er/here")
    assert result.summary["out"] == "deep/er/here"
    assert [path.name for path in (tiny.parent / "deep/er").iterdir()] == ["here"]


@pytest.mark.parametrize("how", ["folder", "link", "here"])
def test_empty_folder_is_filled_not_replaced(tiny, monkeypatch, how):
    """An empty folder that is there, perhaps where a disk is mounted or where we stand, is kept and filled."""
    folder = tiny.parent / "empty"
    folder.mkdir()
    before = folder.stat().st_ino
    out = folder
    if how == "link":
        out = tiny.parent / "link"
        out.symlink_to(folder)
    elif how == "here":
        monkeypatch.chdir(folder)
        out = Path()
    result = run(tiny, out=out)
    assert folder.stat().st_ino == before
    assert len(tables(result)) == 5
    assert len(left(folder)) == 7


@pytest.mark.parametrize("out", ["full", "file", "file/below", "gone", "/dev/null"])
def test_places_where_no_folder_can_be_are_refused_first(tiny, monkeypatch, out):
    """A folder with something in it, a file, below a file, a dangling link, a device: refused before the run."""
    folder = tiny.parent
    (folder / "full").mkdir()
    (folder / "full" / "precious").write_text("")
    (folder / "file").write_text("")
    (folder / "gone").symlink_to("nowhere")
    monkeypatch.setattr(runner, "build", None)  # running would fail otherwise
    before = left(folder)
    (fault,) = refused(tiny, out=out)
    assert fault.startswith(f"--out {out}: ")
    assert left(folder) == before


# Nothing half done


@pytest.mark.parametrize("fabric", ["direct", "qunetsim"])
def test_interrupted_run_leaves_nothing(tiny, fabric):
    """An interrupt in the middle passes through, leaves no folder, and the next run is as if it had not been."""

    def interrupt(now_s: float, total_s: float) -> None:
        if now_s > total_s / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny, fabric=fabric, progress=interrupt)
    assert left(tiny.parent) == ["tiny.yaml"]
    assert tables(run(tiny, fabric=fabric)) == tables(run(tiny))


@pytest.mark.parametrize("out", ["new", "empty", None])
@pytest.mark.parametrize("name", ["summary.csv", "manifest.json", ".report.html.partial"])
def test_full_disk_leaves_nothing(tiny, monkeypatch, out, name):
    """A disk that is full at any file ends in an OSError, with no folder of the run and nothing hidden."""
    (tiny.parent / "empty").mkdir()
    write = Path.write_text

    def full(path: Path, *args, **kwargs) -> int:
        if path.name == name:
            write(path, "half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        run(tiny, out=out)
    assert [path for path in left(tiny.parent) if not path.startswith("results")] == ["empty", "tiny.yaml"]
    assert not list((tiny.parent / "results").rglob("*.partial"))
    assert not list((tiny.parent / "results").rglob("tiny-*"))


def test_file_that_may_not_grow_leaves_nothing(tiny):
    """A write that the operating system itself refuses in the middle leaves nothing either."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            run(tiny, out="new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left(tiny.parent) == ["tiny.yaml"]


def test_failed_move_into_an_empty_folder_leaves_it_empty(tiny, monkeypatch):
    """When a file cannot be moved into the folder that was there, those already moved go again."""
    folder = tiny.parent / "empty"
    folder.mkdir()
    rename = Path.rename

    def stubborn(path: Path, target: Path) -> Path:
        if path.name == "manifest.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(OSError, match="Input/output"):
        run(tiny, out=folder)
    assert left(folder) == []


def test_files_put_into_the_folder_meanwhile_are_not_overwritten(tiny):
    """What somebody else puts into the empty folder during the run stays, and the run says that it could not go there."""
    folder = tiny.parent / "empty"
    folder.mkdir()

    def meddle(now_s: float, total_s: float) -> None:
        if now_s >= total_s:
            (folder / "summary.csv").write_text("theirs")

    with pytest.raises(FileExistsError):
        run(tiny, out=folder, progress=meddle)
    assert left(folder) == ["summary.csv"]
    assert (folder / "summary.csv").read_text() == "theirs"


def test_loaded_text_runs():
    """A scenario needs no file: one loaded from text runs."""
    assert run(load_text(TINY, "here.yaml"), write=False).summary["scenario"] == "here"
