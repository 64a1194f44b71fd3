"""How many secret bits a block holds: one function per published bound, its source in the docstring."""
