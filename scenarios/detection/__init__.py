"""The eavesdropping detector of seeds/000, and what it has to compete with, on telemetry of simulated links."""

from scenarios.detection.comparison import ALPHA, Comparison, Row, compare
from scenarios.detection.detectors import DETECTORS, Detector
from scenarios.detection.features import INPUTS, Observation, observed
from scenarios.detection.links import ATTACKS, Attack, Role, Watch, watch

__all__ = [
    "ALPHA",
    "ATTACKS",
    "DETECTORS",
    "INPUTS",
    "Attack",
    "Comparison",
    "Detector",
    "Observation",
    "Role",
    "Row",
    "Watch",
    "compare",
    "observed",
    "watch",
]
