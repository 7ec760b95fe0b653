"""Values from the command line."""

import pytest

from pipelines.overrides import Override, checked, differences, override, parse_overrides
from skin_lesion.settings import BackboneConfig, FinetuneConfig, SourceConfig, SplitConfig

STEPS = ("ingest", "split", "finetune_train")
PARAMETERS = ("source", "image_size", "backbone", "seed")


def parse(*pairs: str) -> tuple[Override, ...]:
    return parse_overrides(pairs, STEPS, PARAMETERS)


def apply(kind: object, recorded: object, *pairs: str) -> object:
    return override(kind, recorded, parse(*pairs))


def test_a_value_is_read_as_yaml() -> None:
    overrides = parse(
        "finetune_train.epochs=3", "image_size=[32, 48]", "source.path=a=b", "backbone.path=null"
    )
    assert [(o.owner, o.path, o.value) for o in overrides] == [
        ("finetune_train", ("epochs",), 3),
        ("image_size", (), [32, 48]),
        ("source", ("path",), "a=b"),
        ("backbone", ("path",), None),
    ]


@pytest.mark.parametrize("pair", ["", "=3", "split.train", "split.=3", ".train=3", "split..x=3"])
def test_a_pair_without_a_key_or_a_value_is_refused(pair: str) -> None:
    with pytest.raises(ValueError, match=r"expected STEP\.KEY=VALUE"):
        parse(pair)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"split\.train is given twice"):
        parse("split.train=0.6", "split.train=0.7")


def test_a_value_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(ValueError, match="no YAML"):
        parse("split.train=[")


def test_an_unknown_owner_is_named_with_the_choices() -> None:
    with pytest.raises(LookupError, match=r"'splitt' \(did you mean 'split'\?\).*backbone, seed"):
        parse("splitt.train=0.6")


def test_what_is_set_changes_and_nothing_else() -> None:
    recorded = FinetuneConfig(learning_rate=1e-3)
    changed = apply(
        FinetuneConfig, recorded, "finetune_train.epochs=3", "finetune_train.weight_decay=1e-5"
    )
    assert changed == FinetuneConfig(learning_rate=1e-3, epochs=3, weight_decay=1e-5)
    assert recorded == FinetuneConfig(learning_rate=1e-3)


def test_nothing_set_gives_back_what_was_recorded() -> None:
    recorded = SplitConfig(train=0.6)
    assert override(SplitConfig, recorded, []) is recorded


def test_values_that_hold_only_together_are_set_together() -> None:
    changed = apply(SplitConfig, SplitConfig(), "split.train=0.1", "split.val=0.85")
    assert changed == SplitConfig(train=0.1, val=0.85)


def test_a_key_below_a_key_is_found() -> None:
    changed = apply(SourceConfig, SourceConfig(), "source.synthetic.lesions_per_class=9")
    assert isinstance(changed, SourceConfig)
    assert changed.synthetic.lesions_per_class == 9
    assert changed.synthetic.height == SourceConfig().synthetic.height


@pytest.mark.parametrize(
    ("kind", "pair", "message"),
    [
        (SplitConfig, "split.trian=0.5", r"split has no 'trian' \(did you mean 'train'\?\).*val"),
        (SourceConfig, "source.synthetic.size=3", r"source\.synthetic has no 'size'"),
        (SplitConfig, "split.train.share=3", r"split\.train is one value"),
        (SplitConfig, "split=0.5", "split has several values; name one of them: train, val"),
        (int, "seed.x=3", "seed is one value"),
    ],
)
def test_a_key_that_does_not_exist_is_answered_with_those_that_do(
    kind: object, pair: str, message: str
) -> None:
    recorded = 3 if kind is int else kind()  # type: ignore[operator]
    with pytest.raises(LookupError, match=message):
        apply(kind, recorded, pair)


@pytest.mark.parametrize(
    ("kind", "recorded", "pair", "message"),
    [
        (FinetuneConfig, FinetuneConfig(), "finetune_train.epochs=0", r"epochs: .*got 0"),
        (FinetuneConfig, FinetuneConfig(), "finetune_train.epochs=many", "epochs: .*got 'many'"),
        (FinetuneConfig, FinetuneConfig(), "finetune_train.epochs=", "epochs: .*got None"),
        (BackboneConfig, BackboneConfig(), "backbone.weights=no", "weights: .*'imagenet'"),
        (SplitConfig, SplitConfig(), "split.train=0.9", r"train \+ val is 1\.05"),
        (int, 3, "seed=x", "seed=x: .*valid integer"),
        (tuple[int, int], (32, 32), "image_size=[32]", "image_size"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_the_rule(
    kind: object, recorded: object, pair: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        apply(kind, recorded, pair)


def test_a_recorded_value_that_exists_no_more_is_named() -> None:
    with pytest.raises(ValueError, match=r"configuration of split .*\(shuffle: .*new run"):
        checked("split", SplitConfig, {"train": 0.6, "shuffle": True})


def test_recorded_values_are_read_back() -> None:
    assert checked("image_size", tuple[int, int], [32, 48]) == (32, 48)
    assert checked("split", SplitConfig, {"train": 0.6}) == SplitConfig(train=0.6)


def test_differences_are_told_with_both_values() -> None:
    before = SourceConfig()
    after = apply(SourceConfig, before, "source.path=/x", "source.synthetic.height=64")
    assert differences(before, after, "source") == (
        "source.path: None -> /x",
        "source.synthetic.height: 150 -> 64",
    )
    assert differences(3, 4, "seed") == ("seed: 3 -> 4",)
    assert differences(before, before, "source") == ()
