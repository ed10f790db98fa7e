"""The command line."""

from headset.cli.main import app, main

__all__ = ["app", "main"]
