"""What the page can ask, by subject."""
