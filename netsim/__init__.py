"""The link as a library: photonics, channels, protocol steps, post-processing, key length, key stores and pads."""
