"""The network as a graph: who sits where, on which fibre, and which way a payload goes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import networkx as nx

from netsim.photonics.drift import Drift
from netsim.photonics.fibre import Disturbance, Fibre
from netsim.photonics.free_space import LossProfile


@dataclasses.dataclass(frozen=True)
class Site:
    """A host on the fibre and how far it is from Alice."""

    name: str
    position_km: float


class Topology:
    """A chain of hosts on a fibre, and hosts on local networks behind them.

    The graph is undirected. Every edge carries classical messages; edges of the fibre carry photons too and have
    their stretch of it as the attribute `fibre`.

    Args:
        sites: the hosts on the fibre, in order along it, from Alice at 0 km.
        attenuation_db_per_km: of the whole fibre.
        misalignment: of the whole fibre; it acts in the last stretch, before Bob.
        disturbances: misalignments for a while, there too.
        behind: pairs (host on the fibre, host behind it).
        drift: of the polarisation, there too.
        profile: further loss over time, there too; of a way through free space it is all the loss, and the fibre's attenuation 0.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        attenuation_db_per_km: float,
        misalignment: float,
        disturbances: Sequence[Disturbance] = (),
        behind: Sequence[tuple[str, str]] = (),
        drift: Drift | None = None,
        profile: LossProfile | None = None,
    ) -> None:
        self.graph = nx.Graph()
        stretches = list(itertools.pairwise(sites))
        for near, far in stretches:
            last = far is sites[-1]
            fibre = Fibre(
                far.position_km - near.position_km,
                attenuation_db_per_km,
                misalignment if last else 0.0,
                tuple(disturbances) if last else (),
                drift if last else None,
                profile if last else None,
            )
            self.graph.add_edge(near.name, far.name, fibre=fibre)
        self.graph.add_edges_from(behind)

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts, in the order they were added."""
        return tuple(self.graph)

    def route(self, sender: str, receiver: str) -> tuple[str, ...]:
        """The hosts a payload visits, both ends included."""
        return tuple(nx.shortest_path(self.graph, sender, receiver))

    def fibre(self, near: str, far: str) -> Fibre:
        """The stretch of fibre between two neighbours.

        Raises:
            KeyError: the two are not neighbours on the fibre.
        """
        fibre: Fibre = self.graph.edges[near, far]["fibre"]
        return fibre

    def photon_links(self) -> tuple[tuple[str, str], ...]:
        """The edges that carry photons."""
        return tuple((near, far) for near, far, data in self.graph.edges(data=True) if "fibre" in data)

    def length_km(self, sender: str, receiver: str) -> float:
        """Length of fibre on the way; 0 for local networks."""
        route = self.route(sender, receiver)
        hops = itertools.pairwise(route)
        return sum(self.fibre(*hop).length_km for hop in hops if "fibre" in self.graph.edges[hop])

    def transmittance(self, sender: str, receiver: str, at_s: float = 0.0) -> float:
        """Share of the light that the fibre between two hosts lets through; with a loss profile, at a time."""
        hops = itertools.pairwise(self.route(sender, receiver))
        return math.prod(self.fibre(*hop).transmittance_at(at_s) for hop in hops)
