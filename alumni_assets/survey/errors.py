"""Why a whole upload cannot be read. Reasons for single rows are data: see `contract.REASONS`."""


class UnreadableUploadError(Exception):
    """The upload is rejected as a whole.

    `code` is stable; the message is a sentence for the person who uploaded the file and says what
    to do. It never holds cell values.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
