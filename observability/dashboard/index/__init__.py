"""Tasks and versions of a log in a file of their own, to be found quickly: a cache."""
