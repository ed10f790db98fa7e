"""Data sets: importing them into the log, and reading them back from it."""
