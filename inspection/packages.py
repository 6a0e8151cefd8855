"""Which code and which packages made an artifact: part of its record."""

from __future__ import annotations

import hashlib
import subprocess
from importlib.metadata import version
from pathlib import Path

RECORDED = ("numpy", "opencv-python-headless", "onnx", "onnxruntime-gpu", "simplejpeg", "timm", "torch")


def package_versions() -> dict[str, str]:
    """Returns the installed versions of the packages that a model's numbers depend on."""
    return {name: version(name) for name in RECORDED}


def code_revision() -> str:
    """Returns the git revision of this code, with ``-dirty`` when files differ from it.

    Outside a git checkout (an unpacked archive) it is ``unknown``: the record then says so.
    """
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:  # no git on this machine
        return "unknown"
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def code_digest() -> str:
    """Returns the SHA-256 of the sources of `inspection`: a revision says little of files that differ."""
    folder, digest = Path(__file__).resolve().parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
