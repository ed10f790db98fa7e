"""The gates: whether a model version has earned its place, with the evidence."""
