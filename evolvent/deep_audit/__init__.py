"""What a deep audit asks again: the domain, the judges, an engine."""
