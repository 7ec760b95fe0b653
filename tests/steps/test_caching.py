"""Which edits of the library re-run which step."""

import shutil
from pathlib import Path

import pytest
from zenml.utils import source_utils

from steps import (
    _caching,
    augment,
    evaluate,
    finetune_train,
    ingest,
    split,
    validate,
    warmup_train,
)
from steps._caching import (
    PACKAGE,
    code_version,
    import_training_code,
    library_cache,
    library_fingerprint,
    stated_code,
    training_code,
)

CACHED_STEPS = {
    "ingest": ingest.ingest,
    "validate": validate.validate,
    "split": split.split,
    "augment": augment.augment,
    "warmup_train": warmup_train.warmup_train,
    "finetune_train": finetune_train.finetune_train,
    "evaluate": evaluate.evaluate,
}
TRAINING = {"warmup_train", "finetune_train"}


@pytest.fixture
def library(tmp_path: Path, root: Path) -> Path:
    """A copy of the library that may be edited; returns the folder that holds the package."""
    shutil.copytree(
        root / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def modules_of(step_name: str) -> list[str]:
    """The library modules that a step names."""
    cache_func = source_utils.load(CACHED_STEPS[step_name].configuration.cache_policy.cache_func)
    return list(cache_func.args)


def steps_that_see(edited: str, library: Path) -> set[str]:
    """Steps whose fingerprint changes when a file of the library is edited."""
    names = CACHED_STEPS
    before = {name: library_fingerprint(*modules_of(name), root=library) for name in names}
    with (library / PACKAGE / edited).open("a") as file:
        file.write("\n# edited\n")
    after = {name: library_fingerprint(*modules_of(name), root=library) for name in names}
    return {name for name in names if before[name] != after[name]}


def test_editing_the_heat_maps_retrains_nothing(library: Path) -> None:
    assert not steps_that_see("explain/gradcam.py", library) - {"evaluate"}


@pytest.mark.parametrize(
    "edited",
    [
        "settings/__init__.py",
        "settings/base.py",
        "settings/training.py",
        "tracking.py",
        "registry/promotion.py",
        "pyfunc.py",
        "data/checks_html.py",
    ],
)
def test_what_no_result_depends_on_retrains_nothing(edited: str, library: Path) -> None:
    assert not steps_that_see(edited, library) & {"ingest", "split", "augment", *TRAINING}


@pytest.mark.parametrize("edited", ["data/splits.py", "data/duplicates.py", "data/registration.py"])
def test_how_a_split_is_made_retrains_nothing_while_the_split_is_the_same(
    edited: str, library: Path
) -> None:
    seen = steps_that_see(edited, library)
    assert "split" in seen
    assert not seen & {"augment", *TRAINING}


@pytest.mark.parametrize("edited", ["data/augmentation_sheet.py", "data/contact_sheets.py"])
def test_a_picture_for_people_retrains_nothing(edited: str, library: Path) -> None:
    seen = steps_that_see(edited, library)
    assert "augment" in seen
    assert not seen & set(TRAINING)


@pytest.mark.parametrize("text", ["texts/en.yaml", "py.typed"])
def test_texts_re_run_nothing(text: str, library: Path) -> None:
    (library / PACKAGE / text).parent.mkdir(exist_ok=True)
    (library / PACKAGE / text).touch()
    assert not steps_that_see(text, library)


@pytest.mark.parametrize(
    ("edited", "step_name"),
    [
        ("data/ingest.py", "ingest"),
        ("data/images.py", "ingest"),
        ("data/synthetic.py", "ingest"),
        ("data/checks.py", "validate"),
        ("data/splits.py", "split"),
        ("data/duplicates.py", "split"),
        ("data/augment.py", "augment"),
        ("data/loader.py", "warmup_train"),
        ("modeling/train.py", "warmup_train"),
        ("modeling/backbones.py", "warmup_train"),
        ("modeling/weights.py", "warmup_train"),
        ("modeling/classifier.py", "finetune_train"),
        ("modeling/export.py", "finetune_train"),
        ("evaluation/metrics.py", "evaluate"),
        ("evaluation/calibration.py", "evaluate"),
        ("inference.py", "evaluate"),
        ("data/images.py", "evaluate"),
        ("labels.py", "ingest"),
        ("data/__init__.py", "split"),
    ],
)
def test_a_file_that_a_step_depends_on_re_runs_it(
    edited: str, step_name: str, library: Path
) -> None:
    assert step_name in steps_that_see(edited, library)


def test_editing_the_evaluation_retrains_nothing(library: Path) -> None:
    assert steps_that_see("evaluation/report.py", library) == {"evaluate"}


def test_checkpoints_outlive_a_change_of_the_export(library: Path) -> None:
    """A night's training is not lost because of how the bundle is written."""
    before = library_fingerprint("modeling.train", root=library)
    with (library / PACKAGE / "modeling/export.py").open("a") as file:
        file.write("\n# edited\n")
    assert training_code() == before == library_fingerprint("modeling.train", root=library)


def test_editing_the_checks_re_runs_them_alone(library: Path) -> None:
    assert steps_that_see("data/checks.py", library) == {"validate"}


def test_editing_the_decoder_leaves_training_alone_unless_pixels_change(library: Path) -> None:
    """Its pixels reach training through the content hash of the array."""
    assert not steps_that_see("data/images.py", library) & TRAINING


def test_a_fingerprint_does_not_depend_on_where_the_library_lies(library: Path, root: Path) -> None:
    assert library_fingerprint("data.splits", root=library) == library_fingerprint("data.splits")


def test_imports_inside_functions_count(tmp_path: Path) -> None:
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "caller.py").write_text("def f():\n    from skin_lesion import lazy\n")
    (package / "lazy.py").write_text("VALUE = 1\n")
    before = library_fingerprint("caller", root=tmp_path)
    (package / "lazy.py").write_text("VALUE = 2\n")
    assert library_fingerprint("caller", root=tmp_path) != before


def test_settings_are_left_out_however_they_are_imported(tmp_path: Path) -> None:
    """And nothing but them: not a module whose name only begins alike."""
    package = tmp_path / PACKAGE
    (package / "settings").mkdir(parents=True)
    for name in ("__init__.py", "settings/__init__.py", "settings/area.py", "settings_page.py"):
        (package / name).write_text("")
    (package / "caller.py").write_text(
        "import skin_lesion.settings\n"
        "from skin_lesion.settings.area import Config\n"
        "from .settings import area\n"
        "from skin_lesion.settings_page import page\n"
    )
    before = library_fingerprint("caller", root=tmp_path)
    for name in ("settings/__init__.py", "settings/area.py"):
        (package / name).write_text("VALUE = 2\n")
        assert library_fingerprint("caller", root=tmp_path) == before
    (package / "settings_page.py").write_text("VALUE = 2\n")
    assert library_fingerprint("caller", root=tmp_path) != before


def test_relative_and_circular_imports_are_followed_once(tmp_path: Path) -> None:
    room = tmp_path / PACKAGE / "room"
    room.mkdir(parents=True)
    for folder in (tmp_path / PACKAGE, room):
        (folder / "__init__.py").write_text("")
    (room / "a.py").write_text("from .b import x\n")
    (room / "b.py").write_text("from . import a\nfrom .. import c\n")
    (tmp_path / PACKAGE / "c.py").write_text("")
    before = library_fingerprint("room.a", root=tmp_path)
    (tmp_path / PACKAGE / "c.py").write_text("VALUE = 2\n")
    assert library_fingerprint("room.a", root=tmp_path) != before


def test_a_module_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"skin_lesion\.data\.spilts"):
        library_fingerprint("data.spilts")


def test_the_cache_function_survives_a_new_process() -> None:
    """ZenML stores its name and loads it where the key is computed."""
    policy = library_cache("data.splits", "modeling.bundle")
    loaded = source_utils.load(policy.cache_func.import_path)
    assert loaded() == library_fingerprint("data.splits", "modeling.bundle")


def test_the_code_version_names_the_training_code() -> None:
    version, _, fingerprint = code_version().partition("+")
    assert version
    assert library_fingerprint("modeling.train", "modeling.export").startswith(fingerprint)


def test_an_edit_while_a_process_runs_changes_nothing_of_what_it_says_it_runs(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code was read when it began; a training lasts longer than an edit takes."""

    def edit() -> None:
        with (library / PACKAGE / "modeling/train.py").open("a") as file:
            file.write("\n# edited\n")

    installed = training_code(), code_version()
    edit()
    monkeypatch.setattr(_caching, "_AT_START", _caching._read(library))
    started = training_code(), code_version()
    assert started[0] == library_fingerprint("modeling.train", root=library) != installed[0]
    assert started[1] != installed[1]
    edit()
    assert (training_code(), code_version()) == started
    assert library_fingerprint("modeling.train", root=library) != started[0]


def test_what_a_training_may_call_is_imported_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loader is imported by a function, the export's parts are after the last epoch."""
    imported: list[str] = []
    monkeypatch.setattr(_caching, "import_module", imported.append)
    import_training_code()
    wanted = {"data.loader", "modeling.loop", "modeling.export", "modeling"}
    assert {f"{PACKAGE}.{name}" for name in wanted} <= set(imported)
    assert not [name for name in imported if "__init__" in name or "/" in name]


def test_what_an_editor_leaves_beside_a_module_is_passed_over(library: Path) -> None:
    before = library_fingerprint("modeling.train", root=library)
    (library / PACKAGE / "modeling" / ".#train.py").symlink_to("nobody@nowhere.1")
    assert library_fingerprint("modeling.train", root=library) == before


def test_a_contract_states_what_other_code_a_part_was_trained_by() -> None:
    mine, older = training_code(), "0123456789abcdef"
    assert stated_code([mine, mine]) == code_version()
    assert stated_code([mine, older, older]) == (
        f"{code_version()}, in part trained by 0123456789ab"
    )
    assert stated_code(["", mine, older]) == (
        f"{code_version()}, in part trained by 0123456789ab and unknown code"
    )
