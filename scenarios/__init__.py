"""What a user touches: scenario files, the runner, results, the report, the command line.

>>> import scenarios
>>> result = scenarios.run("intercept-resend", seed=7)
>>> result.summary["link"]["qber"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenarios.runner import Result, run

__all__ = ["Result", "run"]


def __getattr__(name: str) -> Any:
    """Import the runner when it is first asked for: `evelab --help` does not need it."""
    if name in __all__:
        from scenarios import runner  # noqa: PLC0415  see the docstring

        return getattr(runner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
