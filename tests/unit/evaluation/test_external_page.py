"""What the page on pictures from elsewhere says, and what it calls what it counts."""

import dataclasses
import re
from html import unescape

import pytest
from matplotlib.text import Text

from skin_lesion.evaluation.external import ExternalReport
from skin_lesion.evaluation.external_page import extent, lesion_warnings
from skin_lesion.evaluation.overlap import overlap_section, verdict
from skin_lesion.modeling.bundle import OOD_FILE
from tests.external_world import read, report_on, without_lesions

# A whole evaluation stands behind each of them.
pytestmark = pytest.mark.slow


def above_figures(report: ExternalReport) -> str:
    page = report.to_html()
    return page[: page.index('id="overall"')]


def words_of(page: str) -> str:
    """What is read, without pictures and tags; table cells stay apart."""
    shown = page[page.index("<body") :]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", shown)))


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A report with every text that was put into its pictures."""

    report: ExternalReport
    texts: set[str]

    def said(self) -> str:
        """What is read on the page."""
        return words_of(self.report.to_html())


def draw(bundle, external, config) -> Drawn:
    texts: set[str] = set()
    plain = Text.set_text

    def set_text(self: Text, text: object) -> None:
        # The name of a class is none of what was counted.
        texts.add(str(text).replace("Vascular lesion", ""))
        plain(self, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "set_text", set_text)
        return Drawn(report_on(bundle, external, config), texts)


@pytest.fixture(scope="module")
def unnamed(decided, external, thorough) -> Drawn:
    """Without a single lesion id."""
    return draw(decided, without_lesions(external, external.table.index), thorough)


@pytest.fixture(scope="module")
def named(decided, external, thorough) -> Drawn:
    return draw(decided, external, thorough)


def test_pictures_without_lesion_ids_are_not_said_to_be_lesions(unnamed):
    assert unnamed.report.summary.n_lesion_named == 0
    above = above_figures(unnamed.report)
    assert "36 pictures have no lesion id" in above
    assert "each such picture counts as a lesion of its own" in above
    assert "36 pictures of an unknown number of lesions" in above


def test_what_was_counted_are_pictures_in_every_section(unnamed):
    """Of lesions only what was promised of them on validation, and what pictures show, is said."""
    assert unnamed.report.summary.evidence.units == "picture"
    said = unnamed.said()
    for section in ("Answers changed", "Figures by sex", "resampled sets of pictures"):
        assert section in said
    counted = r"[\d,]+ (?:named )?lesions?\b|lesion group|over lesions|of each lesion|few lesions"
    assert re.findall(counted, said) == []
    assert "Images / malignant ones" in said
    assert "bootstrap over pictures." in said
    assert "Pictures 36" not in said  # they are the images


def test_what_was_counted_are_pictures_in_every_drawing(unnamed):
    about_lesions = {text for text in unnamed.texts if "lesion" in text.lower()}
    assert about_lesions <= {"too few lesions in validation: in every set"}
    assert any("over pictures" in text for text in unnamed.texts)
    assert any("Per image (n = 36)" in text for text in unnamed.texts)


def test_named_lesions_are_called_lesions(named):
    assert named.report.summary.evidence.units == "lesion"
    said = named.said()
    assert "Images / lesions / malignant ones" in said
    assert "bootstrap over lesions." in said
    assert "lesion group" not in said
    assert any("(36 images, 18 lesions)" in text for text in named.texts)
    assert any("Per lesion (n = 18)" in text for text in named.texts)


def test_the_pictures_of_a_test_split_are_of_lesion_groups(small_report):
    assert small_report.summary.evidence.units == "lesion_group"
    said = words_of(small_report.to_html())
    assert "Images / lesion groups / malignant groups" in said
    assert "squares one image of each lesion group" in said


def test_pictures_with_and_without_lesion_ids_are_counted_apart(decided, external, quick):
    lesions = external.table["lesion_id"]
    rows = external.table.index[lesions == lesions.iloc[0]]
    found = draw(decided, without_lesions(external, rows), quick)
    summary = found.report.summary
    assert summary.n_lesion_named == len(external.table) - len(rows)
    assert extent(summary) == "36 pictures: 34 of 17 named lesions, 2 without a lesion id"
    assert summary.evidence.units == "lesion_or_picture"
    for text in (
        "One picture of each lesion, and each without a lesion id",
        "Images / lesions and pictures without a lesion id",
        "36 pictures: 19 lesions and pictures without a lesion id; from ",
        "bootstrap over lesions and pictures without a lesion id",
    ):
        assert text in found.said()
    assert any("(36 images)" in text for text in found.texts)
    assert not any("19 lesions" in text for text in found.texts)


def test_what_is_measured_decides_what_is_counted(decided, mixed_folder, quick, tmp_path):
    """Lesions are named only of pictures that the model has seen, which are left out."""
    external = read(mixed_folder, decided, tmp_path)
    unseen = external.table.index[external.table["image_id"].str.startswith("p")]
    found = report_on(decided, without_lesions(external, unseen), quick).summary
    assert len(unseen) == 36
    assert len(external.table) == 48
    assert found.n_lesion_named == 0
    assert found.evidence.units == "picture"


def test_named_lesions_give_no_warning(named):
    assert lesion_warnings(named.report.summary) == []
    assert "36 pictures of 18 lesions" in above_figures(named.report)
    assert "<th class=number>One picture of each lesion</th>" in named.report.to_html()


def test_lesions_with_several_diagnoses_are_told_above_the_figures(decided, external, quick):
    table = external.table.copy()
    lesion = table["lesion_id"] == table["lesion_id"].iloc[0]
    table.loc[table.index[lesion][0], "dx"] = "bkl" if table["dx"].iloc[0] != "bkl" else "nv"
    found = report_on(decided, dataclasses.replace(external, table=table), quick)
    assert found.summary.n_lesions_in_conflict == 1
    assert "1 lesion id carries several diagnoses" in above_figures(found)


def test_that_no_overlap_was_found_is_said_with_what_would_not_be_recognised(named):
    page = named.report.to_html()
    start = page.index("No overlap with training or validation pictures found")
    said = page[start : page.index("</p>", start)]
    assert "framed or slightly turned copies, and other photographs of the same lesion" in said
    assert "quarter turns" not in said
    assert named.report.summary.overlap.resize_mode != "crop"


def test_what_goes_unseen_of_cropped_pictures_is_said(named):
    cropped = named.report.summary.overlap.model_copy(update={"resize_mode": "crop"})
    for text in (verdict(cropped, 1), overlap_section(cropped)):
        assert "copies of another shape" in text
        assert "quarter turns" in text


def test_a_bundle_without_hashes_says_that_overlap_was_not_checked(
    decided, external, small_report, small_world, thorough, tmp_path
):
    old = small_world.bundle.with_decisions(
        decided.contract.decisions, {OOD_FILE: small_report.reference}
        if small_report.reference else {}, tmp_path / "old",
    )  # fmt: skip
    assert old.seen_path is None
    found = report_on(old, external, thorough)
    assert not found.summary.overlap.checked
    page = found.to_html()
    assert "not checked" in page
    assert "No overlap" not in page


def test_the_main_figures_stand_per_image_and_per_lesion(named):
    page = named.report.to_html()
    found = named.report.summary.evidence.discrimination
    overall = page[page.index('id="overall"') : page.index('id="overlap"')]
    for unit in (found.images, found.lesions):
        estimate = unit.estimates["balanced_accuracy"]
        assert f"{estimate.value:.3f} ({estimate.ci_low:.3f} to" in overall


def test_only_the_classification_layer_is_said_to_have_been_shuffled(named):
    assert not named.report.summary.evidence.explanations.randomisation.cascade
    assert "the weights of the classification layer shuffled" in named.report.to_html()
