"""What is asked: one family of tasks per file."""
