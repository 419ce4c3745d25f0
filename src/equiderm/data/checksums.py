"""Checksums as the owners of files publish them: in a list of files, or with the file itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_KINDS = ("md5", "sha1", "sha256", "sha512")


def checksum_of(path: Path, kind: str) -> str:
    """Return the checksum of a file, such as ``md5:...``.

    Args:
        path: The file.
        kind: A name that `hashlib` knows.
    """
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


def listed_checksum(listing: Any, url: str) -> str | None:
    """Return the checksum of the file at ``url`` in its owner's list of files, None if not there.

    Args:
        listing: The list as its JSON is read.
        url: The file's address, whose last part is its number in the list.

    Source:
        Dataverse Native API, "List Files in a Dataset" (of a table that it converted, the
        checksum may be of either form, so none is taken); figshare API v2, ``articles/ID/files``.
    """
    number = urlsplit(url).path.rpartition("/")[2]
    rows = listing.get("data") if isinstance(listing, dict) else listing
    for row in rows if isinstance(rows, list) else []:
        file = row.get("dataFile", row) if isinstance(row, dict) else None
        if not isinstance(file, dict) or str(file.get("id")) != number:
            continue
        published = file.get("checksum")
        if isinstance(published, dict) and "originalFileFormat" not in file:
            return _valid(published.get("type"), published.get("value"))
        return _valid("md5", file.get("computed_md5"))
    return None


def stored_checksum(headers: Mapping[str, str]) -> str | None:
    """Return the MD5 that an object store gives with a file, None if it gives none.

    Args:
        headers: The headers of the answer with the file.

    Source:
        Google Cloud Storage XML API, ``x-goog-hash``; Amazon S3 API, "Object": the ETag is the MD5
        of what was uploaded in one piece, plain or encrypted with S3's own keys.
    """
    if headers.get("Content-Encoding", "identity") != "identity":
        return None  # the MD5 is of what is stored, not of what comes
    if headers.get("x-goog-stored-content-encoding", "identity") == "identity":
        coded = re.search(r"\bmd5=([\w+/]+=*)", headers.get("x-goog-hash", ""))
        if coded:
            try:
                return _valid("md5", base64.b64decode(coded[1]).hex())
            except binascii.Error:
                return None
    encrypted = headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    encrypted |= "x-amz-server-side-encryption-customer-algorithm" in headers
    if "AmazonS3" in headers.get("Server", "") and not encrypted:
        return _valid("md5", headers.get("ETag", "").strip('"'))
    return None


def _valid(kind: Any, digits: Any) -> str | None:
    """Return ``kind:digits`` where these are a checksum."""
    kind, digits = str(kind).lower().replace("-", ""), str(digits).lower()
    whole = kind in _KINDS and len(digits) == 2 * hashlib.new(kind).digest_size
    return f"{kind}:{digits}" if whole and re.fullmatch("[0-9a-f]+", digits) else None
