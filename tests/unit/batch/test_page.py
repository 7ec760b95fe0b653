"""What a person sees of a batch."""

import pytest
from pydantic import ValidationError

from skin_lesion.batch.page import summary_page, visible
from skin_lesion.batch.progress import Spaced
from skin_lesion.batch.result import BatchSummary, ModelIdentity
from skin_lesion.labels import LABELS
from skin_lesion.settings import BatchConfig

MODEL = ModelIdentity(
    asked="champion", version="3", bundle_hash="b" * 64, synthetic_only=False,
    operating_points=("melanoma_sensitivity_95",),
)  # fmt: skip
SUMMARY = BatchSummary(
    job="a" * 64, source="/A & <b>\n", source_fingerprint="c" * 64, model=MODEL, inputs=1234,
    left_out=0, statuses={"ok": 1233, "unreadable": 1}, reasons={"empty": 1},
    classes=dict.fromkeys(LABELS, 0) | {"nv": 1233}, suspicious={"melanoma_sensitivity_95": 17},
    files={}, finished="2026-01-01T00:00:00+00:00",
)  # fmt: skip
ASIDE = [{"row": "7", "file": "<script>\n.jpg", "reason": "empty", "detail": "<i>"}]


def test_text_from_outside_cannot_break_the_page() -> None:
    page = summary_page(SUMMARY, ASIDE)
    assert "&lt;script&gt;\\n.jpg" in page
    assert "/A &amp; &lt;b&gt;\\n" in page
    assert "<script>" not in page
    assert "<i>" not in page


def test_the_page_says_what_came_of_the_pictures() -> None:
    page = summary_page(SUMMARY, ASIDE)
    for words in ("1 of 1,234 pictures without an answer", "1,233", "melanoma_sensitivity_95",
                  "17", "1.4", "For research only", "version in the registry"):  # fmt: skip
        assert words.lower() in page.lower()
    assert "drawn pictures only. It shows" not in page


def test_a_model_of_drawn_pictures_says_so() -> None:
    drawn = MODEL.model_copy(update={"synthetic_only": True})
    page = summary_page(SUMMARY.model_copy(update={"model": drawn}), ASIDE)
    assert "has seen drawn pictures only" in page


def test_a_batch_without_any_answer_has_a_page_too() -> None:
    nothing = SUMMARY.model_copy(
        update={"statuses": {"unreadable": 1234}, "classes": dict.fromkeys(LABELS, 0)}
    )
    page = summary_page(nothing, ASIDE)
    assert "1,234 of 1,234 pictures without an answer" in page
    assert "The first 1 of 1,234" in page


@pytest.mark.parametrize(
    ("name", "shown"), [("a\tb", "a\\tb"), ("ä 猫", "ä 猫"), ("\u202e", "\\u202e")]
)
def test_names_show_on_one_line(name: str, shown: str) -> None:
    assert visible(name) == shown


def test_progress_is_said_now_and_then_and_at_the_end() -> None:
    said: list[str] = []
    progress = Spaced(said.append, seconds=3600.0)
    for done in (200, 300, 400, 1000):
        progress(done, 1000)
    assert [line.split(" pictures")[0] for line in said] == ["200 of 1,000", "1,000 of 1,000"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "10.0.0.7:6379"},
        {"suffixes": ()},
        {"suffixes": ("jpg",)},
        {"suffixes": (".JPG",)},
        {"engine": "threads"},
        {"shard_size": 0},
        {"shards": 3},
    ],
)
def test_a_wrong_wish_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BatchConfig.model_validate(wrong)
