"""The empty presentation the slides are put into: its theme, its master and its two layouts.

Belongs here: what a designer sets in the slide master, so that who goes on working on the deck has real placeholders,
theme colours and theme fonts. Does not belong here: slides (`documents.pptx`).
"""

from __future__ import annotations

import re
from typing import Any

from ops_platform.documents.theme import (
    ACCENT,
    DEEP,
    FAINT,
    FOOTER_TOP,
    HEIGHT,
    INK,
    MARGIN,
    OFFICE_FONT,
    PANEL,
    PAPER,
    RULE,
    SERIES,
    SMALL_SIZE,
    SOFT,
    SUBTITLE_SIZE,
    TITLE_SIZE,
    TITLE_TOP,
    WIDTH,
)

COVER_SPLIT = 300.0
EMU = 12700
"""English metric units in a point."""
_NS = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
)
PAGE, COVER = 0, 1
FOOTER_INDEX, NUMBER_INDEX, SUBTITLE_INDEX = 11, 12, 13
FOOT_LEFT = (MARGIN, FOOTER_TOP, 560.0, 16.0)
FOOT_RIGHT = (WIDTH - MARGIN - 60, FOOTER_TOP, 60.0, 16.0)


def empty_presentation() -> Any:
    """A presentation of 16:9 slides with the layouts `PAGE` and `COVER`."""
    from pptx import Presentation
    from pptx.opc.constants import RELATIONSHIP_TYPE
    from pptx.util import Pt

    made = Presentation()
    made.slide_width, made.slide_height = Pt(WIDTH), Pt(HEIGHT)
    layouts = list(made.slide_layouts)
    title_slide, title_only = layouts[0], layouts[5]
    for layout in layouts:
        if layout not in (title_slide, title_only):
            made.slide_layouts.remove(layout)
    # The page first: it is what a new slide should be.
    ids = made.slide_master._element.sldLayoutIdLst
    ids.append(ids[0])
    _drop(made.part.package, RELATIONSHIP_TYPE.THUMBNAIL)
    _drop(made.part, RELATIONSHIP_TYPE.PRINTER_SETTINGS)
    theme = made.slide_master.part.part_related_by(RELATIONSHIP_TYPE.THEME)
    theme._blob = _theme(theme.blob.decode()).encode()
    _shapes(made.slide_master, _master())
    _styles(made.slide_master)
    _shapes(title_only, _page())
    title_only._element.cSld.set("name", "Page")
    _shapes(title_slide, _cover())
    title_slide._element.cSld.set("name", "Cover")
    return made


def _drop(holder: Any, kind: str) -> None:
    """Takes away what the library's own template brought along: somebody's printer, a picture of an empty slide."""
    for name, relation in list(holder._rels.items()):
        if relation.reltype == kind:
            holder._rels.pop(name)


def _theme(xml: str) -> str:
    slots = [("dk1", INK), ("lt1", PAPER), ("dk2", DEEP), ("lt2", PANEL)]
    slots += [(f"accent{number}", colour) for number, colour in enumerate(SERIES[:6], start=1)]
    slots += [("hlink", ACCENT), ("folHlink", SOFT)]
    scheme = "".join(f'<a:{slot}><a:srgbClr val="{colour}"/></a:{slot}>' for slot, colour in slots)
    xml = re.sub(
        r"<a:clrScheme.*?</a:clrScheme>", f'<a:clrScheme name="Operations">{scheme}</a:clrScheme>', xml, flags=re.S
    )
    face = f'<a:latin typeface="{OFFICE_FONT}"/><a:ea typeface=""/><a:cs typeface=""/>'
    both = f"<a:majorFont>{face}</a:majorFont><a:minorFont>{face}</a:minorFont>"
    fonts = f'<a:fontScheme name="Operations">{both}</a:fontScheme>'
    return re.sub(r"<a:fontScheme.*?</a:fontScheme>", fonts, xml, flags=re.S)


def _shapes(sheet: Any, shapes: list[str]) -> None:
    """Replaces all shapes of a master or layout."""
    from pptx.oxml import parse_xml

    tree = sheet._element.cSld.spTree
    for shape in list(tree)[2:]:
        tree.remove(shape)
    for number, shape in enumerate(shapes, start=2):
        tree.append(parse_xml(shape.replace('id="0"', f'id="{number}"', 1)))


def _styles(master: Any) -> None:
    """Title and body text of the master; everything else inherits from them."""
    from pptx.oxml import parse_xml

    styles = master._element.find("{http://schemas.openxmlformats.org/presentationml/2006/main}txStyles")
    plain = '<a:latin typeface="+mn-lt"/><a:ea typeface="+mn-ea"/><a:cs typeface="+mn-cs"/>'
    ink = '<a:solidFill><a:schemeClr val="tx1"/></a:solidFill>'
    levels = "".join(
        f'<a:lvl{level}pPr marL="{(level - 1) * 228600}" algn="l"><a:spcBef><a:spcPts val="0"/></a:spcBef><a:buNone/>'
        f'<a:defRPr sz="1300" kern="1200">{ink}{plain}</a:defRPr></a:lvl{level}pPr>'
        for level in range(1, 6)
    )
    new = parse_xml(
        f'<p:txStyles {_NS}><p:titleStyle><a:lvl1pPr algn="l"><a:lnSpc><a:spcPct val="100000"/></a:lnSpc>'
        f'<a:spcBef><a:spcPct val="0"/></a:spcBef><a:buNone/><a:defRPr sz="{int(TITLE_SIZE * 100)}" b="1" kern="1200">'
        f'{ink}<a:latin typeface="+mj-lt"/><a:ea typeface="+mj-ea"/><a:cs typeface="+mj-cs"/></a:defRPr></a:lvl1pPr>'
        f"</p:titleStyle><p:bodyStyle>{levels}</p:bodyStyle><p:otherStyle>{levels}</p:otherStyle></p:txStyles>"
    )
    styles.getparent().replace(styles, new)


def _master() -> list[str]:
    wide = WIDTH - 2 * MARGIN
    return [
        _rule("Top", 0, 0, WIDTH, 5, "tx2"),
        _rule("Foot", MARGIN, FOOTER_TOP - 4, wide, 0.75, "", RULE),
        _placeholder("Title", 'type="title"', (MARGIN, TITLE_TOP, wide, 32), "Title"),
        _placeholder("Text", 'type="body" idx="1"', (MARGIN, 108, wide, 380), "Text"),
        _placeholder("Footer", 'type="ftr" sz="quarter" idx="3"', FOOT_LEFT, "", _small("l")),
        _placeholder("Slide Number", 'type="sldNum" sz="quarter" idx="4"', FOOT_RIGHT, _NUMBER, _small("r")),
    ]


def _page() -> list[str]:
    wide = WIDTH - 2 * MARGIN
    size = int(SUBTITLE_SIZE * 100)
    style = f'<a:lvl1pPr><a:buNone/><a:defRPr sz="{size}" b="0">{_fill("", SOFT)}</a:defRPr></a:lvl1pPr>'
    return [
        _placeholder("Title", 'type="title"', None, "Title"),
        _placeholder(
            "Subtitle",
            f'type="body" sz="quarter" idx="{SUBTITLE_INDEX}"',
            (MARGIN, TITLE_TOP + 32, wide, 18),
            "Subtitle",
            style,
        ),
        _placeholder("Footer", f'type="ftr" sz="quarter" idx="{FOOTER_INDEX}"', FOOT_LEFT, "", _small("l")),
        _placeholder(
            "Slide Number", f'type="sldNum" sz="quarter" idx="{NUMBER_INDEX}"', FOOT_RIGHT, _NUMBER, _small("r")
        ),
    ]


def _cover() -> list[str]:
    title = f'<a:lvl1pPr><a:defRPr sz="4000" b="1">{_fill("bg1")}</a:defRPr></a:lvl1pPr>'
    under = f'<a:lvl1pPr><a:buNone/><a:defRPr sz="1800" b="0">{_fill("", "D5E3F1")}</a:defRPr></a:lvl1pPr>'
    return [
        _rule("Cover", 0, 0, WIDTH, COVER_SPLIT, "tx2"),
        _rule("Mark", MARGIN + 8, COVER_SPLIT - 6, 96, 6, "accent1"),
        _rule("Foot", 0, FOOTER_TOP - 8, WIDTH, 8, "bg1"),  # covers the rule of the master
        _placeholder("Title", 'type="ctrTitle"', (MARGIN + 8, 120, 800, 100), "Title", title),
        _placeholder("Subtitle", 'type="subTitle" idx="1"', (MARGIN + 8, 226, 800, 30), "Subtitle", under),
    ]


_NUMBER = (
    '<a:fld id="{C1FF6DA9-008F-8B48-92A6-B652298478BF}" type="slidenum"><a:rPr lang="en-US"/><a:t>‹#›</a:t></a:fld>'
)


def _small(align: str) -> str:
    return f'<a:lvl1pPr algn="{align}"><a:defRPr sz="{int(SMALL_SIZE * 100)}">{_fill("", SOFT)}</a:defRPr></a:lvl1pPr>'


def _fill(scheme: str, colour: str = FAINT) -> str:
    inner = f'<a:schemeClr val="{scheme}"/>' if scheme else f'<a:srgbClr val="{colour}"/>'
    return f"<a:solidFill>{inner}</a:solidFill>"


def frame_xml(box: tuple[float, float, float, float]) -> str:
    """Place and size of a shape, of x, y, width and height in points."""
    x, y, w, h = (round(value * EMU) for value in box)
    place = f'<a:off x="{x}" y="{y}"/><a:ext cx="{w}" cy="{h}"/>'
    return f'<a:xfrm>{place}</a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom>'


def _rule(name: str, x: float, y: float, w: float, h: float, scheme: str, colour: str = FAINT) -> str:
    return (
        f'<p:sp {_NS}><p:nvSpPr><p:cNvPr id="0" name="{name}"/><p:cNvSpPr/><p:nvPr userDrawn="1"/></p:nvSpPr>'
        f"<p:spPr>{frame_xml((x, y, w, h))}{_fill(scheme, colour)}<a:ln><a:noFill/></a:ln></p:spPr>"
        f'<p:txBody><a:bodyPr/><a:lstStyle/><a:p><a:endParaRPr lang="en-US"/></a:p></p:txBody></p:sp>'
    )


def _placeholder(
    name: str, kind: str, box: tuple[float, float, float, float] | None, text: str, style: str = ""
) -> str:
    inner = text if text.startswith("<") else f'<a:r><a:rPr lang="en-US"/><a:t>{text}</a:t></a:r>' if text else ""
    body = (
        '<a:bodyPr lIns="0" tIns="0" rIns="0" bIns="0" anchor="t"><a:noAutofit/></a:bodyPr>' if box else "<a:bodyPr/>"
    )
    return (
        f'<p:sp {_NS}><p:nvSpPr><p:cNvPr id="0" name="{name} Placeholder"/>'
        '<p:cNvSpPr><a:spLocks noGrp="1"/></p:cNvSpPr>'
        f"<p:nvPr><p:ph {kind}/></p:nvPr></p:nvSpPr><p:spPr>{frame_xml(box) if box else ''}</p:spPr>"
        f"<p:txBody>{body}<a:lstStyle>{style}</a:lstStyle>"
        f'<a:p>{inner}<a:endParaRPr lang="en-US"/></a:p></p:txBody></p:sp>'
    )
