"""Jobs: work that outlives the command that asked for it."""
