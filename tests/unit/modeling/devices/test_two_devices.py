"""Two devices train as one does: on each backend, in each precision, to the last moment of Adam."""

import functools
import json
from collections.abc import Callable

import numpy as np
import pytest

from .conftest import PROGRAM, Arrays, RunPrograms, assert_close, assert_same, read, virtual

CASES = ("float32", "unclipped", "bfloat16", "float16", "dropout", "overflow")
Trained = Callable[[str, str], Arrays]

pytestmark = pytest.mark.slow


# On JAX it is Keras that shares the batch, as it does in the test of two processes.
@pytest.fixture(
    scope="module", params=["tensorflow", pytest.param("jax", marks=pytest.mark.exhaustive)]
)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def led_to(
    run_programs: RunPrograms, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, dict[str, Arrays]]]:
    """What the cases led to on a backend; every backend runs once, in whatever order it is asked."""

    @functools.cache
    def run(backend: str) -> dict[str, dict[str, Arrays]]:
        folder = tmp_path_factory.mktemp(backend)
        found = {}
        for devices in ("none", "2"):
            path = folder / f"{devices}.npz"
            run_programs([str(PROGRAM), str(path), devices, *CASES], virtual(backend))
            found[devices] = read(path)
        return found

    return run


@pytest.fixture
def trained(backend: str, led_to: Callable[[str], dict[str, dict[str, Arrays]]]) -> Trained:
    """What a case led to on `none` (one device) or on `2`."""
    found = led_to(backend)
    return lambda case, devices: found[devices][case]


@pytest.mark.parametrize("case", ["float32", "unclipped"])
def test_two_devices_end_where_one_ends(trained: Trained, case: str) -> None:
    assert_same(trained(case, "none"), trained(case, "2"), tolerance=1e-5)


@pytest.mark.parametrize("case", ["bfloat16", "float16"])
def test_two_devices_end_where_one_ends_but_for_the_rounding_of_half_precision(
    trained: Trained, case: str
) -> None:
    assert_close(trained(case, "none"), trained(case, "2"))


def test_clipping_goes_by_the_gradient_of_the_whole_batch(trained: Trained) -> None:
    clipped, unclipped = trained("float32", "none"), trained("unclipped", "none")
    assert not np.allclose(clipped["loss"], unclipped["loss"], rtol=1e-4), "the clip bites"


def test_an_overflow_on_one_device_alone_has_all_of_them_leave_the_step_out(
    trained: Trained,
) -> None:
    (name,) = (n for n in trained("overflow", "2") if n.endswith("dynamic_scale"))
    for devices in ("none", "2"):
        overflown, usual = trained("overflow", devices), trained("float16", devices)
        assert overflown["moved"] == 0
        assert usual["moved"] > 0
        assert overflown[name] == usual[name] / 2
        assert all(np.isfinite(v).all() for n, v in overflown.items() if n.startswith("weight"))


def test_on_jax_even_dropout_is_that_of_one_device(backend: str, trained: Trained) -> None:
    if backend != "jax":
        pytest.skip("TensorFlow draws on each device")
    assert_same(trained("dropout", "none"), trained("dropout", "2"), tolerance=1e-5)


def test_what_was_trained_on_is_told(backend: str, trained: Trained) -> None:
    one, two = (json.loads(str(trained("bfloat16", n)["facts"])) for n in ("none", "2"))
    assert two == one | {"count": 2}
    assert one["backend"] == backend
    assert one["precision"] == "mixed_bfloat16"
    assert one["xla"] is (backend == "jax")
    assert (one["platform"], one["count"], one["processes"]) == ("cpu", 1, 1)
