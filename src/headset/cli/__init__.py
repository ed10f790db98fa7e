"""The command line."""

from headset.cli.command import app, main

__all__ = ["app", "main"]
