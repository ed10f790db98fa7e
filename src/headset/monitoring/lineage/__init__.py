"""Where a decision comes from, and what depends on a definition, a data set or a commit."""
