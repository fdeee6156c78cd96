"""Places for the caches of other libraries where the home folder takes none.

ArviZ cannot be imported, matplotlib complains and PyTensor does not compile where they cannot write
below the home folder, as on many clusters and in containers. Then a temporary folder stands in.
"""

from __future__ import annotations

import os

_FOLDERS = (".cache", ".config", ".pytensor")


def provide() -> None:
    """Set the environment for a temporary folder if the home folder cannot be written."""
    home = os.path.expanduser("~")
    if _usable(home) and all(
        _usable(place) for name in _FOLDERS if os.path.lexists(place := os.path.join(home, name))
    ):
        return
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="bayesdecov-caches-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for variable in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"):
        os.environ.setdefault(variable, folder)
    flags = os.environ.get("PYTENSOR_FLAGS", "")
    if "base_compiledir" not in flags:
        os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, (flags, f"base_compiledir={folder}")))
    if not os.path.isdir(home):
        os.environ["HOME"] = folder


def _usable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
