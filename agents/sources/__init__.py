"""What a proposer asks next: one source of tasks per file, behind `Source`."""
