"""Which weights a role generates with."""
