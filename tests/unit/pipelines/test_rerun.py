"""What a re-run knows its pictures and weights by."""

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pipelines.recorded_run import RecordedRun, Values
from pipelines.rerun import _fingerprints
from skin_lesion.settings import BackboneConfig


def known_weights(recorded: str, backbone: BackboneConfig) -> str | None:
    """What the weights are known by, where an earlier run had another word for them."""
    run: Any = SimpleNamespace(
        fingerprints={"known_source": "pictures", "known_weights": recorded},
        readers=lambda parameter: ("warmup_train",),
        run=SimpleNamespace(name="earlier"),
    )
    values = Values({"backbone": backbone}, {})
    found = _fingerprints(cast(RecordedRun, run), values, ("warmup_train", "finetune_train"))
    assert found["known_source"] == "pictures"
    return found["known_weights"]


def test_weights_of_a_run_that_knew_them_by_size_and_time_are_the_same_until_they_are_touched(
    tmp_path: Path,
) -> None:
    """In the cache stands what came of them under the old word."""
    path = tmp_path / "some.weights.h5"
    path.write_bytes(b"weights")
    os.utime(path, ns=(17, 17))
    backbone = BackboneConfig(name="mobilenet", weights="path", path=str(path))
    content = hashlib.sha256(b"weights").hexdigest()
    assert known_weights("7-17", backbone) == "7-17"
    assert known_weights("7-18", backbone) == content
    assert known_weights(content, backbone) == content
    assert known_weights("none", BackboneConfig(name="mobilenet", weights="none")) == "none"
