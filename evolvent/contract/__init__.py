"""What every part of a kind promises, to be tried on any part: `python -m evolvent.contract`."""
