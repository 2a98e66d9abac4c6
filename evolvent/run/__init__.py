"""One run: its folder, its log, its processes."""
