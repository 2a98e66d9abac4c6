"""What a run was at a position of its log, and what it would have been."""
