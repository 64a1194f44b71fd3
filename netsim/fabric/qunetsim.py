"""The QuNetSim fabric: real Hosts, one real Network, relays that sniff. The only file that imports qunetsim.

What QuNetSim 0.1.3 does that would hurt, and what is done about it here:

    sleeps 0.1 s per packet and hop                     `network.delay = 0`
    a timed-out `get_*` steals the next item            arrivals go to a queue of ours instead of the host's storage,
                                                        which also keeps that storage from growing
    `reset_network` breaks the next run                 the one instance is started, stopped, emptied and started again
    an exception in a tap or a channel model kills      caught there, carried out, raised in the caller; the payload
      the only network thread                           goes on, so that nobody waits for ever
    a packet given up may still be on its way           taps, fibres and arrivals answer to the payload in flight only
    `qubit_func`'s result is dropped, None loses all    payloads are changed in place and always returned
    acknowledgements of lost packets                    none are asked for
    a thread for every packet                           hosts process theirs in line: nothing in it blocks
    errors go to a logger that is off                   that logger's `error` becomes an exception in the caller
    payloads are formatted for a disabled log           frames format in constant time
    routes over 10 hops vanish                          refused at start
    EQSN forks processes that nobody stops              qubits live on EQSN's state vectors in this process
    one Network per process                             a second fabric is refused while one is up
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from qunetsim.components import Host, Network
from qunetsim.objects import Logger, Qubit

from netsim.errors import FabricError
from netsim.fabric.base import Fabric, Frame
from netsim.photonics.qubits import Qubit as AnyQubit
from netsim.photonics.qubits import Qubits, QubitTrain
from netsim.photonics.state_vectors import StateVectors
from netsim.photonics.train import Train
from netsim.topology import Topology

_MAX_HOPS = 9
_PATIENCE_S = 60  # seconds of wall clock in which nothing at all happens: QuNetSim has lost the payload


@dataclasses.dataclass(frozen=True, eq=False)
class _Flight:
    """What is on its way: a frame, or a qubit that stands for a parcel of a train."""

    payload: object
    parcel: tuple[Train, slice] | None = None


class QuNetSimFabric(Fabric):
    """Carries payloads over QuNetSim's hosts; the same bits as the direct fabric for the same seed."""

    _up: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, topology: Topology, rng: np.random.Generator) -> None:
        super().__init__(topology, rng)
        self._backend = _Backend()
        self._hosts: dict[str, _Host] = {}
        self._arrivals: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._flight: _Flight | None = None
        self._failure: BaseException | None = None
        self._at_work = False

    def start(self) -> None:
        """Start the network and its hosts.

        Raises:
            FabricError: another QuNetSim network is up in this process, or a route is too long for QuNetSim.
        """
        hosts = self.topology.hosts
        longest = max(len(self.topology.route(a, b)) - 1 for a in hosts for b in hosts)
        if longest > _MAX_HOPS:
            raise FabricError(
                f"QuNetSim loses packets after {_MAX_HOPS} hops; this network has a route of {longest}"
            )
        network = Network.get_instance()
        if not self._up.acquire(blocking=False):
            raise FabricError(
                "QuNetSim can run one network per process, and one is up; run in another process"
            )
        if network.arp:
            self._up.release()
            raise FabricError(
                f"QuNetSim's network already has hosts ({', '.join(network.arp)}); stop it first"
            )
        self._delay, network.delay = network.delay, 0
        self._failure = None
        Logger.get_instance().error = self._report
        try:
            self._bring_up(network)
        except BaseException:
            self.stop()
            raise

    def _bring_up(self, network: Any) -> None:
        hosts = self.topology.hosts
        network.start(list(hosts), self._backend)
        for name in hosts:
            self._hosts[name] = _Host(name, self)
        for near, far in self.topology.graph.edges:
            for one, other in ((near, far), (far, near)):
                self._hosts[one].add_c_connection(other)
        for near, far in self.topology.photon_links():
            for one, other in ((near, far), (far, near)):
                self._hosts[one].add_q_connection(other)
                self._hosts[one].quantum_connections[other].model = _Stretch(self, one, other)
        for host in self._hosts.values():
            host.q_relay_sniffing = True
            host.q_relay_sniffing_fn = host.sniff_photons
            host.c_relay_sniffing = True
            host.c_relay_sniffing_fn = host.sniff_frame
            host.start()
        network.add_hosts(list(self._hosts.values()))

    def stop(self) -> None:
        """Stop every thread and empty the network."""
        network = Network.get_instance()
        network.stop()
        for host in self._hosts.values():
            host.stop()
        for thread in self._threads():
            thread.join(_PATIENCE_S)
        network.remove_hosts(list(self._hosts.values()))
        network._packet_queue = queue.Queue()  # noqa: SLF001  what a failed run left must not reach the next
        network.delay = self._delay
        del Logger.get_instance().error
        self._hosts.clear()
        self._up.release()

    def qubits(self, host: str) -> Qubits:
        """QuNetSim qubits that belong to `host`."""
        return _HostQubits(self._hosts[host], self._backend)

    def carry_photons(self, sender: str, receiver: str, train: Train) -> None:
        """Send a train: as one QuNetSim qubit if it is dense, qubit by qubit if it is made of those."""
        self._light_route(sender, receiver)
        host = self._hosts[sender]
        for where in train.parcels():
            own = train.qubit(where.start) if isinstance(train, QubitTrain) else None
            qubit = Qubit(host, qubit=(train, where)) if own is None else own
            with self._in_flight(_Flight(qubit, (train, where))):
                host.send_qubit(receiver, qubit, no_ack=True)
                self._await_arrival(qubit)

    def carry_frame(self, sender: str, receiver: str, data: bytes) -> Frame:
        """Send bytes as a classical message."""
        frame = Frame(data)
        with self._in_flight(_Flight(frame)):
            self._hosts[sender].send_classical(receiver, frame, no_ack=True)
            self._await_arrival(frame)
        return frame

    @contextlib.contextmanager
    def _in_flight(self, flight: _Flight) -> Iterator[None]:
        if self._flight is not None:
            raise FabricError(
                "a payload is on its way already; what a tap sends must wait until it is through"
            )
        self._flight = flight
        try:
            yield
        finally:
            self._flight = None

    def _await_arrival(self, payload: object) -> None:
        idle_s = 0
        while idle_s < _PATIENCE_S and all(thread.is_alive() for thread in self._threads()):
            try:
                arrived = self._arrivals.get(timeout=1.0)
            except queue.Empty:
                idle_s = 0 if self._at_work else idle_s + 1
                continue
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if arrived is payload:
                return
        raise FabricError("QuNetSim lost a payload, or one of its threads has died")

    def _threads(self) -> list[threading.Thread]:
        """QuNetSim's threads, as far as they were started."""
        owners = [Network.get_instance(), *self._hosts.values()]
        threads = [owner._queue_processor_thread for owner in owners]  # noqa: SLF001  QuNetSim has no join
        return [thread for thread in threads if thread is not None]

    def arrived(self, payload: object) -> None:
        """A payload has reached its receiver."""
        self._arrivals.put(payload)

    def failed(self, error: BaseException) -> None:
        """Keep the first error for the caller."""
        if self._failure is None:
            self._failure = error

    def _report(self, message: object) -> None:
        self.failed(FabricError(f"QuNetSim: {message}"))
        self.arrived(None)

    def sniff_photons(self, host: str, receiver: str, qubit: object) -> None:
        """A qubit passes a host."""
        with self._passing(qubit) as flight:
            if flight is not None and flight.parcel is not None and host in self._taps and host != receiver:
                self._taps[host].on_photons(*flight.parcel, receiver)

    def sniff_frame(self, host: str, frame: Frame) -> None:
        """A frame passes a host."""
        with self._passing(frame) as flight:
            if flight is not None and host in self._taps and frame.fate == "passed":
                self._taps[host].on_frame(frame)

    def through_fibre(self, near: str, far: str, qubit: object) -> None:
        """A qubit passes a stretch of fibre."""
        with self._passing(qubit) as flight:
            if flight is not None and flight.parcel is not None:
                self._through_fibre(near, far, *flight.parcel)

    @contextlib.contextmanager
    def _passing(self, payload: object) -> Iterator[_Flight | None]:
        """The flight that a payload belongs to, None if it is over; keeps errors for the caller, who waits."""
        flight = self._flight
        self._at_work = True
        try:
            yield (
                flight if flight is not None and flight.payload is payload and self._failure is None else None
            )
        except BaseException as error:  # noqa: BLE001  raised in the caller instead of killing the network thread
            self.failed(error)
        finally:
            self._at_work = False


class _Stretch:
    """A QuNetSim channel model: one stretch of fibre."""

    def __init__(self, fabric: QuNetSimFabric, near: str, far: str) -> None:
        self._fabric = fabric
        self._ends = (near, far)

    def qubit_func(self, qubit: Any) -> Any:
        self._fabric.through_fibre(*self._ends, qubit)
        return qubit


class _Host(Host):  # type: ignore[misc]  # qunetsim ships no type information
    """A QuNetSim host that hands arrivals to the fabric and processes its packets in line."""

    def __init__(self, name: str, fabric: QuNetSimFabric) -> None:
        super().__init__(name, fabric._backend)  # noqa: SLF001  the two are one adapter
        self._fabric = fabric
        self._classical_messages = _Mailbox(fabric)

    def _process_queue(self) -> None:
        while (packet := self._packet_queue.get()) is not None:
            try:
                self._process_packet(packet)
            except BaseException as error:  # noqa: BLE001  raised in the caller instead of killing the host's thread
                self._fabric.failed(error)
                self._fabric.arrived(None)

    def add_qubit(self, host_id: str, qubit: Any, q_id: str | None = None) -> str:  # noqa: ARG002  QuNetSim's signature
        self._fabric.arrived(qubit)
        return str(qubit.id)

    def sniff_photons(self, _sender: str, receiver: str, qubit: Any) -> None:
        self._fabric.sniff_photons(self.host_id, receiver, qubit)

    def sniff_frame(self, _sender: str, _receiver: str, message: Any) -> None:
        self._fabric.sniff_frame(self.host_id, message.content)


class _Mailbox:
    """In place of QuNetSim's storage of messages."""

    def __init__(self, fabric: QuNetSimFabric) -> None:
        self._fabric = fabric

    def add_msg_to_storage(self, message: Any) -> None:
        self._fabric.arrived(message.content)


class _Backend:
    """What QuNetSim needs of a backend, on EQSN's state vectors."""

    def __init__(self) -> None:
        self._states = StateVectors()
        self._hosts: dict[str, Any] = {}

    def start(self, **_: Any) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def add_host(self, host: Any) -> None:
        self._hosts[host.host_id] = host

    def create_qubit(self, _host_id: str) -> int:
        return self._states.create()

    def send_qubit_to(self, qubit: Any, _sender: str, receiver: str) -> None:
        qubit.host = self._hosts[receiver]

    def release(self, qubit: Any) -> None:
        self._states.release(qubit.qubit)

    def X(self, qubit: Any) -> None:  # noqa: N802  QuNetSim's name
        self._states.x(qubit.qubit)

    def Y(self, qubit: Any) -> None:  # noqa: N802  QuNetSim's name
        self._states.y(qubit.qubit)

    def H(self, qubit: Any) -> None:  # noqa: N802  QuNetSim's name
        self._states.h(qubit.qubit)

    def ry(self, qubit: Any, phi: float) -> None:
        self._states.ry(qubit.qubit, phi)

    def cnot(self, qubit: Any, target: Any) -> None:
        self._states.cnot(qubit.qubit, target.qubit)

    def measure(self, qubit: Any, uniform: float) -> int:
        """As `Qubit.measure` calls it, with the random number that decides in place of its only argument."""
        return self._states.measure(qubit.qubit, uniform)


class _HostQubits:
    def __init__(self, host: _Host, backend: _Backend) -> None:
        self._host = host
        self._backend = backend

    def create(self) -> AnyQubit:
        return Qubit(self._host)  # type: ignore[no-any-return]  # qunetsim ships no type information

    def measure(self, qubit: AnyQubit, uniform: float) -> int:
        return self._backend.measure(qubit, uniform)
