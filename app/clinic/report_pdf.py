"""The report as a PDF of one A4 page, by ReportLab; it needs no program of the system.

What has to be there whatever the rest takes, room for notes and signature, is laid out first, from
the bottom of the page; everything else shares what is left and is made smaller where that is not
enough. So there is never a second page.
"""

import importlib.util
import io
import threading
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from app.clinic.report_content import ClassLine, Line, ReportContent

# In points, as ReportLab counts: 72 to the inch.
_WIDTH, _HEIGHT = 595.28, 841.89
_MARGIN_X, _MARGIN_Y = 38.0, 30.0
_INNER = _WIDTH - 2 * _MARGIN_X
_GAP = 12.0
_PICTURE_HEIGHT = 150.0
_SIGNATURE_HEIGHT = 44.0
_LEAST_NOTES = 44.0
_REGULAR, _BOLD = "DejaVuSans", "DejaVuSans-Bold"

# ReportLab keeps its fonts for the whole process, and does not promise that threads may share them.
_DRAWING = threading.Lock()

_INK, _QUIET, _RULE, _TITLE = "#14191d", "#3c474f", "#8fb5bd", "#0b4a56"
_BENIGN, _MALIGNANT, _EMPTY = "#2d7f92", "#b3402e", "#e3e8eb"
_NOTICE, _WARNING = ("#fdf4dc", "#9a6700"), ("#fdeaea", "#8a1c1c")


def report_pdf(content: ReportContent) -> bytes:
    """Draw a report as a PDF; the same content gives the same bytes.

    Args:
        content: What it says; every text of it is taken for text, never for markup.
    """
    with _DRAWING:
        return _drawn(content)


def _drawn(content: ReportContent) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    _register_fonts()
    buffer = io.BytesIO()
    canvas = Canvas(
        buffer, pagesize=(_WIDTH, _HEIGHT), invariant=True, lang=content.language, pageCompression=1
    )
    canvas.setTitle(content.printed)
    canvas.setSubject(content.title)
    canvas.setAuthor("")
    canvas.setCreator("skin-lesion")
    top = _HEIGHT - _MARGIN_Y
    least = _MARGIN_Y + _SIGNATURE_HEIGHT + _LEAST_NOTES
    bottom = _draw_above(canvas, _story(content), top, least)
    _draw_notes(canvas, content, bottom)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@cache
def _register_fonts() -> None:
    """DejaVu Sans, which has the letters of every European language and lies in matplotlib."""
    from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
    from reportlab.pdfbase.ttfonts import TTFont

    found = importlib.util.find_spec("matplotlib")  # not imported: only its files are wanted
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("matplotlib, which brings the fonts of the report, is not installed")
    folder = Path(found.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    for name in (_REGULAR, _BOLD):
        registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    registerFontFamily(_REGULAR, normal=_REGULAR, bold=_BOLD, italic=_REGULAR, boldItalic=_BOLD)


def _draw_above(canvas: Any, story: list[Any], top: float, least: float) -> float:
    """Draw blocks from the top, smaller where they would reach below `least`; gives their end."""
    from reportlab.platypus import KeepInFrame

    room = top - least
    fitted = KeepInFrame(_INNER, room, story, mode="shrink", hAlign="LEFT", vAlign="TOP")
    _, height = fitted.wrapOn(canvas, _INNER, room)
    fitted.drawOn(canvas, _MARGIN_X, top - height)
    return float(top - height)


def _draw_notes(canvas: Any, content: ReportContent, top: float) -> None:
    """Room for notes down to the signature, which stands at the bottom of every report."""
    line = _MARGIN_Y + 12
    upper = top - 10
    canvas.setFillColor(_TITLE)
    canvas.setFont(_BOLD, 8.5)
    canvas.drawString(_MARGIN_X, upper - 4, content.words["notes"])
    canvas.setStrokeColor(_QUIET)
    canvas.setLineWidth(0.5)
    foot = _MARGIN_Y + _SIGNATURE_HEIGHT
    canvas.rect(_MARGIN_X, foot, _INNER, max(upper - 9 - foot, 8.0))
    canvas.setStrokeColor(_INK)
    canvas.setFillColor(_INK)
    canvas.setFont(_REGULAR, 7)
    half = (_INNER - 2 * _GAP) / 2
    for x, word in ((0.0, "signature_date"), (half + 2 * _GAP, "signature")):
        canvas.line(_MARGIN_X + x, line, _MARGIN_X + x + half, line)
        canvas.drawString(_MARGIN_X + x, line - 9, content.words[word])


def _story(content: ReportContent) -> list[Any]:
    from reportlab.platypus import Spacer

    words = content.words
    story: list[Any] = [
        _text(content.title, 14, bold=True),
        _text(words["subtitle"], 7, colour=_QUIET),
        Spacer(1, 4),
        _box(content.notice, *_NOTICE),
    ]
    if content.synthetic is not None:
        story += [Spacer(1, 4), _box(content.synthetic, *_WARNING, dashed=True)]
    story += [
        Spacer(1, 4),
        _blanks(content.blanks),
        Spacer(1, 4),
        _lines(content.facts, 2),
        Spacer(1, 5),
        _pictures(content),
        Spacer(1, 5),
    ]
    if content.refusal is None:
        left = right = (_INNER - _GAP) / 2
        story.append(
            _columns(
                [
                    [_heading(words["differential"]), _differential(content, left)],
                    [_heading(words["judgement"]), _lines(content.judgement, 1, right)],
                ],
                [left, right],
            )
        )
    else:
        story += [
            _box((content.refusal.title, content.refusal.meaning), *_NOTICE, size=9),
            Spacer(1, 4),
            _lines(content.refusal.lines, 1, size=9),
        ]
    story += [_text(remark, 6.8, colour=_QUIET) for remark in content.remarks]
    story += [Spacer(1, 4), _heading(words["versions"]), _lines(content.versions, 2, size=6.6)]
    return story


def _text(text: str, size: float = 8, *, bold: bool = False, colour: str = _INK) -> Any:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        f"{size}", fontName=_BOLD if bold else _REGULAR, fontSize=size, leading=1.28 * size,
        textColor=colour, splitLongWords=1,
    )  # fmt: skip
    return Paragraph(escape(text), style)


def _heading(text: str) -> Any:
    return _table(
        [[_text(text, 8.8, bold=True, colour=_TITLE)]],
        None,
        [("LINEBELOW", (0, 0), (-1, -1), 0.8, _RULE), ("BOTTOMPADDING", (0, 0), (-1, -1), 2)],
    )


def _box(
    said: tuple[str, str], fill: str, edge: str, *, size: float = 7.6, dashed: bool = False
) -> Any:
    # A warning that looks like the notice would be taken for it: its edge goes all round, dashed.
    edges = ("BOX", (0, 0), (-1, -1), 1.4, edge, None, (4, 3))
    style = [
        ("BACKGROUND", (0, 0), (-1, -1), fill),
        edges if dashed else ("LINEBEFORE", (0, 0), (0, -1), 3, edge),
        ("LEFTPADDING", (0, 0), (-1, -1), 8),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
    ]
    return _table([[[_text(said[0], size, bold=True), _text(said[1], size)]]], [_INNER], style)


def _blanks(names: Sequence[str]) -> Any:
    widths = [0.46, 0.22, 0.32]
    row = [_text(name, 7, colour=_QUIET) for name in names]
    style = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.8, _INK),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 13),
    ]
    return _table([row], [share * _INNER for share in widths], style)


def _lines(lines: Iterable[Line], columns: int, width: float = _INNER, size: float = 7.8) -> Any:
    """Names and values, so many pairs in a row."""
    cells: list[Any] = []
    for line in lines:
        value = [_text(line.value, size, bold=columns == 1)]
        if line.note:
            value.append(_text(line.note, size - 1.2, colour=_QUIET))
        cells += [_text(line.name, size, colour=_QUIET), value]
    per_row = 2 * columns
    cells += [""] * (-len(cells) % per_row)
    rows = [cells[start : start + per_row] for start in range(0, len(cells), per_row)]
    pair = width / columns
    name = min(0.38 * pair, 92.0)
    return _table(rows or [[""] * per_row], [name, pair - name] * columns, [])


def _pictures(content: ReportContent) -> Any:
    width = (_INNER - _GAP) / 2
    words = content.words
    left: list[Any] = [_picture(content.picture, words["no_picture"], width)]
    right: list[Any] = [_picture(content.heat_map, words["no_heat_map"], width)]
    if content.picture is not None:
        left.append(_text(words["picture"], 7.4, bold=True))
    if content.heat_map is not None:
        right.append(_text(content.heat_map_name, 7.4, bold=True))
        right.append(_text(words["heat_map_caption"], 6.8, colour=_QUIET))
    return _columns([left, right], [width, width])


def _picture(jpeg: bytes | None, lack: str, width: float) -> Any:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image

    if jpeg is None:
        style = [("BACKGROUND", (0, 0), (-1, -1), "#eef1f3"), ("LEFTPADDING", (0, 0), (-1, -1), 8)]
        return _table([[_text(lack, 8, colour=_QUIET)]], [width], style, heights=[30.0])
    wide, high = ImageReader(io.BytesIO(jpeg)).getSize()
    scale = min(width / wide, _PICTURE_HEIGHT / high)
    return Image(io.BytesIO(jpeg), wide * scale, high * scale, hAlign="LEFT")


def _differential(content: ReportContent, width: float) -> list[Any]:
    words = content.words
    names = [_text(words[key], 6.6, colour=_QUIET) for key in ("class", "kind", "code")]
    rows = [[*names, _text(words["probability"], 6.6, colour=_QUIET)]]
    share = (0.51, 0.18, 0.15, 0.16)
    widths = [part * width for part in share]
    for each in content.differential:
        mark = "■ " if each.in_set else ""
        name = [_text(f"{mark}{each.name}", 7.6, bold=each.in_set), _bar(each, widths[0] - 4)]
        kind, code = _text(each.kind, 7), _text(each.code, 7)
        rows.append([name, kind, code, _text(each.probability, 7.6, bold=each.in_set)])
    table = _table(rows, widths, [("LINEABOVE", (0, 1), (-1, -1), 0.3, "#cdd6db")])
    return [table, _text(content.differential_note, 6.6, colour=_QUIET)]


def _bar(each: ClassLine, width: float) -> Any:
    from reportlab.graphics.shapes import Drawing, Rect
    from reportlab.lib.colors import HexColor

    drawing = Drawing(width, 4)
    drawing.add(Rect(0, 0, width, 3, fillColor=HexColor(_EMPTY), strokeColor=None))
    colour = HexColor(_MALIGNANT if each.malignant else _BENIGN)
    drawing.add(Rect(0, 0, width * each.share, 3, fillColor=colour, strokeColor=None))
    return drawing


def _columns(columns: Sequence[list[Any]], widths: Sequence[float]) -> Any:
    """Blocks side by side, a gap between them."""
    cells: list[Any] = []
    sizes: list[float] = []
    for blocks, width in zip(columns, widths, strict=True):
        cells += [blocks, ""]
        sizes += [width, _GAP]
    return _table([cells[:-1]], sizes[:-1], [])


def _table(
    rows: list[Any],
    widths: Sequence[float] | None,
    style: list[Any],
    *,
    heights: list[float] | None = None,
) -> Any:
    from reportlab.platypus import Table

    plain = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 0.8),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 0.8),
    ]
    sizes = list(widths) if widths is not None else ["100%"]
    return Table(rows, colWidths=sizes, rowHeights=heights, style=plain + style, hAlign="LEFT")
