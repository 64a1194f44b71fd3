"""Fabrics: QuNetSim and direct carry the same bits through the same taps, and leave nothing behind."""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from qunetsim.components import Network
from qunetsim.objects import Logger

from netsim.errors import FabricError
from netsim.fabric.base import Fabric, Frame
from netsim.fabric.direct import DirectFabric
from netsim.fabric.qunetsim import QuNetSimFabric, _Host
from netsim.photonics.emitter import Emitter
from netsim.photonics.fibre import Fibre
from netsim.photonics.train import Train
from netsim.random_streams import random_bits
from netsim.topology import Site, Topology

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("kind", [DirectFabric, QuNetSimFabric])
SITES = [Site("alice", 0), Site("eve", 3), Site("source", 5), Site("bob", 10)]


class Eve:
    """Measures and blocks light; tampers with, drops and takes frames; and keeps a diary."""

    def __init__(self, seed: int = 5) -> None:
        self.rng = np.random.default_rng(seed)
        self.diary: list[object] = []

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:
        """Measure what passes, and block a part."""
        settings = random_bits(where.stop - where.start, self.rng) * np.uint8(2)
        found = train.measure(where, settings, self.rng)
        train.lose(where, 0.9, self.rng)
        self.diary.append((receiver, where.start, where.stop, found.tolist()))

    def on_frame(self, frame: Frame) -> None:
        """Do something else to each of four."""
        self.diary.append(frame.data)
        match frame.data[-1] % 4:
            case 1:
                frame.data = frame.data[:-1] + b"\xfc"
            case 2:
                frame.fate = "dropped"
            case 3:
                frame.fate = "taken"


def topology() -> Topology:
    """Alice, Eve, a source and Bob on 10 km, a server behind Bob."""
    return Topology(SITES, 0.2, 0.05, behind=[("bob", "server")])


def fabric_of(kind: type[Fabric]) -> Fabric:
    """A fabric, not started."""
    return kind(topology(), np.random.default_rng(3))


def carry_everything(kind: type[Fabric], grain: str) -> list[object]:
    """All sorts of payloads past Eve at several hosts; everything that anyone got to see."""
    fabric = fabric_of(kind)
    eve, other = Eve(), Eve(6)
    with fabric:
        fabric.attach({"eve": eve, "bob": other, "alice": other, "server": other})

        def emitter(host: str) -> Emitter:
            return Emitter(1e6, 0.9, fabric.qubits(host) if grain == "qubit" else None)

        rng, n = np.random.default_rng(7), 40
        states = rng.integers(0, 8, n, dtype=np.uint8)
        settings = rng.integers(0, 8, n, dtype=np.uint8)
        log: list[object] = []

        def measure(train: Train) -> None:
            log.append(train.measure(slice(0, n), settings, rng).tolist())

        for block in range(2):
            train = emitter("alice").photons(states, block, 0.0)
            train.lose(slice(0, 5), 0.0, rng)
            fabric.carry_photons("alice", "bob", train)
            measure(train)
            kept, sent = emitter("alice").pairs(n, block, 0.0, rng)
            fabric.carry_photons("alice", "bob", sent)
            measure(sent)
            measure(kept)
            to_alice, to_bob = emitter("source").pairs(n, block, 0.0, rng)
            fabric.carry_photons("source", "alice", to_alice)
            fabric.carry_photons("source", "bob", to_bob)
            mine, other_half = emitter("eve").pairs(n, block, 0.0, rng)
            to_bob.replace(slice(0, n), other_half)
            for half in (to_alice, to_bob, mine):
                measure(half)
            for i in range(4):
                for ends in (("alice", "bob"), ("bob", "alice"), ("eve", "bob"), ("bob", "server")):
                    frame = fabric.carry_frame(*ends, bytes([block, i]))
                    log.append((frame.data, frame.fate))
    return [*log, eve.diary, other.diary]


@pytest.mark.parametrize("grain", ["pulse", "qubit"])
def test_both_fabrics_carry_the_same_bits(grain):
    """Whatever is measured, tampered with, blocked or taken on the way: equal outcomes, frames and diaries."""
    one, other = carry_everything(DirectFabric, grain), carry_everything(QuNetSimFabric, grain)
    assert one == other
    assert one[-1] == []  # taps at the ends see nothing: only what passes is tapped


@BOTH
def test_a_tap_sees_a_frame_until_it_is_lost(kind):
    """The second relay does not get to see what the first dropped."""
    sites = [Site(name, 0) for name in ("alice", "one", "two", "bob")]
    fabric = kind(Topology(sites, 0.2, 0.0), np.random.default_rng(1))
    one, two = Eve(), Eve()
    with fabric:
        fabric.attach({"one": one, "two": two})
        fates = [fabric.carry_frame("alice", "bob", bytes([i])).fate for i in range(4)]
    assert fates == ["passed", "passed", "dropped", "taken"]
    assert one.diary == [bytes([i]) for i in range(4)]
    assert two.diary == [b"\x00", b"\xfc"]


@BOTH
def test_light_needs_fibre_all_the_way(kind):
    """Photons to a host on the local network are the caller's mistake, and the fabric goes on."""
    with fabric_of(kind) as fabric:
        train = Emitter(1e6).photons(np.zeros(10, np.uint8), 0, 0.0)
        with pytest.raises(KeyError, match="fibre"):
            fabric.carry_photons("bob", "server", train)
        fabric.carry_photons("alice", "bob", train)


class Clumsy(Eve):
    """An Eve who fails when she is told to."""

    fails: BaseException | None = None

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:  # noqa: ARG002  the tap's interface
        """Fail, or just watch."""
        self.diary.append(where.start)
        if self.fails is not None:
            raise self.fails

    def on_frame(self, frame: Frame) -> None:
        """Likewise."""
        self.diary.append(frame.data)
        if self.fails is not None:
            raise self.fails


@BOTH
@pytest.mark.parametrize("error", [ZeroDivisionError("hers"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("grain", ["pulse", "qubit"])
def test_an_exception_in_a_tap_reaches_the_caller(kind, error, grain):
    """The very exception, at once, for light and for frames; the fabric carries on, and everything passes the tap again."""
    eve = Clumsy()
    with fabric_of(kind) as fabric:
        fabric.attach({"eve": eve})
        emitter = Emitter(1e6, 1.0, fabric.qubits("alice") if grain == "qubit" else None)
        for _ in range(2):
            eve.fails, eve.diary = error, []
            with pytest.raises(type(error)) as caught:
                fabric.carry_photons("alice", "bob", emitter.photons(np.zeros(3, np.uint8), 0, 0.0))
            assert caught.value is error
            with pytest.raises(type(error)) as caught:
                fabric.carry_frame("alice", "bob", b"one")
            assert caught.value is error
            assert eve.diary == [0, b"one"]
            eve.fails, eve.diary = None, []
            train = emitter.photons(np.zeros(3, np.uint8), 0, 0.0)
            fabric.carry_photons("alice", "bob", train)
            assert fabric.carry_frame("alice", "bob", b"two").data == b"two"
            assert eve.diary == [parcel.start for parcel in train.parcels()] + [b"two"]


@BOTH
def test_an_exception_in_a_fibre_reaches_the_caller(kind, monkeypatch):
    """A fault of the physics is seen where it was caused, and not as a network that hangs."""
    error = ValueError("no such fibre")

    def break_down(*_: object) -> None:
        raise error

    with fabric_of(kind) as fabric:
        train = Emitter(1e6).photons(np.zeros(10, np.uint8), 0, 0.0)
        with monkeypatch.context() as patch:
            patch.setattr(Fibre, "transmit", break_down)
            with pytest.raises(ValueError, match="no such fibre") as caught:
                fabric.carry_photons("alice", "bob", train)
            assert caught.value is error
        fabric.carry_photons("alice", "bob", train)


def test_a_failed_run_leaves_the_network_to_the_next():
    """An exception that ends a run stops its network; the next one starts on clean ground."""
    eve = Clumsy()
    eve.fails = RuntimeError("out")

    def fail() -> None:
        with fabric_of(QuNetSimFabric) as fabric:
            fabric.attach({"eve": eve})
            fabric.carry_frame("alice", "bob", b"x")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="out"):
            fail()
        assert_network_is_as_before()
    assert carry_everything(QuNetSimFabric, "pulse") == carry_everything(DirectFabric, "pulse")


def test_what_qunetsim_logs_as_an_error_is_raised():
    """An error that QuNetSim would hide in a disabled log is a FabricError in the caller; then the fabric works again."""
    network = Network.get_instance()

    def no_route(*_: object) -> list[str]:
        raise ValueError("no route")

    with fabric_of(QuNetSimFabric) as fabric:
        right = network.classical_routing_algo
        network.classical_routing_algo = no_route
        try:
            with pytest.raises(FabricError, match="route couldn't be calculated"):
                fabric.carry_frame("alice", "bob", b"lost")
        finally:
            network.classical_routing_algo = right
        assert fabric.carry_frame("alice", "bob", b"found").data == b"found"


def test_an_error_that_loses_nothing_confuses_nothing():
    """The payload of a failed call may still arrive: the next call waits for its own, and taps see each once."""

    class Complaining(Clumsy):
        complains = True

        def on_frame(self, frame: Frame) -> None:
            super().on_frame(frame)
            if self.complains:
                Logger.get_instance().error("something is odd")

    eve = Complaining()
    with fabric_of(QuNetSimFabric) as fabric:
        fabric.attach({"eve": eve})
        for number in range(20):
            eve.complains = True
            with pytest.raises(FabricError, match="something is odd"):
                fabric.carry_frame("alice", "bob", bytes([number, 0]))
            eve.complains = False
            assert fabric.carry_frame("alice", "bob", bytes([number, 1])).data == bytes([number, 1])
            assert eve.diary[-1] == bytes([number, 1])
    assert len(eve.diary) == 40


def test_a_tap_may_not_send_while_it_holds_a_payload():
    """What would wait for itself for ever is refused at once."""

    class Eager(Clumsy):
        def on_frame(self, frame: Frame) -> None:
            super().on_frame(frame)
            fabric.carry_frame("eve", "bob", b"mine")

    with fabric_of(QuNetSimFabric) as fabric:
        fabric.attach({"eve": Eager()})
        with pytest.raises(FabricError, match="on its way already"):
            fabric.carry_frame("alice", "bob", b"x")
        assert fabric.carry_frame("bob", "server", b"y").fate == "passed"


def test_one_network_at_a_time():
    """A second fabric is refused while one is up, as is one on a network with hosts of somebody else; the first works on."""
    with fabric_of(QuNetSimFabric) as fabric:
        with pytest.raises(FabricError, match="one network per process"):
            fabric_of(QuNetSimFabric).start()
        assert fabric.carry_frame("alice", "bob", b"x").data == b"x"
    network = Network.get_instance()
    network.arp["somebody"] = object()
    try:
        with pytest.raises(FabricError, match="already has hosts \\(somebody\\)"):
            fabric_of(QuNetSimFabric).start()
    finally:
        del network.arp["somebody"]
    with fabric_of(QuNetSimFabric):
        pass


def test_a_route_too_long_for_qunetsim_is_refused():
    """Nine hops are carried, ten are refused at the start instead of vanishing."""
    for hops in (9, 10):
        sites = [Site(f"host {i}", i) for i in range(hops + 1)]
        fabric = QuNetSimFabric(Topology(sites, 0.2, 0.0), np.random.default_rng(1))
        if hops == 9:
            with fabric:
                assert fabric.carry_frame("host 0", "host 9", b"x").data == b"x"
                fabric.carry_photons("host 0", "host 9", Emitter(1e6).photons(np.zeros(3, np.uint8), 0, 0.0))
        else:
            with pytest.raises(FabricError, match="route of 10"):
                fabric.start()


def threads() -> set[threading.Thread]:
    """All that run."""
    return set(threading.enumerate())


def assert_network_is_as_before() -> None:
    """QuNetSim's one network as a fresh process has it."""
    network = Network.get_instance()
    assert network.delay == 0.1
    assert network.arp == {}
    assert len(network.classical_network) == len(network.quantum_network) == 0
    assert "error" not in vars(Logger.get_instance())


def test_a_start_that_fails_is_undone(monkeypatch):
    """No thread, host or lock of it is left; the next start succeeds."""
    before = threads()
    started = []

    def fail_at_third(host: _Host) -> None:
        if len(started) == 2:
            raise MemoryError("no more threads")
        started.append(host)
        super(_Host, host).start()

    with monkeypatch.context() as patch:
        patch.setattr(_Host, "start", fail_at_third)
        with pytest.raises(MemoryError):
            fabric_of(QuNetSimFabric).start()
    assert threads() == before
    assert_network_is_as_before()
    with fabric_of(QuNetSimFabric) as fabric:
        assert fabric.carry_frame("alice", "bob", b"x").data == b"x"


def test_fifty_runs_leave_nothing_behind():
    """No thread, no child process, no host, and no memory that grows from the tenth run to the fiftieth."""

    def run() -> None:
        with fabric_of(QuNetSimFabric) as fabric:
            fabric.attach({"eve": Eve()})
            fabric.carry_photons("alice", "bob", Emitter(1e6).photons(np.zeros(20_000, np.uint8), 0, 0.0))
            qubits = Emitter(1e6, 1.0, fabric.qubits("alice"))
            fabric.carry_photons("alice", "bob", qubits.photons(np.zeros(5, np.uint8), 0, 0.0))
            for _ in range(10):
                fabric.carry_frame("alice", "server", bytes(10_000))

    before = threads()
    for _ in range(10):
        run()
    tracemalloc.start()
    try:
        run()
        gc.collect()
        tracemalloc.reset_peak()
        warm_bytes, _ = tracemalloc.get_traced_memory()
        for _ in range(40):
            run()
        gc.collect()
        end_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert threads() == before
    assert multiprocessing.active_children() == []
    assert_network_is_as_before()
    # One run's arrays and frames alone are 140 kB: keeping those of every run would be 5.6 MB.
    assert end_bytes - warm_bytes < 300_000


def test_a_program_that_fails_on_a_running_network_ends():
    """No thread or process of QuNetSim or EQSN keeps a failed program alive, whether or not it stopped the network."""
    program = """
import numpy as np
from netsim.fabric.qunetsim import QuNetSimFabric
from netsim.topology import Site, Topology
fabric = QuNetSimFabric(Topology([Site("alice", 0), Site("bob", 1)], 0.2, 0.0), np.random.default_rng(1))
fabric.start()
fabric.qubits("alice").create()
fabric.carry_frame("alice", "bob", b"x")
raise RuntimeError("the end")
"""
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("RuntimeError: the end")
