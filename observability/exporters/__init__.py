"""Where else a run is told of."""
