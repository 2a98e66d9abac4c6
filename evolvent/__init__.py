"""Composition and command line: the only place that knows every part."""
