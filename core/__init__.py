"""The pipeline's model: what a pipeline file may say, as frozen objects, and the errors.

Imports no driver, no Prefect and no sibling package.
"""
