"""The catalogue: every action a timeline may name."""

from __future__ import annotations

from nodes.attacks.action import Action
from nodes.attacks.asking import Evade, Extract, HostileHost, InferMembership, Invert, TimeAnswers
from nodes.attacks.channel import InterceptResend, NoiseMasked
from nodes.attacks.classical import AnalyseTraffic, Cut, ExhaustKeys, Impersonate, Replay, Tamper
from nodes.attacks.devices import (
    AfterGate,
    Blinding,
    IntensityLeak,
    TimeShift,
    TrojanHorse,
    Wavelength,
    WeakRandom,
)
from nodes.attacks.environment import AddedDelay, AddedLoss, DriftData, Misalign, SlowServer
from nodes.attacks.model import Backdoor, FlipLabels, PoisonFeatures
from nodes.attacks.photon_number import (
    BeamSplitting,
    DecoyMimicking,
    PhotonNumberSplitting,
    UnambiguousDiscrimination,
)
from nodes.attacks.probes import Collective, EntanglingProbe, OptimalIndividual
from nodes.attacks.relay import OwnRelay

CATALOGUE: dict[str, type[Action]] = {
    action.id: action
    for action in (
        InterceptResend,
        OptimalIndividual,
        EntanglingProbe,
        Collective,
        NoiseMasked,
        PhotonNumberSplitting,
        BeamSplitting,
        UnambiguousDiscrimination,
        DecoyMimicking,
        Blinding,
        AfterGate,
        TimeShift,
        Wavelength,
        TrojanHorse,
        IntensityLeak,
        WeakRandom,
        OwnRelay,
        Cut,
        Tamper,
        Replay,
        Impersonate,
        ExhaustKeys,
        AnalyseTraffic,
        FlipLabels,
        PoisonFeatures,
        Backdoor,
        Evade,
        Extract,
        Invert,
        InferMembership,
        TimeAnswers,
        HostileHost,
        AddedDelay,
        AddedLoss,
        Misalign,
        SlowServer,
        DriftData,
    )
}
