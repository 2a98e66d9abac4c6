"""How a version becomes durable."""
