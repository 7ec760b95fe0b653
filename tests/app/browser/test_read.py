"""Reading a picture: how it is given, what is answered, and what can be done with the answer."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Download, expect

from skin_lesion.inference import Predictor
from skin_lesion.labels import LABELS
from skin_lesion.prediction import Prediction
from skin_lesion.texts import LANGUAGES, Language, Texts
from tests.app.browser.accessibility import grave_findings
from tests.app.browser.album import Album, on_disk
from tests.app.browser.conftest import Enter
from tests.app.browser.visitor import Visitor


@pytest.fixture(scope="session")
def said(album: Album, shelf: object) -> Prediction:
    """What the model says of the first picture, asked directly."""
    from skin_lesion.modeling.bundle import ModelBundle

    folder = Path(shelf.database).parent  # type: ignore[attr-defined]
    predictor = Predictor(ModelBundle.open(folder / "final 1" / "bundle"))
    [prediction] = predictor.predict([album.lesion().data])
    assert prediction.status == "ok"
    return prediction


@pytest.fixture
def reader(clinician: Visitor, album: Album) -> Visitor:
    """Somebody before the answer for one picture."""
    clinician.give(album.lesion())
    expect(clinician.at("read_table")).to_be_visible()
    return clinician


def answer_stands(person: Visitor, name: str) -> None:
    title = person.texts("read.picture.title", number=1, name=name)
    expect(person.page.get_by_role("heading", name=title)).to_be_visible()
    expect(person.at("read_risk")).to_be_visible()
    expect(person.at("read_report_pdf")).to_be_visible()
    person.settle()


def test_a_dropped_picture_is_read(clinician: Visitor, album: Album) -> None:
    clinician.drop(album.lesion())
    answer_stands(clinician, "lesion-2.jpg")


def test_a_picture_of_the_file_dialog_is_read(
    clinician: Visitor, album: Album, tmp_path: Path
) -> None:
    path = on_disk(tmp_path, album.lesion(3, "Muñoz <b>ä & co.png", "PNG"))
    with clinician.page.expect_file_chooser() as chooser:
        clinician.page.get_by_test_id("stFileUploaderDropzone").locator("button").click()
    chooser.value.set_files(path)
    answer_stands(clinician.settle(), path.name)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_other_formats_are_read(clinician: Visitor, album: Album, kind: str) -> None:
    file = album.lesion(kind=kind)
    clinician.give(file)
    answer_stands(clinician, file.name)


def test_a_dicom_file_is_read_and_its_patient_is_not_named(
    clinician: Visitor, album: Album
) -> None:
    clinician.give(album.dicom())
    answer_stands(clinician, "scan.dcm")
    assert "DOE" not in clinician.page.content()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answer_has_seven_classes_risk_verdict_and_confidence_in_words(
    enter: Enter, album: Album, said: Prediction, language: Language
) -> None:
    person = enter(language).go().give(album.lesion())
    answer_stands(person, "lesion-2.jpg")
    texts, read = person.texts, person.reads()
    assert said.probabilities is not None
    for label in LABELS:
        shown = texts.probability(said.probabilities[label]).replace("\u00a0", " ")
        assert texts(f"classes.{label}.name") in read
        assert shown in read, label
    assert said.malignant_probability is not None
    total = texts.probability(said.malignant_probability).replace("\u00a0", " ")
    risk = " ".join(person.at("read_risk").inner_text().split())
    assert total in risk
    assert texts("answer.risk.title") in risk
    assert any(
        texts(f"answer.risk.level.{level}") in risk
        for level in ("low", "raised", "high", "very_high")
    )
    confidence = person.at("read_confidence").inner_text()
    assert texts(f"answer.confidence.level.{said.confidence}") in confidence
    for what in ("read_risk", "read_verdict", "read_confidence"):
        expect(person.at(what).locator(".sl-shape").first).to_be_visible()
    person.sees_nothing_of_the_inside()


def test_the_heat_map_follows_the_chosen_class(reader: Visitor, said: Prediction) -> None:
    heat = reader.page.locator(".heat")
    first = heat.get_attribute("src")
    other = next(label for label in LABELS if label != said.prediction)
    name = reader.texts(f"classes.{other}.name")
    reader.choose("read_class_1", name)
    expect(reader.page.locator(".warm figcaption")).to_contain_text(name)
    assert heat.get_attribute("src") != first
    expect(heat).to_have_attribute("alt", re.compile(re.escape(name)))


def test_opacity_and_zoom_are_moved_by_the_keyboard_without_asking_the_server(
    reader: Visitor,
) -> None:
    page = reader.page
    slider = page.locator(".opacity input")
    slider.focus()
    before = float(page.locator(".heat").evaluate("e => getComputedStyle(e).opacity"))
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    after = float(page.locator(".heat").evaluate("e => getComputedStyle(e).opacity"))
    assert after == pytest.approx(before - 0.2, abs=0.02)
    page.get_by_role("button", name=reader.texts("read.viewer.zoom_in")).click()
    expect(page.locator(".zoom output")).to_have_text(re.compile("150"))
    page.locator(".stage").first.focus()
    page.keyboard.press("0")
    expect(page.locator(".zoom output")).to_have_text(re.compile("100"))


def test_the_picture_is_shown_as_the_model_sees_it(reader: Visitor) -> None:
    button = reader.page.get_by_role("button", name=reader.texts("read.viewer.view"), exact=True)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(reader.page.locator(".plain figcaption")).to_have_text(
        reader.texts("read.viewer.view_caption")
    )
    size = reader.page.locator(".plain .picture").evaluate("e => [e.naturalWidth, e.naturalHeight]")
    assert size[0] / size[1] == pytest.approx(32 / 24, abs=0.01)


def test_another_operating_point_gives_its_own_verdict(reader: Visitor) -> None:
    verdict = reader.at("read_verdict")
    before = verdict.inner_text()
    options = reader.options("read_verdict")
    assert len(options) == 4
    reader.page.get_by_role("option", name=options[-1]).click()
    reader.settle()
    expect(verdict).not_to_have_text(before)
    expect(verdict).to_contain_text("%")


def test_the_language_changes_under_an_answer_and_nothing_is_read_again(reader: Visitor) -> None:
    rows = reader.dashboard.shop.rows()
    reader.speak("es")
    expect(reader.at("read_risk")).to_contain_text(Texts("es")("answer.risk.title"))
    assert reader.dashboard.shop.rows() == rows


def test_a_reading_is_written_down_once_whatever_is_clicked_afterwards(
    clinician: Visitor, album: Album, said: Prediction
) -> None:
    before = clinician.dashboard.shop.rows()
    clinician.give(album.lesion())
    answer_stands(clinician, "lesion-2.jpg")
    clinician.turn_to("evidence").turn_to("read")
    answer_stands(clinician, "lesion-2.jpg")
    clinician.speak("es")
    log = clinician.dashboard.shop.audit()
    assert clinician.dashboard.shop.rows() == before + 1
    newest = log.readings(user="local", limit=1)[0].row
    assert newest.prediction == said.prediction
    assert newest.image_sha256 == said.image_sha256


def test_feedback_is_recorded_and_found_in_the_history(reader: Visitor) -> None:
    form = reader.at("read_feedback")
    reader.choose("read_feedback", reader.texts("classes.vasc.name"))
    note = "No es melanoma <script>document.title = 'no'</script> ñ 病"
    form.get_by_role("textbox").fill(note)
    form.get_by_role("textbox").press("Tab")
    reader.settle()
    form.get_by_role("button", name=reader.texts("answer.feedback.record")).click()
    # The box of the note holds it as well, before anything was written down.
    expect(form.locator(".sl-said")).to_contain_text(note)
    [reading] = reader.dashboard.shop.audit().readings(user="local", limit=1)
    assert reading.feedback is not None
    assert (reading.feedback.feedback_label, reading.feedback.feedback_note) == ("vasc", note)
    reader.turn_to("history")
    expect(reader.at("history_table")).to_be_visible()
    with reader.page.expect_download() as download:
        reader.at("history_prepare").get_by_role("button").click()
        reader.at("history_download").get_by_role("button").click()
    rows = list(csv.DictReader(io.StringIO(contents(download.value).decode("utf-8-sig"))))
    assert any(note in row.values() for row in rows)


def contents(download: Download) -> bytes:
    """What was downloaded."""
    path = download.path()
    assert path is not None
    return path.read_bytes()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_report_is_one_page_with_everything_on_it(
    enter: Enter, album: Album, said: Prediction, language: Language
) -> None:
    from pypdf import PdfReader

    person = enter(language).go().give(album.lesion())
    answer_stands(person, "lesion-2.jpg")
    with person.page.expect_download() as pdf:
        person.at("read_report_pdf").get_by_role("button").click()
    document = PdfReader(io.BytesIO(contents(pdf.value)))
    assert pdf.value.suggested_filename.endswith(".pdf")
    assert len(document.pages) == 1
    text = " ".join(document.pages[0].extract_text().split())
    assert said.prediction is not None
    assert person.texts(f"classes.{said.prediction}.name") in text
    assert person.texts("frame.notice.title") in text
    assert len(document.pages[0].images) >= 2  # the picture and its heat-map

    with person.page.expect_download() as page:
        person.at("read_report_html").get_by_role("button").click()
    html = contents(page.value).decode("utf-8")
    assert page.value.suggested_filename.endswith(".html")
    assert f'lang="{language}"' in html
    assert person.texts("frame.notice.title") in html
    assert not re.search(r'(?:src|href)="(?!data:|#)', html), "it loads something from elsewhere"


@pytest.mark.parametrize(("which", "reason"), [("black", "too_dark"), ("noise", "blank")])
def test_what_cannot_be_assessed_gets_no_probability_but_a_reason_and_advice(
    clinician: Visitor, album: Album, which: str, reason: str
) -> None:
    clinician.give(getattr(album, which)())
    texts = clinician.texts
    clinician.sees(texts("answer.refused.cannot_assess"))
    clinician.sees(texts(f"reasons.{reason}.why"))
    clinician.sees(texts(f"reasons.{reason}.what_to_do"))
    expect(clinician.at("read_risk")).to_have_count(0)
    assert not re.search(r"\d\s?%\s*(malign|benign)", clinician.reads())


def test_a_file_that_is_no_picture_is_unreadable_and_harms_nothing(
    clinician: Visitor, album: Album
) -> None:
    clinician.give(album.text())
    clinician.sees(clinician.texts("answer.refused.unreadable"))
    clinician.sees_nothing_of_the_inside()
    clinician.give(album.lesion())
    expect(clinician.at("read_risk")).to_be_visible()


def test_several_pictures_are_read_and_one_is_chosen(clinician: Visitor, album: Album) -> None:
    clinician.give(album.lesion(2), album.lesion(4), album.black())
    expect(clinician.at("read_strip")).to_be_visible()
    clinician.at("read_open_2").get_by_role("button").click()
    title = clinician.texts("read.picture.title", number=2, name="lesion-4.jpg")
    expect(clinician.page.get_by_role("heading", name=title)).to_be_visible()


def test_a_drawn_sample_says_that_it_is_drawn(clinician: Visitor) -> None:
    clinician.page.get_by_role("radio", name=clinician.texts("read.intake.samples")).click()
    clinician.settle()
    clinician.at("read_take_mel").get_by_role("button").click()
    clinician.sees(clinician.texts("read.picture.drawn"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_have_no_grave_finding_of_axe(
    enter: Enter, album: Album, language: Language
) -> None:
    person = enter(language).go().give(album.lesion())
    expect(person.at("read_risk")).to_be_visible()
    assert grave_findings(person) == []
    person.give(album.black())
    person.sees(person.texts("answer.refused.cannot_assess"))
    assert grave_findings(person) == []


def test_the_keyboard_alone_reaches_uploader_language_and_class(reader: Visitor) -> None:
    page = reader.page
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    wanted = {
        "uploader": '[data-testid="stFileUploaderDropzone"]',
        "language": ".st-key-frame_language",
        "class": ".st-key-read_class_1",
    }
    for _ in range(60):
        page.keyboard.press("Tab")
        for name, place in wanted.items():
            if page.evaluate("place => !!document.activeElement.closest(place)", place):
                reached.add(name)
                assert page.evaluate("document.activeElement.matches(':focus-visible')"), name
        if reached == wanted.keys():
            return
    pytest.fail(f"sixty presses of Tab reached only {sorted(reached)}")
