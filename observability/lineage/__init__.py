"""Where a version comes from, and what came of a task."""
