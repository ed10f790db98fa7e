"""``headset train intent``: from a data set in the log to a registered, tracked, perhaps serving version.

Everything is measured on rows the model has not seen, with the compiled scorer that will serve. Nothing is
registered before everything is measured and tracked.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

import headset
from headset.data.dataset import read_dataset
from headset.events.schema import ModelRegistered
from headset.registry.store import CHAMPION
from headset.training import portable
