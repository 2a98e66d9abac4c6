"""A page over the log of runs: what is said, by whom, what it taught."""
