"""Key figures of models and of the business, from the decision record."""
