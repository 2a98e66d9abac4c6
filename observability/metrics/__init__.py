"""A run in numbers that other programs keep."""
