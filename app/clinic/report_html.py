"""The report as one HTML page: no script, no other file, no network; it prints on one page of A4."""

import base64
from collections.abc import Iterable, Iterator
from html import escape

from app.clinic.report_content import ClassLine, Line, ReportContent

# Light on purpose: it is made for paper. Sizes are those of paper too, so that what is seen is printed.
_STYLE = """
@page { size: A4; margin: 10mm 12mm; }
* { box-sizing: border-box; margin: 0; }
html { background: #dfe4e8; }
body { font: 8.2pt/1.3 "DejaVu Sans", Verdana, Arial, sans-serif; color: #14191d; }
.sheet { display: flex; flex-direction: column; gap: 2mm; width: 202mm; height: 288mm;
  margin: 6mm auto; padding: 6mm 8mm; background: #fff; overflow: hidden;
  overflow-wrap: anywhere; }
/* Where it gets tight the pictures give way; what is said, the notes and the signature do not. */
.sheet > * { flex: none; }
h1 { font-size: 14pt; line-height: 1.2; }
h2 { font-size: 9.4pt; color: #0b4a56; border-bottom: .3mm solid #8fb5bd; padding-bottom: .5mm;
  margin-bottom: 1mm; }
.small, figcaption, dd small { font-size: 7.2pt; color: #3c474f; }
.notice, .synthetic, .refusal { padding: 1.4mm 2.4mm; border-left: 1.2mm solid #9a6700;
  background: #fdf4dc; }
.synthetic { border: .6mm dashed #8a1c1c; background: #fdeaea; color: #6d1111; }
.refusal { border: .6mm solid #5a4a00; background: #fbf6e3; font-size: 9.6pt; }
.blanks { display: grid; grid-template-columns: 2fr 1fr 1.4fr; gap: 4mm; }
.blanks div { border-bottom: .3mm solid #14191d; height: 7.5mm; font-size: 7.6pt; }
dl { display: grid; grid-template-columns: fit-content(36%) 1fr; gap: .35mm 2.5mm; }
dt { color: #3c474f; }
dd { font-weight: 600; }
dd small { display: block; font-weight: 400; }
.facts { grid-template-columns: auto 1.1fr auto 1.3fr; }
.answer { display: grid; grid-template-columns: 1.08fr 1fr; gap: 5mm; }
.sheet > .pictures { display: flex; gap: 5mm; flex: 0 1 66mm; min-height: 30mm; }
.sheet > .pictures.none { flex-basis: 10mm; min-height: 0; }
figure { flex: 1 1 0; min-width: 0; display: flex; flex-direction: column; }
figure img { flex: 1 1 0; min-height: 0; width: 100%; object-fit: contain; object-position: left top; }
figure p { flex: 1; display: grid; place-items: center; background: #eef1f3; color: #3c474f; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 400; color: #3c474f; font-size: 7.2pt; }
figcaption { min-height: 10mm; }
td { padding: .35mm 2mm .35mm 0; border-top: .15mm solid #cdd6db; vertical-align: top; }
td + td, th { white-space: nowrap; }
td.number, th.number { text-align: right; padding-right: 0; }
.bar { height: 1.1mm; background: #e3e8eb; margin-top: .3mm; }
.bar i { display: block; height: 100%; background: #2d7f92; }
.malignant .bar i { background: #b3402e; }
.in-set { font-weight: 600; }
.versions { grid-template-columns: auto 1fr auto 1fr; font-size: 6.9pt; }
.versions dd { font-weight: 400; font-family: "DejaVu Sans Mono", monospace; font-size: 6.4pt; }
.sheet > .notes { flex: 1 0 20mm; display: flex; flex-direction: column; }
.notes div { flex: 1; border: .2mm solid #8a979e; }
.signature { display: grid; grid-template-columns: 1fr 1fr; gap: 8mm; }
.signature div { border-top: .3mm solid #14191d; padding-top: .6mm; margin-top: 9mm;
  font-size: 7.6pt; }
@media print {
  html { background: none; }
  .sheet { margin: 0; padding: 0; width: 100%; height: 276.5mm; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
# Whatever a name might smuggle in, the page runs nothing and fetches nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report_html(content: ReportContent) -> str:
    """Draw a report as a page of its own.

    Args:
        content: What it says; every text of it is taken for text, never for HTML.
    """
    return "".join(_page(content))


def _page(content: ReportContent) -> Iterator[str]:
    yield (
        f'<!DOCTYPE html>\n<html lang="{escape(content.language)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(content.printed)}</title><style>{_STYLE}</style></head>"
        '<body><main class="sheet">'
    )
    words = content.words
    yield f'<header><h1>{escape(content.title)}</h1><p class="small">{escape(words["subtitle"])}</p></header>'
    yield _box("notice", content.notice)
    if content.synthetic is not None:
        yield _box("synthetic", content.synthetic)
    blanks = "".join(f"<div>{escape(name)}</div>" for name in content.blanks)
    yield f'<section class="blanks">{blanks}</section>'
    yield _lines(content.facts, "facts")
    yield from _pictures(content)
    if content.refusal is None:
        yield from _answer(content)
    else:
        refusal = content.refusal
        yield f'<section class="refusal"><h2>{escape(refusal.title)}</h2><p>{escape(refusal.meaning)}</p>'
        yield f"{_lines(refusal.lines)}</section>"
    yield "".join(f'<p class="small">{escape(remark)}</p>' for remark in content.remarks)
    yield f"<section><h2>{escape(words['versions'])}</h2>{_lines(content.versions, 'versions')}</section>"
    yield f'<section class="notes"><h2>{escape(words["notes"])}</h2><div></div></section>'
    yield (
        f'<section class="signature"><div>{escape(words["signature_date"])}</div>'
        f"<div>{escape(words['signature'])}</div></section></main></body></html>\n"
    )


def _box(kind: str, said: tuple[str, str]) -> str:
    return f'<p class="{kind}"><strong>{escape(said[0])}</strong> {escape(said[1])}</p>'


def _pictures(content: ReportContent) -> Iterator[str]:
    words = content.words
    none = content.picture is None and content.heat_map is None
    yield f'<section class="pictures{" none" if none else ""}">'
    yield _figure(content.picture, words["picture_alt"], words["no_picture"], words["picture"])
    yield _figure(
        content.heat_map,
        content.heat_map_alt,
        words["no_heat_map"],
        content.heat_map_name,
        words["heat_map_caption"],
    )
    yield "</section>"


def _figure(jpeg: bytes | None, alt: str, lack: str, name: str, caption: str = "") -> str:
    if jpeg is None:
        return f"<figure><p>{escape(lack)}</p></figure>"
    data = base64.b64encode(jpeg).decode("ascii")
    small = f"<br>{escape(caption)}" if caption else ""
    return (
        f'<figure><img alt="{escape(alt)}" src="data:image/jpeg;base64,{data}">'
        f"<figcaption><strong>{escape(name)}</strong>{small}</figcaption></figure>"
    )


def _answer(content: ReportContent) -> Iterator[str]:
    words = content.words
    rows = "".join(_row(each, words["in_set"]) for each in content.differential)
    head = (
        f'<th scope="col">{escape(words["class"])}</th><th scope="col">{escape(words["kind"])}</th>'
        f'<th scope="col">{escape(words["code"])}</th>'
        f'<th scope="col" class="number">{escape(words["probability"])}</th>'
    )
    yield (
        f'<div class="answer"><section><h2>{escape(words["differential"])}</h2>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'<p class="small">{escape(content.differential_note)}</p></section>'
    )
    yield (
        f"<section><h2>{escape(words['judgement'])}</h2>{_lines(content.judgement)}</section></div>"
    )


def _row(each: ClassLine, in_set: str) -> str:
    kind = "malignant" if each.malignant else "benign"
    mark = f'<span role="img" aria-label="{escape(in_set)}">■</span> ' if each.in_set else ""
    chosen = ' class="in-set"' if each.in_set else ""
    return (
        f'<tr class="{kind}"><td{chosen}>{mark}{escape(each.name)}'
        f'<div class="bar"><i style="width:{100 * each.share:.1f}%"></i></div></td>'
        f"<td>{escape(each.kind)}</td><td>{escape(each.code)}</td>"
        f'<td class="number">{escape(each.probability)}</td></tr>'
    )


def _lines(lines: Iterable[Line], kind: str = "") -> str:
    found = "".join(
        f"<dt>{escape(line.name)}</dt><dd>{escape(line.value)}"
        + (f"<small>{escape(line.note)}</small>" if line.note else "")
        + "</dd>"
        for line in lines
    )
    return f'<dl class="{kind}">{found}</dl>' if kind else f"<dl>{found}</dl>"
