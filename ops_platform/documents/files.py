"""A document as files people open and edit: slides, the same pages as PDF, the numbers as a workbook.

Belongs here: which files a document has and what they are called. Does not belong here: how any of them is made (the
renderers), where it is kept or sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents.model import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle


def files_of(document: Document, bundle: Bundle) -> Mapping[str, bytes]:
    """The files of a document of pages, by name: the same two give the same bytes. A message has no files."""
    if not any(isinstance(block, Page) for block in document.blocks):
        return {}
    from ops_platform.documents import pdf, pptx, xlsx

    stem = f"{document.kind}-{document.period.start:%Y-%m}".replace("_", "-")
    return {
        f"{stem}.pptx": pptx.render(document),
        f"{stem}.pdf": pdf.render(document),
        f"{stem}.xlsx": xlsx.render(document, bundle),
    }
