"""Office files whose bytes depend on nothing but what is in them.

Belongs here: writing an office file's parts again without the clock. Does not belong here: what is in them
(`documents.pptx`, `documents.xlsx`).

Such a file is a zip of parts; libraries stamp its entries, and the workbooks inside it, with the time of writing.
"""

from __future__ import annotations

import io
import re
import zipfile

EPOCH = (1980, 1, 1, 0, 0, 0)
STAMP = "2000-01-01T00:00:00Z"
_WORKBOOK = re.compile(r"ppt/embeddings/.*\.xlsx")
_WRITTEN = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(</dcterms:)")


def sealed(data: bytes, *, stamped: bool = True) -> bytes:
    """The same office file with fixed times. `stamped`: its own properties already carry a time that is meant."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as read,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as made,
    ):
        for entry in read.infolist():
            body = read.read(entry)
            if _WORKBOOK.fullmatch(entry.filename):
                body = sealed(body, stamped=False)
            elif entry.filename == "docProps/core.xml" and not stamped:
                body = _WRITTEN.sub(rb"\g<1>" + STAMP.encode() + rb"\g<2>", body)
            part = zipfile.ZipInfo(entry.filename, EPOCH)
            part.compress_type = zipfile.ZIP_DEFLATED
            part.external_attr = 0o600 << 16
            made.writestr(part, body)
    return out.getvalue()
