"""`evelab reproduce`: every claim of the paper measured, duels of attacks and defences, detectors side by side.

A *study* measures one thing: it has jobs that run in any process and in any order, and sums their results up in claims,
tidy tables and figures. Numbers are measured; a verdict follows from them by the rule in `verdicts`.
"""
