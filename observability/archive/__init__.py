"""What a log has said, kept for ever in files that other programs read too."""
