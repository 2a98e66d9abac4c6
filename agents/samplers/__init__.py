"""How an attempt is made: one way per file, behind `Sampler`."""
