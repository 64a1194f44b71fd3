"""The in-process fabric: plain calls, for sweeps and as the other one's oracle."""

from __future__ import annotations

import itertools

import numpy as np

from netsim.fabric.base import Fabric, Frame
from netsim.photonics.qubits import Qubit, Qubits
from netsim.photonics.state_vectors import StateVectors
from netsim.photonics.train import Train
from netsim.topology import Topology


class DirectFabric(Fabric):
    """Carries payloads by calling the fibres and the taps in order."""

    def __init__(self, topology: Topology, rng: np.random.Generator) -> None:
        super().__init__(topology, rng)
        self._states = StateVectors()

    def start(self) -> None:
        """Nothing to bring up."""

    def stop(self) -> None:
        """Nothing to take down."""

    def qubits(self, host: str) -> Qubits:  # noqa: ARG002  hosts share one world
        """Qubits on EQSN's state vectors."""
        return _LocalQubits(self._states)

    def carry_photons(self, sender: str, receiver: str, train: Train) -> None:
        """Carry a train along the fibre, parcel by parcel."""
        route = self._light_route(sender, receiver)
        for where in train.parcels():
            for near, far in itertools.pairwise(route):
                self._through_fibre(near, far, train, where)
                if far != receiver and far in self._taps:
                    self._taps[far].on_photons(train, where, receiver)

    def carry_frame(self, sender: str, receiver: str, data: bytes) -> Frame:
        """Carry bytes past the taps."""
        frame = Frame(data)
        for host in self.topology.route(sender, receiver)[1:-1]:
            if host in self._taps and frame.fate == "passed":
                self._taps[host].on_frame(frame)
        return frame


class _LocalQubit:
    """A qubit with the gates of QuNetSim's."""

    def __init__(self, states: StateVectors) -> None:
        self._states = states
        self.number = states.create()

    def X(self) -> None:  # noqa: N802  QuNetSim's name
        self._states.x(self.number)

    def Y(self) -> None:  # noqa: N802  QuNetSim's name
        self._states.y(self.number)

    def H(self) -> None:  # noqa: N802  QuNetSim's name
        self._states.h(self.number)

    def ry(self, phi: float) -> None:
        self._states.ry(self.number, phi)

    def cnot(self, target: Qubit) -> None:
        assert isinstance(target, _LocalQubit)  # noqa: S101  qubits of one world only
        self._states.cnot(self.number, target.number)

    def release(self) -> None:
        self._states.release(self.number)


class _LocalQubits:
    def __init__(self, states: StateVectors) -> None:
        self._states = states

    def create(self) -> Qubit:
        return _LocalQubit(self._states)

    def measure(self, qubit: Qubit, uniform: float) -> int:
        assert isinstance(qubit, _LocalQubit)  # noqa: S101  qubits of one world only
        return self._states.measure(qubit.number, uniform)
