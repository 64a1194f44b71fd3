"""The topology: hosts along a fibre, hosts behind them, and which way things go."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.photonics.fibre import Disturbance, Fibre
from netsim.topology import Site, Topology
from netsim.window import Window


def chain(*sites: tuple[str, float], misalignment: float = 0.01) -> Topology:
    """A fibre of 0.2 dB/km with a server behind Bob."""
    return Topology([Site(*site) for site in sites], 0.2, misalignment, behind=[("bob", "server")])


def test_a_payload_visits_the_chain_in_order():
    """Alice, Eve, Bob along the fibre, and the server behind Bob; the way back is the same backwards."""
    topology = chain(("alice", 0), ("eve", 4), ("bob", 10))
    assert topology.hosts == ("alice", "eve", "bob", "server")
    assert topology.route("alice", "server") == ("alice", "eve", "bob", "server")
    assert topology.route("server", "alice") == ("server", "bob", "eve", "alice")
    assert topology.route("eve", "bob") == ("eve", "bob")


@pytest.mark.parametrize(("at_km", "lengths"), [(0.0, (0.0, 10.0)), (4.0, (4.0, 6.0)), (10.0, (10.0, 0.0))])
def test_eve_may_stand_at_either_end(at_km, lengths):
    """At Alice's door or at Bob's, the fibre is as long and as lossy as without her."""
    topology = chain(("alice", 0), ("eve", at_km), ("bob", 10))
    near, far = topology.fibre("alice", "eve"), topology.fibre("eve", "bob")
    assert (near.length_km, far.length_km) == lengths
    assert near.transmittance * far.transmittance == pytest.approx(Fibre(10.0).transmittance)
    assert (near.misalignment, far.misalignment) == (0.0, 0.01)


@pytest.mark.parametrize("eve_km", [2.0, 8.0])
def test_a_source_in_the_middle_sends_both_ways(eve_km):
    """Eve stands in one of the two ways, and only the photons of that way pass her."""
    sites = sorted([("eve", eve_km), ("source", 5.0)], key=lambda site: site[1])
    topology = chain(("alice", 0.0), *sites, ("bob", 10.0))
    assert topology.length_km("source", "alice") == topology.length_km("source", "bob") == 5.0
    assert ("eve" in topology.route("source", "alice")) == (eve_km < 5)
    assert ("eve" in topology.route("source", "bob")) == (eve_km > 5)


def test_misalignment_and_disturbances_act_once():
    """The last stretch, before Bob, has them; no other does."""
    disturbance = Disturbance(Window(1, 2), 0.05)
    sites = [Site("alice", 0), Site("eve", 1), Site("source", 5), Site("bob", 10)]
    topology = Topology(sites, 0.2, 0.01, [disturbance])
    stretches = [topology.fibre(near, far) for near, far in topology.photon_links()]
    assert [s.misalignment for s in stretches] == [0.0, 0.0, 0.01]
    assert [s.disturbances for s in stretches] == [(), (), (disturbance,)]


def test_only_the_fibre_carries_photons():
    """A local network is no photon link, has no length, and has no fibre to ask for."""
    topology = chain(("alice", 0), ("eve", 4), ("bob", 10))
    assert topology.photon_links() == (("alice", "eve"), ("eve", "bob"))
    assert topology.length_km("alice", "bob") == topology.length_km("server", "alice") == 10.0
    assert topology.length_km("bob", "server") == 0.0
    for near, far in (("bob", "server"), ("alice", "bob"), ("alice", "nobody")):
        with pytest.raises(KeyError):
            topology.fibre(near, far)
    with pytest.raises(nx.NodeNotFound):
        topology.route("alice", "nobody")


@given(st.lists(st.floats(0, 500), max_size=5))
def test_the_stretches_add_up(positions_km):
    """However many stand on the fibre, its length from end to end is that of the fibre."""
    sites = [
        ("alice", 0.0),
        *((f"relay {i}", at) for i, at in enumerate(sorted(positions_km))),
        ("bob", 500.0),
    ]
    topology = chain(*sites)
    assert topology.length_km("alice", "bob") == pytest.approx(500.0)
    assert len(topology.photon_links()) == len(sites) - 1
    assert all(topology.fibre(*link).length_km >= 0 for link in topology.photon_links())
