"""The pipeline, a module per stage; each asset calls one function of `inspection`."""
