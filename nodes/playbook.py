"""The playbook of a security team: a score above a threshold, often enough within a time, and an action follows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from nodes.observer import Observer

Action = Literal["isolate-host", "rotate-key", "re-route", "alarm"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""What a playbook can do."""


@dataclass(frozen=True)
class Rule:
    """When to do what.

    Attributes:
        threshold: a score counts if it is at least this.
        action: what to do.
        hold_off_s: after that, the same rule leaves the same subject alone for so long; infinity for once and never again.
        count: scores that must count within the window, so that a single false positive does not isolate a host.
        window_s: a score counts for so long.

    Raises:
        ValueError: a parameter that cannot be.
    """

    threshold: float
    action: Action
    hold_off_s: float = 60.0
    count: int = 3
    window_s: float = 60.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise ValueError(f"threshold is {self.threshold}; expected a finite score")
        if self.action not in ACTIONS:
            raise ValueError(f"action is {self.action!r}; expected one of {', '.join(ACTIONS)}")
        if not self.hold_off_s >= 0.0:
            raise ValueError(f"hold_off_s is {self.hold_off_s}; expected 0 or more seconds")
        if self.count < 1:
            raise ValueError(f"count is {self.count}; expected at least 1 score")
        if not self.window_s > 0.0:
            raise ValueError(f"window_s is {self.window_s}; expected more than 0 seconds")


@dataclass(frozen=True)
class Deed:
    """What a playbook did.

    Attributes:
        t_s: when.
        subject: the host or client whose scores they were.
        action: what.
        rule: number of the rule, from 0.
        score: the one that made it so many.
        count: scores that counted.
    """

    t_s: float
    subject: str
    action: Action
    rule: int
    score: float
    count: int


Effect = Callable[[Deed], None]
"""Makes a deed happen."""


class Playbook:
    """Acts on scores.

    It decides only; what an action does to the network is the business of whoever builds the scenario. Each rule
    watches each subject by itself. A deed uses up the scores that led to it, and scores during the hold-off do not
    count, so that the next deed rests on new evidence.

    Args:
        rules: in the order in which they are looked at.
        act: what each action does. Without one for `alarm`, the alarm goes to the observer.
        observer: told of every deed.

    Attributes:
        deeds: all of them, in order.

    Raises:
        ValueError: no rules, or one whose action nobody carries out.
    """

    name = "playbook"

    def __init__(self, rules: Sequence[Rule], act: Mapping[Action, Effect], observer: Observer) -> None:
        if not rules:
            raise ValueError("a playbook has no rules; expected at least one")
        effects: dict[Action, Effect] = {"alarm": self._raise_alarm, **act}
        missing = sorted({rule.action for rule in rules} - effects.keys())
        if missing:
            raise ValueError(
                f"nobody carries out {', '.join(missing)}; expected an effect for each rule's action"
            )
        self._rules = tuple(rules)
        self._effects = effects
        self._observer = observer
        self._counted: dict[tuple[int, str], deque[float]] = {}
        self._held_until_s: dict[tuple[int, str], float] = {}
        self._now_s = -math.inf
        self.deeds: list[Deed] = []

    def on_score(self, subject: str, score: float, now_s: float) -> tuple[Deed, ...]:
        """A score has come in; what is done about it at once.

        Args:
            subject: whose it is.
            score: greater is worse; finite.
            now_s: the simulation's time, never less than before.

        Returns:
            The deeds, in the rules' order.

        Raises:
            ValueError: a score that is not finite, or time that runs backwards.
        """
        if not math.isfinite(score):
            raise ValueError(f"the score of {subject} is {score}; expected a finite number")
        if not now_s >= self._now_s:
            raise ValueError(f"a score at {now_s} s after one at {self._now_s} s; expected them in order")
        self._now_s = now_s
        deeds = [
            deed
            for number, rule in enumerate(self._rules)
            if (deed := self._due(number, rule, subject, score, now_s)) is not None
        ]
        for deed in deeds:
            self.deeds.append(deed)
            self._observer.event(
                self.name,
                "playbook_action",
                subject=deed.subject,
                action=deed.action,
                score=deed.score,
                count=deed.count,
            )
            self._effects[deed.action](deed)
        return tuple(deeds)

    def _due(self, number: int, rule: Rule, subject: str, score: float, now_s: float) -> Deed | None:
        key = (number, subject)
        if score < rule.threshold or now_s < self._held_until_s.get(key, -math.inf):
            return None
        counted = self._counted.setdefault(key, deque())
        counted.append(now_s)
        while counted[0] <= now_s - rule.window_s:
            counted.popleft()
        if len(counted) < rule.count:
            return None
        del self._counted[key]
        self._held_until_s[key] = now_s + rule.hold_off_s
        return Deed(now_s, subject, rule.action, number, score, rule.count)

    def _raise_alarm(self, deed: Deed) -> None:
        self._observer.alarm(self.name, f"score of {deed.subject}")
