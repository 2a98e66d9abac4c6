"""What an audit must remember of every event: on disk, and sorted there."""
