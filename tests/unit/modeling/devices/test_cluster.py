"""What the environment says of several processes."""

import pytest

from skin_lesion.modeling.devices import Cluster, DevicesError
from skin_lesion.modeling.devices.cluster import ADDRESSES, PROCESS, PROCESSES


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv(ADDRESSES, "head:4000,other:4000")
    monkeypatch.setenv(PROCESSES, "2")
    monkeypatch.setenv(PROCESS, "1")
    return monkeypatch


def test_the_first_address_is_that_of_process_0(environment: pytest.MonkeyPatch) -> None:
    assert Cluster.from_environment() == Cluster("head:4000", 2, 1)


def test_no_variable_or_one_process_is_no_cluster(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(PROCESSES, "1")
    assert Cluster.from_environment() is None
    for name in (ADDRESSES, PROCESSES, PROCESS):
        environment.delenv(name)
    assert Cluster.from_environment() is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (ADDRESSES, "", f"lacks {ADDRESSES};"),
        (PROCESS, "", f"lacks {PROCESS};"),
        (ADDRESSES, "head", "'head'; expected host:port"),
        (ADDRESSES, "head:four", "'head:four'; expected host:port"),
        (PROCESSES, "two", "'two' and .* expected whole numbers"),
        (PROCESS, "-1", "'-1'; expected whole numbers"),
        (PROCESS, "2", "is 2; with .*=2 it goes from 0 to 1"),
    ],
)
def test_variables_that_make_no_sense_are_named(
    environment: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(DevicesError, match=message):
        Cluster.from_environment()
