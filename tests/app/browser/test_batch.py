"""Many pictures at once: a table, a filter, a CSV file, and several pictures of one lesion."""

import csv
import io
import zipfile

import pytest
from playwright.sync_api import expect

from skin_lesion.texts import LANGUAGES, Language
from tests.app.browser.accessibility import grave_findings
from tests.app.browser.album import Album, File
from tests.app.browser.conftest import Enter
from tests.app.browser.visitor import Visitor

ASSESSED = 14


@pytest.fixture
def files(album: Album) -> list[File]:
    lesions = [album.lesion(number) for number in range(ASSESSED - 2)]
    same = [album.lesion(20, "pat7_back-1.jpg"), album.lesion(21, "pat7_back-2.jpg")]
    return [*lesions, *same, album.black(), album.text()]


def counted(person: Visitor, assessed: int) -> None:
    """All answers stand."""
    title = person.texts("batch.table.title", count=person.texts.number(assessed))
    expect(person.page.get_by_role("heading", name=title)).to_be_visible()
    person.settle()


@pytest.mark.parametrize("language", LANGUAGES)
def test_many_pictures_end_in_a_table_and_a_csv_file(
    enter: Enter, files: list[File], language: Language
) -> None:
    person = enter(language).go("batch").give(*files)
    counted(person, ASSESSED)
    title = person.texts("batch.refused.title", count=person.texts.number(2))
    expect(person.page.get_by_role("heading", name=title)).to_be_visible()
    with person.page.expect_download() as download:
        person.at("batch_csv").get_by_role("button").click()
    rows = list(csv.reader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    names = {cell for row in rows for cell in row}
    assert {file.name for file in files} <= names
    assert len(rows) == len(files) + 1
    person.sees_nothing_of_the_inside()
    assert grave_findings(person) == []


def test_a_zip_is_as_good_as_its_pictures(enter: Enter, album: Album) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in (2, 3, 4):
            archive.writestr(f"ward/lesion-{number}.jpg", album.lesion(number).data)
    person = enter().go("batch").give(File("ward.zip", buffer.getvalue(), "application/zip"))
    counted(person, 3)


def test_pictures_of_one_lesion_are_combined_by_a_rule_that_is_stated(
    enter: Enter, files: list[File]
) -> None:
    person = enter().go("batch").give(*files)
    counted(person, ASSESSED)
    options = person.options("batch_proposal")
    [proposal] = [option for option in options if "pat7_back-1.jpg" in option]
    person.page.get_by_role("option", name=proposal, exact=True).click()
    person.settle()
    lesion = person.at("batch_lesion")
    expect(lesion).to_be_visible()
    expect(lesion).to_contain_text("%")


def test_the_table_stays_while_other_pages_are_visited_and_can_be_emptied(
    enter: Enter, album: Album
) -> None:
    person = enter().go("batch").give(album.lesion(2), album.lesion(3))
    counted(person, 2)
    person.turn_to("history").turn_to("batch")
    counted(person, 2)
    person.at("batch_clear").get_by_role("button").click()
    expect(person.at("batch_csv")).to_have_count(0)
