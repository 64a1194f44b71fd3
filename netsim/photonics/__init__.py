"""Light and what detects it: pulse trains, entangled pairs, single qubits, fibres, detectors."""
