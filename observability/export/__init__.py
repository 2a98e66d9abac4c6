"""What a run has made, for other programs."""
