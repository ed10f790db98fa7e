"""Models that are not Headset's own: a user's estimator, an MLflow model."""
