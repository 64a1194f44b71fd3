"""Turning correlated raw bits into identical secret ones: Cascade, verification, amplification, tags."""
