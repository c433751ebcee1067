"""Names of uploads: from any key under raw/ to an id that is safe as a partition key and a file name.

Only naming lives here; where the objects lie is in `layout.py`.
"""

import hashlib
import re
import unicodedata

# Names of files have at most 255 bytes; ids and suffixes are added to these.
_LONGEST = 120
_LONGEST_BYTES = 160
_KEPT_OF_LONG = 100
_PERCENT = re.compile(r"%(?=[0-9A-Fa-f]{2})")
_HASHED = re.compile(r"~[0-9a-f]{16}$")


def upload_id(key: str, sha256: str, digits: int = 8) -> str:
    """The id of an upload: `<safe key>@<first hex digits of the content's SHA-256>`.

    `key` is the object's key below raw/, any text; `sha256` is 64 hex digits. Different keys give
    different safe keys. Letters, digits and inner spaces stay as they are.
    """
    return f"{safe_key(key)}@{sha256[:digits]}"


def object_name(upload: str) -> str:
    """The base name of an upload's objects in the lake, without suffix: `<safe key>-<hex digits>`."""
    slug, _, digits = upload.rpartition("@")
    if slug[:1] in {"_", "."}:
        slug = f"%{ord(slug[0]):02X}{slug[1:]}"
    return f"{slug}-{digits}"


def safe_key(key: str) -> str:
    """Percent-encode what a partition key or a file name cannot carry, and bound the length.

    Encoded are control and format characters, surrogates (bytes that are no text), outer spaces,
    slashes, a third dot in a row (Dagster's range mark), and a `%` that looks like an encoding, so
    that two keys never become one. A key over 120 characters or 160 bytes, or one that looks as if it
    had been, ends in a hash of the whole.
    """
    encoded = _PERCENT.sub("%25", key).replace("...", "..%2E")
    encoded = "".join(_encoded(char) if _is_unsafe(char) else char for char in encoded)
    inner = encoded.strip()
    start = encoded.index(inner)
    encoded = _encoded(encoded[:start]) + inner + _encoded(encoded[start + len(inner) :])
    if len(encoded) <= _LONGEST and len(encoded.encode()) <= _LONGEST_BYTES and not _HASHED.search(encoded):
        return encoded
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_shortened(encoded)}~{digest}"


def _shortened(encoded: str) -> str:
    text = encoded[:_KEPT_OF_LONG].encode()[: _LONGEST_BYTES - len("~") - 16].decode("utf-8", "ignore")
    return re.sub(r"%[0-9A-F]?$", "", text).rstrip()


def _is_unsafe(char: str) -> bool:
    return char in '/\\:*?"<>|\u2028\u2029' or unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
