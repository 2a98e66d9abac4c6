"""Runs before everybody's eyes."""
