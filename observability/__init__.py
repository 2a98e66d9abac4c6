"""Who watches: the progress of a run, its audit, its report."""
