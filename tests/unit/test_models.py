import pytest

from backends import JobHandle
from backends.errors import SpecError


@pytest.mark.parametrize("parts", [("hello-1",), ("arn:aws:eks:eu:1:cluster/x", "ns", "name"), ("a b", "ü/%2F")])
def test_a_handle_survives_a_round_trip(parts: tuple[str, ...]) -> None:
    handle = JobHandle("k8s", parts)
    assert JobHandle.parse(str(handle)) == handle


def test_a_bare_id_is_a_local_job() -> None:
    assert JobHandle.parse("hello-1f3a") == JobHandle("local", ("hello-1f3a",))


@pytest.mark.parametrize("text", ["", "k8s://", "k8s://a//b", "K8S://a"])
def test_what_is_no_handle_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(SpecError, match="is not a job handle") as caught:
        JobHandle.parse(text)
    assert caught.value.hint
