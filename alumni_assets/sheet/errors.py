"""Why a sheet cannot be exported."""


class SheetError(Exception):
    """Nothing could be exported.

    `code` is stable; the message is a sentence for the person who looks after the sheet and says what to do.
    It never holds answers, links (whoever has one can read the sheet) or tokens.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class PassingSheetError(SheetError):
    """A failure of a kind that goes away by itself, so that another attempt is worth while."""
