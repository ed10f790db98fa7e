"""A process that folds a made-up log into Redis until it is killed, or done.

python killed_store_writer.py URL PREFIX SEED
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from contracts.store import VIEWS, feed, happen

from headset.backends.redis import RedisStore


def main(url: str, prefix: str, seed: int) -> None:
    """Fold the whole log, a few facts at a time."""
    facts = happen(random.Random(seed), 1_500)
    store = RedisStore(url, prefix=prefix, timeout_s=5.0)
    store.install(VIEWS)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    feed(store, facts, random.Random(seed))
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
