"""Synthetic texts: made, tried on real ones, and kept only if they help."""
