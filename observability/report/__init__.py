"""One page and its pictures."""
