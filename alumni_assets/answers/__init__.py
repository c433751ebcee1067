"""What the answers mean: intervals, comparisons, verdicts in words, what changed, and what the public may see.

All of it but `reading.py` is pure, and works on counts and means that were read already. The questions themselves are
SQL (`sql/`), kept by `warehouse/answers.py`; the page and the report that show all this are in `dashboard/` and
`report/`.
"""
