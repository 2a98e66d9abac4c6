"""What a run was at a position of its log."""
