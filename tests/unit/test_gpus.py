"""The grammar of --gpu and the table of GPUs, as the command line and the backends use them."""

from pathlib import Path

import pytest

from backends.docker.mig import find_slices
from backends.errors import BackendError, SpecError
from backends.gpus.catalog import GPUS, MIG_PROFILES
from backends.gpus.request import describe_choice, parse_gpu, require_encoder


@pytest.mark.parametrize(
    ("text", "canonical", "resource", "modal"),
    [
        ("A10G", "A10G", "nvidia.com/gpu", ["A10G"]),
        ("a10g:2", "A10G:2", "nvidia.com/gpu", ["A10G:2"]),
        (" L4 , t4 ", "L4,T4", "nvidia.com/gpu", ["L4", "T4"]),
        ("L4:2,T4:2", "L4:2,T4:2", "nvidia.com/gpu", ["L4:2", "T4:2"]),
        ("H100,A100-40GB:2", "H100,A100-40GB:2", "nvidia.com/gpu", ["H100", "A100-40GB:2"]),
        ("nvidia l40s", "L40S", "nvidia.com/gpu", ["L40S"]),
        ("H100!:8", "H100!:8", "nvidia.com/gpu", ["H100!:8"]),
        ("1", "1", "nvidia.com/gpu", ["A10G"]),
        ("none", "none", "nvidia.com/gpu", []),
    ],
)
def test_a_request_is_read_and_told_to_each_backend(text: str, canonical: str, resource: str, modal: list[str]) -> None:
    request = parse_gpu(text)
    assert str(request) == canonical
    assert parse_gpu(canonical) == request
    assert request.resource == resource
    assert request.modal_names() == modal


@pytest.mark.parametrize("name", GPUS)
def test_every_gpu_of_the_table_can_be_asked_for(name: str) -> None:
    request = parse_gpu(name)
    assert request.products == GPUS[name].labels
    if GPUS[name].modal:
        assert request.modal_names() == [GPUS[name].modal]
    else:
        with pytest.raises(SpecError, match=f"Modal has no {name}"):
            request.modal_names()


@pytest.mark.parametrize(
    ("written", "product"),
    [
        ("Tesla V100", "Tesla-V100-SXM2-16GB"),
        ("p100", "Tesla-P100-PCIE-16GB"),
        ("RTX A6000", "NVIDIA-RTX-A6000"),
        ("A4000", "NVIDIA-RTX-A4000"),
        ("6000 Ada", "NVIDIA-RTX-6000-Ada-Generation"),
        ("rtx4090", "NVIDIA-GeForce-RTX-4090"),
        ("RTX 6000 Ada", "NVIDIA-RTX-6000-Ada-Generation"),
        ("GeForce RTX 2080 Ti", "NVIDIA-GeForce-RTX-2080-Ti"),
        ("rtx_5090", "NVIDIA-GeForce-RTX-5090"),
        ("2080ti", "NVIDIA-GeForce-RTX-2080-Ti"),
        ("5090", "NVIDIA-GeForce-RTX-5090"),
        ("3090:2, 4090", "NVIDIA-GeForce-RTX-4090"),
        ("Quadro RTX 8000", "Quadro-RTX-8000"),
    ],
)
def test_cards_have_the_names_that_people_use(written: str, product: str) -> None:
    assert product in parse_gpu(written).products


def test_a_product_of_a_label_is_used_as_it_is() -> None:
    known, unknown = parse_gpu("NVIDIA-A10G"), parse_gpu("NVIDIA-GeForce-GTX-1080-Ti:2")
    assert known.products == ("NVIDIA-A10G", "NVIDIA-A10G-SHARED")
    assert (known.modal_names(), describe_choice(known)) == (["A10G"], ())
    assert (str(unknown), unknown.count) == ("NVIDIA-GeForce-GTX-1080-Ti:2", 2)
    assert unknown.products == ("NVIDIA-GeForce-GTX-1080-Ti", "NVIDIA-GeForce-GTX-1080-Ti-SHARED")
    assert "is not in the table of GPUs" in describe_choice(unknown)[0]
    with pytest.raises(SpecError, match="Modal has no NVIDIA-GeForce-GTX-1080-Ti"):
        unknown.modal_names()


def test_a_job_asks_for_the_choices_that_are_like_the_first() -> None:
    taken, left = parse_gpu("L4:2,H100,T4:2,mig-1g.10gb:2").split()
    assert (str(taken), str(left)) == ("L4:2,T4:2", "H100,mig-1g.10gb:2")
    assert describe_choice(parse_gpu("L4:2,H100")) == (
        "the job asks for L4:2, and not for H100: a Job has one count of one kind of GPU, that of the first",
    )
    assert describe_choice(parse_gpu("L4,T4")) == ()


@pytest.mark.parametrize("profile", MIG_PROFILES)
def test_every_mig_slice_is_its_own_resource(profile: str) -> None:
    request = parse_gpu(f"mig-{profile}:2")
    assert parse_gpu(str(request)) == request
    assert request.resource == f"nvidia.com/mig-{profile.replace('+', '.')}"
    assert parse_gpu(request.resource.removeprefix("nvidia.com/") + ":2") == request
    with pytest.raises(SpecError, match="Modal has no MIG"):
        request.modal_names()


def test_label_values_keep_the_order_and_include_time_sliced_nodes() -> None:
    assert parse_gpu("L4,T4").products == ("NVIDIA-L4", "NVIDIA-L4-SHARED", "Tesla-T4", "Tesla-T4-SHARED")
    assert {"NVIDIA-A10", "NVIDIA-A10G"} <= set(parse_gpu("A10").products)
    assert parse_gpu("1").products == ()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("A1000", "no GPU 'A1000'", "did you mean 'A100'"),
        ("NVIDIA L40X", "no GPU", "did you mean 'L40'"),
        ("L4,T44", "no GPU 'T44' of 'L4,T44'", "did you mean 'T4'"),
        ("", "no GPU ''", "renderer gpus"),
        ("A10G!", "only H100! can be pinned", "write A10G"),
        ("mig-1g.11gb", "no MIG profile", "did you mean 'mig-1g.10gb'"),
        ("mig-", "no MIG profile", "renderer gpus"),
        ("A10G:0", "'0' in the GPU request", "none"),
        ("A10G:", "'' in the GPU request", "A10G:2"),
        ("T4:17", "not a count from 1 to 16", "none"),
        ("0", "not a count", "none"),
        ("1080", "no GPU '1080' in the table", "NVIDIA-GeForce-GTX-1080"),
        ("99999999999999999999", "not a count", "none"),
        ("T4,t4", "names a GPU twice", "once"),
        ("1,T4", "cannot be one fallback", "L4,T4"),
        ("T4,none", "cannot be one fallback", "L4,T4"),
    ],
)
def test_a_wrong_request_is_refused_with_what_to_write_instead(text: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        parse_gpu(text)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(("text", "limit"), [("A10:5", 4), ("1" + "0", 4), ("T4:9", 8)])
def test_counts_over_modals_limit_are_refused_for_modal_alone(text: str, limit: int) -> None:
    request = parse_gpu(text)
    with pytest.raises(SpecError, match=f"at most {limit}"):
        request.modal_names()


@pytest.mark.parametrize("name", ["A100", "A100-40GB", "A100-80GB", "H100", "H100!", "H200", "B200", "L4,H100"])
@pytest.mark.parametrize("encoder", ["nvenc", "h264_nvenc", "hevc_nvenc", "av1_nvenc"])
def test_nvenc_on_a_gpu_without_an_encoder_is_refused_and_able_ones_are_named(name: str, encoder: str) -> None:
    with pytest.raises(SpecError, match="no NVENC encoder") as caught:
        require_encoder(parse_gpu(name), encoder)
    assert "L40S" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "encoder"), [("T4", "av1_nvenc"), ("mig-1g.10gb", "nvenc"), ("mig-1g.24gb-me", "nvenc"), ("none", "nvenc")]
)
def test_nvenc_is_refused_where_the_codec_the_slice_or_the_gpu_is_missing(text: str, encoder: str) -> None:
    with pytest.raises(SpecError, match=encoder if text == "none" else "no NVENC encoder"):
        require_encoder(parse_gpu(text), encoder)


@pytest.mark.parametrize(
    ("text", "encoder"),
    [
        ("T4", "nvenc"),
        ("L4,L40S", "av1_nvenc"),
        ("mig-1g.24gb", "nvenc"),
        ("1", "nvenc"),
        ("H100", "x264"),
        ("none", "auto"),
    ],
)
def test_what_can_be_encoded_passes(text: str, encoder: str) -> None:
    require_encoder(parse_gpu(text), encoder)


def test_mig_slices_are_named_by_cdi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = """\\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-0)
  MIG 3g.20gb     Device  0: (UUID: MIG-0)
  MIG 1g.5gb      Device  1: (UUID: MIG-1)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-1)
  MIG 1g.5gb      Device  0: (UUID: MIG-2)
"""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'LIST'\n{listing}LIST\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_slices("1g.5gb", 2) == ["0:1", "1:0"]
    with pytest.raises(BackendError, match="this machine has 1 MIG slices 3g"):
        find_slices("3g.20gb", 2)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BackendError, match="this machine has 0 MIG slices"):
        find_slices("1g.5gb", 1)
