"""How the brokers of a run are reached, and what its topics must look like."""
