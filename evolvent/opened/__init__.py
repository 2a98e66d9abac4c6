"""A run that is opened to be read, and one that comes along."""
