"""What tests and benchmarks share: brokers, proxies, harmed runs. No package imports it."""
