"""Headset: the MLOps platform for conversational AI in contact centres."""

__version__ = "0.1.0"
