"""The object store as assets open it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inspection.errors import StoreError
from resources.artifacts import Artifacts


def test_a_folder(tmp_path: Path) -> None:
    store = Artifacts().open(str(tmp_path / "artifacts"))
    store.put("a/b", b"1")
    assert (tmp_path / "artifacts" / "a" / "b").read_bytes() == b"1"


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="VQI_ARTIFACTS"):
        Artifacts().open("ftp://host/folder")


def test_who_has_a_folder_does_not_wait_for_s3(tmp_path: Path) -> None:
    code = (
        "import sys; from resources.artifacts import Artifacts; "
        f"Artifacts().open({str(tmp_path)!r}).put('a', b''); "
        "assert not {'boto3', 'dagster_aws'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
