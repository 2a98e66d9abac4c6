"""What an audit remembers: of every event, while it looks, and in a snapshot for the next."""
