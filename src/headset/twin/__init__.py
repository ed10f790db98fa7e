"""The simulated contact centre."""
