"""What a run's log would have become otherwise: judged again, trained again, in a copy."""
