"""The spine: one log of conversation events, its vocabulary, and the one door text comes in by."""
