"""The page that the university reads: `published/dashboard.html`, and its public edition.

`cards.py` and `trend.py` decide what is said and shown, `writing.py` how figures are written, `charts.py` draws them.
`page.py` makes the page from the templates, `downloads.py` the files that can be taken from it, `keeping.py` keeps both
editions in line with the tables, `serving.py` serves the page on this machine. What the figures mean is in `answers/`.
"""
