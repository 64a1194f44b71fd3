"""What may know what: read from the source, so that a protocol that cheats shows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("netsim", "nodes", "scenarios")
SECRETS = {"_states", "_photons", "_flags", "_pairs", "_partner", "_qubits", "_pulses"}
SOURCES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
NETSIM = [name for name in SOURCES if name.startswith("netsim/")]
NODES = [name for name in SOURCES if name.startswith("nodes/")]


def imported(name: str) -> set[str]:
    """Every module that a source imports, also inside functions; `from a import b` counts as a and a.b."""
    modules = set()
    for node in ast.walk(SOURCES[name]):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def names_in(name: str, *, own: bool = True) -> set[str]:
    """Every attribute that a source touches, those of `self` perhaps left out, and every string in it that could name one."""
    return {
        node.attr if isinstance(node, ast.Attribute) else str(node.value)
        for node in ast.walk(SOURCES[name])
        if isinstance(node, ast.Constant) or (isinstance(node, ast.Attribute) and (own or not is_own(node)))
    }


def is_own(node: ast.Attribute) -> bool:
    """Whether it is an attribute of `self`."""
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def test_the_scan_sees_what_it_looks_for():
    """The sources are found, and in photonics the secrets are touched."""
    assert len(NETSIM) > 20
    assert len(NODES) > 10
    touched = set().union(*(names_in(name) for name in NETSIM if "/photonics/" in name))
    assert touched >= SECRETS
    assert "netsim.photonics.train" in imported("nodes/alice.py")


@pytest.mark.parametrize("name", [name for name in NETSIM + NODES if "/photonics/" not in name])
def test_physics_keeps_its_secrets(name):
    """Nobody outside photonics touches what a pulse's state is, how many photons it has, what it is marked with, or where its partner is."""
    assert not names_in(name, own=False) & SECRETS


@pytest.mark.parametrize(("one", "other"), [("alice", "bob"), ("bob", "alice")])
def test_alice_and_bob_meet_only_through_messages(one, other):
    """Neither imports the other, nor Eve, nor the source between them, nor anything that does."""
    seen: set[str] = set()
    pending = [f"nodes/{one}.py"]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            paths = [module.replace(".", "/") + ".py" for module in imported(name)]
            pending += [path for path in paths if path in SOURCES]
    assert f"nodes/{one}.py" in seen
    assert not seen & {f"nodes/{other}.py", "nodes/eve.py", "nodes/double.py", "nodes/source.py"}


def test_imports_go_one_way():
    """Scenarios → nodes → netsim, and never back."""
    for name in SOURCES:
        package = name.split("/")[0]
        above = PACKAGES[PACKAGES.index(package) + 1 :]
        assert not {module for module in imported(name) if module.split(".")[0] in above}, name


def test_only_one_file_each_imports_the_network_simulator_and_its_engine():
    """QuNetSim is the adapter's, EQSN the state vectors'."""

    def importers(module: str) -> list[str]:
        return [name for name in SOURCES if any(m.split(".")[0] == module for m in imported(name))]

    assert importers("qunetsim") == ["netsim/fabric/qunetsim.py"]
    assert importers("eqsn") == ["netsim/photonics/state_vectors.py"]


@pytest.mark.parametrize("name", NETSIM + NODES)
def test_nothing_reads_the_clock_or_global_randomness(name):
    """Simulated time and named streams are all there is below scenarios; a hook for forks tells neither."""
    modules = imported(name)
    if {module for module in modules if module.startswith("os.")} == {"os.register_at_fork"}:
        modules -= {"os"}
    assert not modules & {"time", "datetime", "random", "secrets", "os"}
    assert not names_in(name) & {"default_rng", "RandomState", "urandom"}
