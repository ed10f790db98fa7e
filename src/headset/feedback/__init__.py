"""The decision record: what was decided, what the agent did, how it ended."""
