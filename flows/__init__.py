"""Prefect flows and the command line: order, retries, concurrency, reports.

``nightly`` reads top to bottom. The steps beside it are plain functions that join the rooms:
``extraction``, ``linking``, ``guarding``, ``loading``, ``checking``.
"""
