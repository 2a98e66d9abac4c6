"""What of a batch is learned from: one way per file, behind `Filter`."""
