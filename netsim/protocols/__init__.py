"""The steps of BB84 and E91 as pure functions: encoding, sifting, parameter estimation."""
