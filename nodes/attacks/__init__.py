"""Attacks, one module per family, and the catalogue of them."""
