"""The bus on Kafka beside the clients of others: `benchmarks/bus.py --kafka`."""
