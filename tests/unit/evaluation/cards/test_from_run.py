"""The cards of a run that really happened, on drawn colours."""

import dataclasses
import re
from pathlib import Path

import pytest

from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.pages import anchor
from skin_lesion.evaluation.cards.documents import Documents, write_documents
from skin_lesion.evaluation.cards.from_run import Run, card_facts
from skin_lesion.evaluation.verdict import pass_judgement
from skin_lesion.labels import LABELS
from skin_lesion.modeling.history import EpochRecord, History
from skin_lesion.settings import AugmentConfig, GateConfig
from tests.small_world import TRIED, Notebook

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def run(small_world, small_report, tmp_path_factory) -> Run:
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
        bundle=small_world.bundle.with_contract(
            small_world.bundle.contract.deciding(small_report.summary.decisions),
            tmp_path_factory.mktemp("decided") / "bundle",
        ),
        gate=pass_judgement(
            small_report, "n" * 64, GateConfig(), None, ledger=Notebook(), purpose=TRIED
        ),
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


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"class_weight_power": 0.25}, "class weights in the loss: .* power of 0.25"),
        ({"class_weight_power": 0.0}, "not corrected"),
        ({"imbalance": "none"}, "not corrected"),
        ({"imbalance": "balanced_sampling", "sampling_power": 0.75}, "sampling: .* power of 0.25"),
        ({"imbalance": "focal", "focal_gamma": 1.5}, "focal loss, gamma 1.5"),
        ({"imbalance": "logit_adjustment"}, "logit adjustment in the loss, tau 1"),
    ],
)
def test_the_card_tells_what_made_up_for_rare_classes(run, policy, told):
    plan = run.plan.model_copy(update={"policy": AugmentConfig(**policy)})
    facts = card_facts(dataclasses.replace(run, plan=plan))
    assert re.fullmatch(f".*{told}.*", facts.training.imbalance)


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


@pytest.fixture(scope="module")
def folder(documents, small_report, tmp_path_factory) -> Path:
    """As the MLflow run holds them."""
    folder = tmp_path_factory.mktemp("artifacts")
    (folder / "documents").mkdir()
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "report.html").write_text(small_report.to_html())
    for name, text in documents.files().items():
        (folder / "documents" / name).write_text(text)
    return folder


def anchors(file: Path) -> set[str]:
    text = file.read_text()
    if file.suffix == ".md":
        return {anchor(title) for title in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}
    return set(re.findall(r' id="([^"]+)"', text))


@pytest.mark.parametrize(("suffix", "link"), [
    ("html", r'href="([^"#]*)(?:#([^"]*))?"'), ("md", r"\]\(<?([^)#>]*)(?:#([^)>]*))?>?\)"),
])  # fmt: skip
def test_every_link_of_every_document_leads_to_a_file_and_a_heading(folder, suffix, link):
    files = [*(folder / "documents").glob(f"*.{suffix}"), *folder.glob(f"evaluation/*.{suffix}")]
    assert len(files) >= 3
    found = 0
    for file in files:
        for address, part in re.findall(link, file.read_text()):
            target = (file.parent / address).resolve() if address else file
            assert target.is_file(), (file.name, address)
            assert not part or part in anchors(target), (file.name, address, part)
            found += 1
    assert found > 100


def test_a_page_by_itself_names_artifacts_and_sections_that_exist(documents, small_report):
    pages = {
        "model_card": documents.model_card,
        "data_sheet": documents.data_sheet,
        "checklists": documents.checklists,
        "gates": documents.verdict,
        "evaluation": small_report.to_html(),
    }
    steps = "".join(file.read_text() for file in (ROOT / "steps").glob("*.py"))
    named, sections = set(), 0
    for text in pages.values():
        assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))
        for name, section in re.findall(
            r"Artifact <code>(\w+)</code>(?:: ([^<·]+?)(?=[<·]|\.<))?", text
        ):
            named.add(name)
            sections += bool(section)
            assert f'"{name}"]' in steps  # a step returns it by this name
            assert not section or f'id="{anchor(section)}"' in pages[name], (name, section)
    assert named == set(pages)
    assert sections > 60


def test_hashes_of_both_bundles_stand_on_card_and_verdict(run, documents):
    assert run.summary.bundle_hash != run.bundle.bundle_hash
    for text in (documents.model_card, documents.verdict):
        assert run.summary.bundle_hash in text
        assert run.bundle.bundle_hash in text


def test_a_name_from_outside_is_shown_and_not_obeyed(run):
    evil = dataclasses.replace(run, name="<script>alert(1)</script>")
    for text in write_documents(evil).files().values():
        assert "<script>" not in text
