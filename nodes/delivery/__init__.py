"""A model's way from who trained it to who serves it: algorithms by name, sealed parcels, and the nodes at both ends."""
