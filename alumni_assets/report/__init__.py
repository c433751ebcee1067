"""The weekly report: the public edition of the answers by e-mail, with a PDF.

`content.py` decides what is said, `documents.py` makes HTML, text, PDF and charts of it, `preparing.py` prepares a
week's report, `keeping.py` keeps it in the lake, `mail.py` makes the message, `channels.py` knows how it is sent, and
`sending.py` sends it to everybody once.
"""
