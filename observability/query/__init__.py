"""The questions one asks a log, in SQL."""
