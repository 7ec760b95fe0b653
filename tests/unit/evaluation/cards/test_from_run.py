"""The cards of a run that really happened, on drawn colours."""

import re

import pytest

from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.evaluation.cards.documents import Documents, write_documents
from skin_lesion.evaluation.cards.from_run import Run, card_facts
from skin_lesion.evaluation.verdict import pass_judgement
from skin_lesion.labels import LABELS
from skin_lesion.modeling.history import EpochRecord, History
from skin_lesion.settings import AugmentConfig, GateConfig


@pytest.fixture(scope="module")
def run(small_world, small_report) -> Run:
    record = EpochRecord(
        epoch=6, learning_rate=1e-4, seconds=90.0, images_per_second=5.0, metrics={}
    )
    history = History(
        phase="finetune", description="words", records=(record, record), best_epoch=6,
        trainable_parameters=1,
    )  # fmt: skip
    plan = AugmentationPlan(
        policy=AugmentConfig(rotation=33.0),
        class_weights=dict.fromkeys(LABELS, 1.0),
        train_counts=dict.fromkeys(LABELS, 16),
        seed=3,
    )
    images = small_world.manifest.images.assign(dx_type="histo")
    manifest = type(small_world.manifest)(
        images, small_world.manifest.quarantine, small_world.manifest.provenance
    )
    return Run(
        name="skin-lesion-classifier",
        version=12,
        bundle=small_world.bundle,
        gate=pass_judgement(small_report, "n" * 64, GateConfig(), None),
        summary=small_report.summary,
        manifest=manifest,
        split=small_world.split,
        plan=plan,
        histories=[history],
    )


@pytest.fixture(scope="module")
def documents(run) -> Documents:
    return write_documents(run)


def test_every_section_of_the_card_has_its_facts(run):
    facts = card_facts(run)
    missing = [name for name in type(facts).model_fields if getattr(facts, name) is None]
    assert not missing


def test_the_facts_are_those_of_the_report(run):
    facts, summary = card_facts(run), run.summary
    assert facts.identity.version == 12
    assert facts.test["macro_f1"].value == pytest.approx(summary.test.macro_f1)
    assert {row.label: row.images for row in facts.classes} == {
        label: figures.n for label, figures in summary.test.per_class.items()
    }
    assert [row.threshold for row in facts.operating_points] == [
        point.threshold for point in summary.decisions.operating_points
    ]
    refused = summary.evidence.refusals.refused.value
    assert facts.cannot_assess.accepted_share.value == pytest.approx(1 - refused)
    assert facts.training.minutes == pytest.approx(3.0)
    assert facts.training.epoch_kept == 7
    assert "33 degrees" in facts.training.augmentation
    assert facts.failures_shown == sum(len(one.missed) for one in summary.evidence.gallery.values())


def test_the_documents_tell_figures_verdict_and_checklists(run, documents):
    assert f"{run.summary.test.macro_f1:.3f}" in documents.model_card
    assert "Failed" in documents.verdict
    assert "CLEAR Derm" in documents.checklists
    assert set(documents.files()) == {
        "model_card.html", "data_sheet.html", "checklists.html", "gates.html",
        "model_card.md", "data_sheet.md", "checklists.md",
    }  # fmt: skip


def test_the_pages_need_no_network(documents):
    for name, text in documents.files().items():
        if name.endswith(".html"):
            assert not re.findall(r'(?:src|href)="(?:https?:)?//', text), name


def test_links_between_documents_lead_to_documents_that_exist(documents):
    files = {*documents.files(), "../evaluation/report.html"}
    for text in documents.files().values():
        for target in re.findall(r'href="([^"#]+)', text):
            assert target in files
