"""The journal of a run on Kafka: what commits say, and the log that they tell."""
