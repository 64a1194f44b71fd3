"""Key stores, one-time pads and the ledger."""
