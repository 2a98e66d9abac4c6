"""How a group of samples is judged: one way per file, behind `Judge`."""
