"""What vLLM serves, in this process or beside it."""
