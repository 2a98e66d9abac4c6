"""Servers elsewhere: the agent's end of the connection."""
