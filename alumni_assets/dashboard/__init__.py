"""The page that the university reads: `published/dashboard.html`, and its public edition.

`cards.py` decides what is said and shown, `charts.py` draws it, `page.py` makes the page from the templates,
`downloads.py` the files that can be taken from it, `serving.py` serves it on this machine. What the figures mean is in
`answers/`.
"""
