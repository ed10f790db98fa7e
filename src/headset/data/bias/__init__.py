"""Who is served worse: gaps between groups of customers in what a model gets right, hands over and is sure of."""
