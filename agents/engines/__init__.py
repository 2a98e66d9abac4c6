"""Who generates: one engine per file, behind `Engine`."""
