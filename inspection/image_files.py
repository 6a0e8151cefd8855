"""The content of the image files by hash, and whether one content stands on two sides of the split.

Paths tell little: a file may be copied or uploaded again under another name. The hashes are known once the
image cache has read the files, so this check comes after it and before training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from psycopg2.extras import execute_values

from inspection.dataset import Sample
from inspection.leakage import SHOWN, Leak, read_rows
from inspection.warehouse import transaction

CHECK = "no_file_on_two_sides"

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


def record_files(dsn: str, samples: Iterable[Sample], hashes: Mapping[str, str]) -> None:
    """Writes the hashes into ``features.image_files``; a newer one replaces what was known of an image.

    Args:
        dsn: libpq URI of the warehouse.
        samples: images that were asked for.
        hashes: SHA-256 of the original file by image id, of those that could be read.
    """
    rows = [(s.image_id, s.image_path, hashes[s.image_id]) for s in samples if s.image_id in hashes]
    with transaction(dsn) as warehouse:
        execute_values(
            warehouse,
            """
            insert into features.image_files (image_id, image_path, sha256) values %s
            on conflict (image_id) do update
            set image_path = excluded.image_path, sha256 = excluded.sha256, read_at = clock_timestamp()
            where (image_files.image_path, image_files.sha256) <> (excluded.image_path, excluded.sha256)
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
