"""What `skin-lesion tune` checks before anything starts."""

from pathlib import Path

import pytest
import yaml

from pipelines.tuning import TuneRequest, run_tuning
from skin_lesion.modeling.weights import WeightsError

ROOT = Path(__file__).resolve().parents[3]


def test_no_study_begins_without_its_weights(tmp_path: Path) -> None:
    """It would be one with other weights than it has once they are there."""
    config = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    absent = tmp_path / "absent.weights.h5"
    config["parameters"]["backbone"] |= {"weights": "path", "path": str(absent)}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "space.yaml").write_text("space:\n  augment.zoom: {choices: [0.0, 0.2]}\n")
    request = TuneRequest(tmp_path / "config.yaml", tmp_path / "space.yaml", trials=1)
    with pytest.raises(WeightsError, match=f"no weights at {absent}"):
        run_tuning(request, tmp_path / "studies")
    assert not (tmp_path / "studies").exists()
