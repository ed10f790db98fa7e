"""Engines for whoever outgrows the embedded ones: one file for each third-party driver."""
