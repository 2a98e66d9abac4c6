"""The traces that events leave, by the API of OpenTelemetry alone."""
