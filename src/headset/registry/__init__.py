"""Model versions, their artifacts and the aliases that say which one serves."""
