"""The ground: what is said (events) and how it is carried (memory, SQLite)."""
