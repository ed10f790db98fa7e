#!/usr/bin/env bash
# Builds .venv with what requirements.lock pins, then installs Headset itself, editable.
# May be run again at any time; PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3 python3.12 python3.13 python; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "setup: no Python 3.11 or newer (with venv) among: ${PYTHON:-} python3.11 python3 python3.12 python3.13" >&2
  echo "setup: install one, or name it: PYTHON=/path/to/python3.11 make setup" >&2
  exit 1
}

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
  python=$(find_python)
  echo "setup: making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
fi

# uv installs in seconds what takes pip a minute, but pip knows every index set-up: it is the way back.
echo "setup: installing $(grep -c '==' requirements.lock) pinned packages"
.venv/bin/pip install -qq --require-hashes -r <(sed -n '/^uv==/,/[^\\]$/p' requirements.lock) || true
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock ||
  .venv/bin/pip install --quiet --require-hashes -r requirements.lock

.venv/bin/pip install -qq --no-index --no-deps --no-build-isolation --editable .
