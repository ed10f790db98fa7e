"""The request path: a customer turn in, a decision out, an agent's answer back."""
