"""Signals computed from conversations."""
