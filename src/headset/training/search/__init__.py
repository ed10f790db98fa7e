"""Search for a better recipe: trials in a shared store, made by any number of processes."""
