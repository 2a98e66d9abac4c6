"""The command line's commands: thin, each of which loads only what it needs."""
