"""An engine behind HTTP: the served end of the connection."""
