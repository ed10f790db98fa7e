"""Whether a data set can be trained on: checks with limits and owners, and a profile."""
