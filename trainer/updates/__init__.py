"""What is minimised: one loss per file, behind `Loss`."""
