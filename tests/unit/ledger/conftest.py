"""A ledger to write to, in every database that it can be kept in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skin_lesion.data.looking import Look, LookedAt, Purpose
from skin_lesion.ledger import LookLedger
from tests.unit.audit.conftest import make_url_of_a_log


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a ledger that is not there yet."""
    yield from make_url_of_a_log(request.param, tmp_path)


@pytest.fixture
def ledger(url: str) -> LookLedger:
    return LookLedger.open(url)


def make_look(model: str = "a", test: str = "7", **more: object) -> Look:
    """A look at the model `model`, on the test pictures `test`."""
    values = {
        "kind": "pictures",
        "purpose": Purpose("evaluate", "a test wants the figures", "run 1", "ada"),
        "subject": LookedAt(model * 64, model.replace("e", "a") * 64, f"version {ord(model)}"),
        "against": None,
        "split_hash": "5" * 64,
        "test_hash": test * 64,
        "images": 210,
    }
    return Look(**(values | more))  # type: ignore[arg-type]


@pytest.fixture
def look() -> Callable[..., Look]:
    return make_look
