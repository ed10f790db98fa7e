"""Delivery: from a commit in a user's Git to a candidate in shadow."""
