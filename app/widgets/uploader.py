"""Where pictures come from: files, the camera, or drawn samples.

Streamlit's own words in its uploader and camera are English; they are hidden, from the eye and from
screen readers, and those of the session's language stand in their places.
"""

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.clinic.layers import data_uri
from app.clinic.report_content import plain
from app.clinic.samples import BLURRED, Sample, samples
from app.clinic.tray import Given, Tray
from app.desk import Desk
from app.widgets.uploads import held, let_go
from app.widgets.words import RefusedFiles, name_controls
from skin_lesion.texts import Texts

_SOURCE = "read_source"
_ROUND = "read.round"
_SOURCES = ("files", "camera", "samples")
_MB = 2**20


def intake(desk: Desk, tray: Tray) -> None:
    """Draw it; what is given waits on the tray, and is no longer held by the widget.

    Beside pictures that are there already it takes as little room as it can.
    """
    texts, more = desk.texts, bool(tray.pictures)
    st.session_state.setdefault(_SOURCE, "files")
    # In a place of its own: what it says of refused files outlives the widget that refused them.
    translated_uploader(
        texts, "read_files_", size=_megabytes(desk), count=desk.config.tray_pictures
    )
    with st.container(key="read_intake_more" if more else "read_intake", horizontal=more):
        source = st.segmented_control(
            texts("read.intake.source"),
            _SOURCES,
            format_func=lambda name: texts(f"read.intake.{name}"),
            key=_SOURCE,
            label_visibility="collapsed",
        )
        match source:
            case "camera":
                _camera(desk, tray)
            case "samples":
                _samples(texts, tray)
            case _:
                _files(desk, tray, more=more)
        if not more:
            kept = "privacy_kept" if desk.config.keep_pictures else "privacy"
            st.html(f'<p class="sl-quiet sl-privacy">{escape(texts(f"read.intake.{kept}"))}</p>')


def translated_uploader(texts: Texts, key: str, *, size: int, count: int) -> None:
    """Put the words of the session's language into the uploader of a key, and hide Streamlit's.

    Args:
        texts: The words.
        key: The uploader's; it may stand for all keys that begin with it.
        size: Largest file, in megabytes.
        count: Most files at a time.
    """
    words = {
        "choose": texts("read.intake.choose"),
        "limit": texts("read.intake.limit", size=size, count=count),
        "add": texts("read.intake.add"),
    }
    said = {name: _css_text(word) for name, word in words.items()}
    place = f'[class*="st-key-{key}"]'
    drop = f'{place} [data-testid="stFileUploaderDropzone"]'
    st.html(
        "<style>"
        f'{drop} [data-testid="stMarkdownContainer"] p {{display: none}}'
        f'{drop} [data-testid="stMarkdownContainer"]::after {{content: {said["choose"]}}}'
        f'{drop} [data-testid="stFileUploaderDropzoneInstructions"] span {{display: none}}'
        f'{drop} [data-testid="stFileUploaderDropzoneInstructions"]::after {{content: {said["limit"]}}}'
        f'{place} [data-testid="stFileChip"] [role="alert"] {{display: none}}'
        "</style>"
    )
    name_controls(
        {
            f'{drop} [data-testid="stBaseButton-secondary"]': words["choose"],
            f'{drop} [data-testid="stBaseButton-borderlessIcon"]': words["add"],
            f"{drop} input": words["choose"],
            f'{place} [data-testid="stFileChipDeleteBtn"] button': texts("read.intake.discard"),
        },
        key=f"words_{key}",
        refused=RefusedFiles(
            f'{place} [data-testid="stFileChip"][aria-invalid="true"] [data-testid="stFileChipName"]',
            texts("read.intake.too_large_here", size=size),
            texts("read.intake.close"),
        ),
    )


def _files(desk: Desk, tray: Tray, *, more: bool) -> None:
    texts = desk.texts
    key = f"read_files_{_round()}"
    st.file_uploader(
        texts("read.intake.upload_more" if more else "read.intake.upload"),
        accept_multiple_files=True,
        max_upload_size=_megabytes(desk),
        label_visibility="collapsed" if more else "visible",
        key=key,
        on_change=_take_files,
        args=(key, tray, _round()),
    )


def _camera(desk: Desk, tray: Tray) -> None:
    texts = desk.texts
    _translated_camera(texts)
    key = f"read_camera_{_round()}"
    st.camera_input(
        texts("read.intake.camera_label"),
        key=key,
        resolution="1080p",
        on_change=_take_photograph,
        args=(key, tray, _round(), texts("read.intake.camera_name")),
    )


def _samples(texts: Texts, tray: Tray) -> None:
    st.html(f'<p class="sl-drawn">✎ {escape(texts("read.intake.samples_help"))}</p>')
    with st.container(horizontal=True, key="read_samples", gap="small"):
        for sample in samples():
            name = sample_name(texts, sample.key)
            with st.container(width=110, key=f"read_sample_{sample.key}", gap=None):
                alt = escape(texts("read.intake.sample_alt", name=name))
                st.html(
                    f'<div class="sl-thumb"><img src="{data_uri(sample.jpeg, "jpeg")}" alt="{alt}">'
                    "</div>"
                )
                st.button(
                    _short(texts, sample.key),
                    key=f"read_take_{sample.key}",
                    width="stretch",
                    on_click=_take_sample,
                    args=(sample, name, tray, _round()),
                )


def sample_name(texts: Texts, key: str) -> str:
    """What a drawn sample is called."""
    if key == BLURRED:
        return texts("read.intake.sample_blurred")
    return texts("read.intake.sample", name=texts(f"classes.{key}.short"))


def _short(texts: Texts, key: str) -> str:
    return texts("read.intake.blurred") if key == BLURRED else texts(f"classes.{key}.short")


def _megabytes(desk: Desk) -> int:
    """The largest file that the widget takes; what is still too large is refused once it is here."""
    return max(1, desk.config.max_file_bytes // _MB)


def _round() -> int:
    """Number of the widgets' present generation: with the next one they are empty again."""
    return int(st.session_state.setdefault(_ROUND, 0))


def _take(files: Sequence[Given], tray: Tray, generation: int) -> None:
    """Give files to the tray, once.

    A run of the page that another one overtakes leaves Streamlit as it was, which then calls the same
    callback again: by that time another generation of widgets stands on the page.
    """
    if not files or generation != _round():
        return
    st.session_state[_ROUND] = generation + 1
    tray.give(files)


def _take_files(key: str, tray: Tray, generation: int) -> None:
    files = held(st.session_state.get(key))
    _take([Given(plain(file.name), file.getvalue()) for file in files], tray, generation)
    let_go(files)


def _take_photograph(key: str, tray: Tray, generation: int, name: str) -> None:
    photographs = held(st.session_state.get(key))
    if photographs:
        _take([Given(name, one.getvalue()) for one in photographs], tray, generation)
        let_go(photographs)
        # The camera is let go, and with it the light that tells of it.
        st.session_state[_SOURCE] = "files"


def _take_sample(sample: Sample, name: str, tray: Tray, generation: int) -> None:
    _take([Given(name, sample.jpeg, sample.key)], tray, generation)


def _translated_camera(texts: Texts) -> None:
    place = '[class*="st-key-read_camera_"]'
    said = {name: _css_text(texts(f"read.intake.{name}")) for name in ("camera_ask", "take")}
    button = f'{place} [data-testid="stCameraInputButton"]'
    st.html(
        "<style>"
        f'{place} [data-testid="stCameraInputWebcamComponent"] p {{font-size: 0; visibility: hidden}}'
        f'{place} [data-testid="stCameraInputWebcamComponent"] p a {{display: none}}'
        f'{place} [data-testid="stCameraInputWebcamComponent"] p::after '
        f"{{content: {said['camera_ask']}; font-size: 0.9rem; visibility: visible}}"
        f"{button} {{font-size: 0}}"
        f"{button}::after {{content: {said['take']}; font-size: 0.95rem}}"
        "</style>"
    )
    name_controls({button: texts("read.intake.take")}, key="words_read_camera")


def _css_text(words: str) -> str:
    """A text as a string of CSS, whatever letters it has."""
    escaped = "".join(
        letter if letter.isalnum() or letter in " .,:" else f"\\{ord(letter):06x}"
        for letter in words
    )
    return f'"{escaped}"'
