"""Pure steps from rows to documents: no Prefect, no driver, no clock, no I/O."""
