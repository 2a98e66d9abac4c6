"""The ground: what is said (events) and how it is carried (in memory, SQLite, Kafka)."""
