"""What reading the image files told, and whether one content stands on two sides of the split.

Paths tell little: a file may be copied or uploaded again under another name. The hashes are known once the
image cache has read the files, so this check comes after it and before training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields

import numpy as np
from psycopg2.extras import execute_values

from inspection.cache import FileFacts
from inspection.dataset import Sample
from inspection.image_quality import ImageQuality, quantiles
from inspection.leakage import SHOWN, Leak, read_rows
from inspection.warehouse import transaction

CHECK = "no_file_on_two_sides"
SHARES = ("5 %", "50 %", "95 %")

# A file that stands under another path now is another file, until it has been read.
_FILES = """
    from marts.training_dataset as dataset
    left join features.image_files as files
        on files.image_id = dataset.image_id and files.image_path = dataset.image_path
"""

_REPEATED = f"""
    select
        files.sha256,
        count(*) as images,
        string_agg(distinct dataset.split, ', ' order by dataset.split) as sides,
        string_agg(distinct dataset.fold_id::text, ', ') as folds,
        array_to_string((array_agg(dataset.image_path order by dataset.image_path))[:5], ', ') as files,
        count(distinct coalesce(dataset.fold_id, 0)) > 1 as leak
    {_FILES}
    where files.sha256 is not null
    group by files.sha256
    having count(*) > 1
    order by leak desc, files.sha256
"""


def record_files(dsn: str, samples: Iterable[Sample], files: Mapping[str, FileFacts]) -> None:
    """Writes hashes, sizes and quality into ``features.image_files``; newer ones replace older ones.

    Args:
        dsn: libpq URI of the warehouse.
        samples: images that were asked for.
        files: what reading them told, by image id, of those that could be read.
    """
    rows = [_row(sample, files[sample.image_id]) for sample in samples if sample.image_id in files]
    with transaction(dsn) as warehouse:
        execute_values(
            warehouse,
            """
            insert into features.image_files (
                image_id, image_path, sha256, file_bytes, sharpness, brightness, black_share, white_share
            ) values %s
            on conflict (image_id) do update
            set (image_path, sha256, file_bytes, sharpness, brightness, black_share, white_share, read_at) = (
                excluded.image_path, excluded.sha256, excluded.file_bytes, excluded.sharpness,
                excluded.brightness, excluded.black_share, excluded.white_share, clock_timestamp()
            )
            where (
                image_files.image_path, image_files.sha256, image_files.file_bytes, image_files.sharpness,
                image_files.brightness, image_files.black_share, image_files.white_share
            ) is distinct from (
                excluded.image_path, excluded.sha256, excluded.file_bytes, excluded.sharpness,
                excluded.brightness, excluded.black_share, excluded.white_share
            )
            """,
            rows,
            page_size=1000,
        )


def find_file_leak(dsn: str) -> Leak:
    """Looks for one content on two sides of ``marts.training_dataset`` or in two folds.

    The same content twice in one fold is told as well, and fails nothing: it counts double, and gives
    nothing away.

    Args:
        dsn: libpq URI of the warehouse.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(f"select count(files.sha256), count(*) {_FILES}")
        ((hashed, images),) = warehouse.fetchall()
        repeated = read_rows(warehouse, _REPEATED)
    if not hashed:
        return Leak(CHECK, "not applicable", f"none of {images} files has been read")
    leaks = sum(bool(row["leak"]) for row in repeated)
    evidence = (
        f"{leaks} contents on two sides or in two folds, {len(repeated) - leaks} twice in one fold; "
        f"{hashed} of {images} files read"
    )
    return Leak(CHECK, "failed" if leaks else "passed", evidence, tuple(repeated[:SHOWN]))


def camera_quality(
    samples: Iterable[Sample], files: Mapping[str, FileFacts]
) -> list[dict[str, str | int | float]]:
    """Tells how sharp and how well exposed each camera's images are.

    Args:
        samples: images that were asked for.
        files: what reading them told, by image id, of those that could be read.

    Returns:
        One row per camera, sorted: how many images, and of each measure of `ImageQuality` its 5 %, 50 %
        and 95 % quantile.
    """
    cameras: dict[str, list[ImageQuality]] = defaultdict(list)
    for sample in samples:
        if sample.image_id in files:
            cameras[sample.camera_id].append(files[sample.image_id].quality)
    rows: list[dict[str, str | int | float]] = []
    for camera, measured in sorted(cameras.items()):
        row: dict[str, str | int | float] = {"camera": camera, "images": len(measured)}
        for name in (field.name for field in fields(ImageQuality)):
            found = quantiles(np.array([getattr(quality, name) for quality in measured]))
            row |= {f"{name} {share}": value for share, value in zip(SHARES, found, strict=True)}
        rows.append(row)
    return rows


def _row(sample: Sample, facts: FileFacts) -> tuple[str | int | float, ...]:
    quality = facts.quality
    return (
        sample.image_id,
        sample.image_path,
        facts.sha256,
        facts.file_bytes,
        quality.sharpness,
        quality.brightness,
        quality.black_share,
        quality.white_share,
    )
