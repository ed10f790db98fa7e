"""Synthetic texts for rare intents: made from real ones, marked for ever, never near one of them."""
