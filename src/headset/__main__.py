"""``python -m headset`` is the command line."""

import sys

try:
    from headset.cli import main

    main()
except KeyboardInterrupt:
    sys.exit(130)
