"""Telling people what happened: by e-mail, by SNS and in the log.

`notices.py` decides what is to be told, `messages.py` puts it into words, `book.py` keeps in the lake what was told,
`delivery.py` sends it until it is accepted, `channels.py` knows how. `telling.py` ties them together.
"""
