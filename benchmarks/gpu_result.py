"""The file that `gpu.py` writes: each call measures some parts anew and loses none of the others."""

import json
from pathlib import Path
from typing import Any

from skin_lesion.batch.files import write_text

# Of `seed_recipe`: what `--whole` measures.
WHOLE = ("measured_minutes", "measured_images", "measured_epochs", "measured_on")


def read_result(target: Path | None) -> dict[str, Any]:
    """What earlier calls kept; nothing where there is no file.

    Raises:
        ValueError: The file holds something else.
    """
    if target is None or not target.exists():
        return {}
    try:
        found = json.loads(target.read_text(encoding="utf-8"))
        if not isinstance(found["seed_recipe"], dict):
            raise TypeError("seed_recipe holds no values")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{target} is no result of this program ({type(error).__name__}: {error}); name another "
            "file with --result, or move it away"
        ) from error
    return dict(found)


def with_earlier(result: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """A result with the parts of an earlier one that were not measured anew.

    A look at the test split is never dropped: on a borrowed machine the file is all that tells of it.
    """
    before = earlier.get("seed_recipe", {})
    whole = {name: before[name] for name in WHOLE if name in before}
    merged = result | {"seed_recipe": whole | result["seed_recipe"]}
    scratch = [found["from_scratch"] for found in (earlier, result) if "from_scratch" in found]
    if scratch:
        looks = {row["row_hash"]: row for part in scratch for row in part.get("looks", ())}
        merged["from_scratch"] = scratch[-1] | {"looks": list(looks.values())}
    return merged


def keep_result(result: dict[str, Any], earlier: dict[str, Any], target: Path | None) -> None:
    """Write what was measured so far, so that what breaks later does not take it along."""
    if target is not None:
        write_text(target, json.dumps(with_earlier(result, earlier), indent=2) + "\n")
