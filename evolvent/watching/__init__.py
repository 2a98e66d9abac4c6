"""What a run shows of itself, in a browser and elsewhere."""
