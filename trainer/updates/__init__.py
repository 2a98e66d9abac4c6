"""Which rows are learned from, and what is minimised: one way per file, behind `Update`."""
