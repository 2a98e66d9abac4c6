"""What an engine must know of a version before it serves it."""
