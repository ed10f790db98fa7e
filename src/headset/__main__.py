"""``python -m headset`` is the command line."""

from headset.cli import main

main()
