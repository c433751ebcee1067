"""The Google Sheet behind the survey's form: reading it, and writing what is new in it as uploads.

Nothing here knows Dagster. The asset is in `assets/sheet.py`, its schedule in `schedules.py`. How a person sets it up
is in `docs/google-sheet.md`.
"""
