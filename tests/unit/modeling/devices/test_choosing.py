"""Which devices are taken, and what is said where they cannot be."""

import keras
import pytest

from skin_lesion.modeling.devices import DevicesError, OneDevice, choosing, use_devices
from skin_lesion.modeling.devices.cluster import ADDRESSES, PROCESS, PROCESSES

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow's devices"
)


@pytest.mark.parametrize("wanted", [None, 1])
def test_one_device_is_what_a_training_takes_by_itself(wanted: int | None) -> None:
    with use_devices(wanted, 7) as devices:
        assert isinstance(devices, OneDevice)
        assert devices.chief
        assert devices.facts("float32", xla=False).count == 1


def test_more_devices_than_there_are_are_refused() -> None:
    message = r"devices is 64, but this machine shows \d+ of the kind '[cg]pu'; set it to \d+ or"
    with pytest.raises(DevicesError, match=message), use_devices(64, 64):
        pass


def test_a_backend_that_cannot_share_a_batch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with (
        pytest.raises(DevicesError, match="devices is 'all', but on the Keras backend 'torch'"),
        use_devices("all", 8),
    ):
        pass


def test_several_processes_are_refused_on_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESSES, "127.0.0.1:4000")
    monkeypatch.setenv(PROCESSES, "2")
    monkeypatch.setenv(PROCESS, "0")
    with pytest.raises(DevicesError, match="KERAS_BACKEND=jax"), use_devices(None, 8):
        pass


@pytest.mark.parametrize(
    ("wanted", "there", "taken"), [(None, 4, 1), ("all", 4, 4), ("all", 1, 1), (3, 4, 3)]
)
def test_a_setting_says_how_many_are_taken(
    wanted: int | str | None, there: int, taken: int
) -> None:
    assert choosing._number(wanted, there, "gpu") == taken
