"""The studies that measure the paper's claims, in the order of the report."""

from __future__ import annotations

from scenarios.reproduction import (
    accuracy,
    adversaries,
    encryption,
    forgery,
    modes,
    modes_network,
    network,
    noise,
    pads,
    resources,
)

STUDIES = (
    accuracy.STUDY,
    encryption.STUDY,
    noise.STUDY,
    pads.STUDY,
    modes.STUDY,
    network.STUDY,
    modes_network.STUDY,
    forgery.STUDY,
    adversaries.STUDY,
    resources.STUDY,
)
