"""Who acts: Alice, Bob, Eve, key management, clients and the inference server, as SimPy processes."""
