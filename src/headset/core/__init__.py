"""Errors, time, identifiers and configuration: what every part stands on."""
