"""The sections of a scenario file that are about the inference server: who asks it, what it learnt, and how it defends its model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.readers import Choice, Flag, Integer, Names, RealNumber, Section, Text, Words
from scenarios.units import FRACTION, RATE, TIME, Limits, Quantity, Seconds

MODES = ("otp", "qotp", "same-pad", "masked")
"""How a question travels."""

DATA = ("clusters", "xor", "flows", "table")
"""What a model can be trained on."""

MODELS = ("qsvm", "vqc", "rbf-svm", "logistic")
"""What can classify."""

SANITISERS = ("none", "knn", "loss-trimming", "roni")
"""Defences that leave rows out of training."""

SUITES = ("qkd+x25519+ml-kem-768", "x25519+ml-kem-768", "ml-kem-768", "qkd", "one-time-pad+mac")
SIGNATURES = ("ml-dsa-65", "ml-dsa-87", "ed25519", "ml-dsa-65+ed25519")
CIPHERS = ("aes-256-gcm", "chacha20-poly1305")
"""What a model's delivery may be made of: held equal to nodes.delivery's by a test, as importing that takes long."""

PLAYBOOK_ACTIONS = ("isolate-host", "rotate-key", "re-route", "alarm")
"""What a playbook can do."""


class Queries(Section):
    """Who asks the inference server, how often."""

    clients: Annotated[int, Integer(Limits(minimum=1, maximum=1000))] = Field(
        default=1, description="clients at Alice's site"
    )
    arrivals: Annotated[Literal["poisson", "periodic"], Choice(("poisson", "periodic"))] = Field(
        default="poisson", description="how the queries of a client are spread"
    )
    rate: Annotated[float, Quantity(RATE, Limits(above=0))] = Field(
        default=5.0, description="queries, per client"
    )
    start: Seconds = Field(default=0.0, description="when the clients begin")
    timeout: Annotated[float, Quantity(TIME, Limits(above=0))] = Field(
        default=2.0, description="an answer later than this counts as lost"
    )
    mode: Annotated[Literal["otp", "qotp", "same-pad", "masked"], Choice(MODES)] = Field(
        default="otp",
        description="how a question travels. otp: its features under a one-time pad; qotp: copies of its quantum state under Pauli pads; "
        "same-pad: those and the support vectors' states under one pad, so that the server compares what it cannot read; "
        "masked: padded and never opened, as the paper's Algorithm 1 can be read",
    )
    copies: Annotated[int, Integer(Limits(minimum=1, maximum=30_000))] = Field(
        default=400, description="qotp and same-pad only: registers that a question sends: copies, or pairs"
    )
    estimator: Annotated[Literal["observable", "kernel"], Choice(("observable", "kernel"))] = Field(
        default="observable",
        description="qotp and same-pad only: what registers are spent on: the decision itself, or its kernel with each support vector, as in the paper",
    )
    per_pad: Annotated[int, Integer(Limits(minimum=1, maximum=30_000))] = Field(
        default=1, description="same-pad only: pairs in a row that share a pad"
    )
    pads: Annotated[Literal["key", "own"], Choice(("key", "own"))] = Field(
        default="key",
        description="same-pad only: from the key stores, where Bob's site has them too, or random bits of the client's own, which nobody else has",
    )


class Training(Section):
    """What the server's model is trained on; 70 % of it, the rest are the clients' questions."""

    data: Annotated[Literal["clusters", "xor", "flows", "table"], Choice(DATA)] = Field(
        default="clusters",
        description="clusters: two Gaussian ones, the paper's; xor: four, the classes across; flows: records of network traffic, "
        "made up; table: of a CSV or NSL-KDD file",
    )
    samples: Annotated[int, Integer(Limits(minimum=10, maximum=20_000))] = Field(
        default=200, description="of both classes together; of a table, at most"
    )
    distance: Annotated[float, RealNumber(Limits(above=0))] = Field(
        default=3.2, description="clusters only: between the centres, in standard deviations"
    )
    features: Annotated[int, Integer(Limits(minimum=2, maximum=8))] = Field(
        default=2, description="of a row; a qubit each in the quantum models"
    )
    file: Annotated[str, Text()] | None = Field(
        default=None, description="table only: its path, seen from the working directory"
    )
    label: Annotated[str, Text()] = Field(default="label", description="table only: the column of the labels")
    positive: Annotated[tuple[str, ...], Words()] = Field(
        default=(),
        strict=False,
        description="table only: labels of class 1; may be left out with an NSL-KDD file, where all but normal is",
    )
    columns: Annotated[tuple[str, ...], Words()] = Field(
        default=(), strict=False, description="table only: the columns to use, as many as features"
    )


class Delivery(Section):
    """How the trained model comes from Alice's site to the server: signed and encrypted."""

    suite: Annotated[str, Choice(SUITES)] = Field(
        default="qkd+x25519+ml-kem-768", description="what the encryption key is made of"
    )
    signature: Annotated[str, Choice(SIGNATURES)] = Field(
        default="ml-dsa-65", description="of the model file"
    )
    cipher: Annotated[str, Choice(CIPHERS)] = Field(default="aes-256-gcm", description="of the model file")
    without_key: Annotated[Literal["wait", "refuse", "fallback"], Choice(("wait", "refuse", "fallback"))] = (
        Field(
            default="wait",
            description="when there is no QKD key for it: wait for some, up to patience; refuse; or fall back to the suite without QKD, on the record",
        )
    )
    patience: Seconds = Field(default=10.0, description="how long it waits for key")


class Server(Section):
    """The inference server at Bob's site."""

    workers: Annotated[int, Integer(Limits(minimum=1, maximum=1000))] = Field(
        default=1, description="queries served at the same time"
    )
    service_time: Seconds = Field(default=2e-3, description="of one query")
    queue: Annotated[int, Integer(Limits(minimum=0, maximum=1_000_000))] = Field(
        default=100, description="waiting places; a query that finds none is rejected"
    )
    lan_latency: Seconds = Field(default=1e-4, description="Bob's site to the server, one way")
    model: Annotated[Literal["qsvm", "vqc", "rbf-svm", "logistic"], Choice(MODELS)] = Field(
        default="qsvm",
        description="what classifies: a support vector machine on a quantum kernel, a variational circuit, or a classical machine",
    )
    answers: Annotated[Literal["label", "score"], Choice(("label", "score"))] = Field(
        default="label", description="what an answer says: the class, or the decision value"
    )
    early_stopping: Annotated[bool, Flag()] = Field(
        default=False,
        description="a device that measures in batches and stops when the class is clear: faster, and the time tells how clear",
    )
    training: Training = Field(default_factory=Training)
    delivery: Delivery | None = Field(
        default=None, description="absent or null: the server trains its model itself, at 0 s"
    )


class ModelDefences(Section):
    """What the server does for its model."""

    sanitise: Annotated[Literal["none", "knn", "loss-trimming", "roni"], Choice(SANITISERS)] = Field(
        default="none",
        description="rows that look poisoned are left out of training: by their neighbours, by their loss, or by what they do to accuracy",
    )
    suspected: Annotated[float, Quantity(FRACTION, Limits(minimum=0, below=0.5))] = Field(
        default=0.2, description="loss-trimming only: share of the rows that are left out"
    )
    adversarial_training: Annotated[float, Quantity(FRACTION, Limits(above=0, maximum=0.5))] | None = Field(
        default=None, description="trained again on rows moved by so much against it; null: not"
    )
    ensemble: Annotated[int, Integer(Limits(minimum=3, maximum=25))] | None = Field(
        default=None, description="so many machines on parts of the training set vote; null: one machine"
    )
    decimals: Annotated[int, Integer(Limits(minimum=0, maximum=12))] | None = Field(
        default=None, description="answers: score only: what a score is rounded to; null: not"
    )
    noise: Annotated[float, RealNumber(Limits(above=0, maximum=1e6))] | None = Field(
        default=None, description="differential privacy of each answer: its epsilon; null: no noise"
    )
    constant_time: Annotated[bool, Flag()] = Field(
        default=False, description="every query takes as long as the longest"
    )
    canaries: Annotated[float, Quantity(RATE, Limits(above=0))] | None = Field(
        default=None,
        description="questions with known answers, asked to see whether the model still knows them; null: none",
    )


class Playbook(Section):
    """What a client's site does when scores say that a host is hostile."""

    threshold: Annotated[float, RealNumber()] = Field(
        default=0.0, description="a score of at least this counts"
    )
    count: Annotated[int, Integer(Limits(minimum=1, maximum=1000))] = Field(
        default=3, description="so many of them, of one client,"
    )
    within: Annotated[float, Quantity(TIME, Limits(above=0))] = Field(
        default=1.0, description="within so long, set the actions off"
    )
    hold_off: Seconds = Field(default=5.0, description="before the same client can set them off again")
    actions: Annotated[tuple[str, ...], Names(PLAYBOOK_ACTIONS)] = Field(
        default=("alarm",), strict=False, description="what is done"
    )
    detour_latency: Seconds = Field(default=5e-3, description="re-route: of the other way, one way")
