"""What tests and benchmarks share: brokers, proxies, harmed runs."""
