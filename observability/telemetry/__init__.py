"""Traces, logs and figures for any OpenTelemetry backend: the one place that knows the SDK."""
