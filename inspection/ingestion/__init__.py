"""The plant's databases and calibration files, as they are, in the warehouse.

`tick` moves what changed since the last one; `reconciliation` finds what was deleted.
"""
