"""The report of a run: one page, made from the files in its folder alone, that needs nothing but a browser.

From top to bottom it shows the verdict and what happened in a few sentences, with warnings of what would make
the numbers worthless; what was expected and measured; errors, CHSH values, intensities and instruments, key and
queries over time, with the intervals of the timeline shaded; what Eve did, what she knows and who noticed; where
every detected bit went, and what is promised of those that became key; who said what to whom, for one block and
one query; and how to make the run again.
"""

from __future__ import annotations

from scenarios.report.page import write_report

__all__ = ["write_report"]
