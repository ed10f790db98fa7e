"""Third-party engines, one file each."""
