"""From a dataset in the log to a registered model version."""
