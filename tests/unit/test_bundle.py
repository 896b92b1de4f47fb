"""Which files a bundle includes, and which it never does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.files import make

from backends.errors import InputError, SpecError
from renderer.bundle.pack import MAX_FILES, LeftOut, explain_left_out, pack
from renderer.bundle.unpack import unpack

LIMIT = 1 << 20


def test_the_same_content_gives_the_same_digest(tmp_path: Path) -> None:
    names = {"main.py": "x", "b/ü.txt": "1", "a b.txt": "2", "B.txt": "3"}
    first = make(tmp_path / "one", names)
    second = make(tmp_path / "two", dict(reversed(names.items())))
    os.utime(second, (1, 1))
    (tmp_path / "two" / "a b.txt").chmod(0o600)
    packed = [pack(main.parent, main=main, limit=LIMIT).bundle for main in (first, second)]
    assert packed[0] == packed[1]
    (tmp_path / "two" / "B.txt").write_text("4")
    assert pack(second.parent, main=second, limit=LIMIT).bundle.digest != packed[0].digest


def test_an_unpacked_bundle_is_the_folder(tmp_path: Path) -> None:
    main = make(tmp_path / "in", {"main.py": "x", "sub/run.sh": "#!/bin/sh", "data": "é"})
    (tmp_path / "in" / "sub" / "run.sh").chmod(0o755)
    (tmp_path / "in" / "link").symlink_to("sub/run.sh")
    bundle = pack(main.parent, main=main, limit=LIMIT).bundle
    out = tmp_path / "out"
    unpack(bundle.data, bundle.digest, out)
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))
    assert names == ["data", "link", "main.py", "sub", "sub/run.sh"]
    assert os.access(out / "sub" / "run.sh", os.X_OK)
    assert (out / "link").readlink() == Path("sub/run.sh")


def test_folders_without_files_are_included(tmp_path: Path) -> None:
    root = tmp_path / "in"
    names = ("main.py", "results/old.csv", "media/Tex/0123456789abcdef.svg", "renders/A.mp4")
    main = make(root, {**dict.fromkeys(names, "x"), ".gitignore": "*.csv\n", "renders/.rendererignore": "*\n"})
    (root / "empty" / "deeper").mkdir(parents=True)
    bundle = pack(root, main=main, limit=LIMIT).bundle
    unpack(bundle.data, bundle.digest, tmp_path / "out")
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*"))
    assert found == [".gitignore", "empty", "empty/deeper", "main.py", "results"]


def test_files_that_are_named_are_included_although_they_are_ignored(tmp_path: Path) -> None:
    names = {
        "main.py": "x",
        "manim.cfg": "[CLI]",
        "more/.env": "TOKEN=1",
        "more/a.cfg": "",
        ".gitignore": "*.cfg\nmore\n",
    }
    main = make(tmp_path, names)
    named = [tmp_path / "manim.cfg", tmp_path / "more" / ".env"]
    packed = pack(tmp_path, main=main, limit=LIMIT, named=named)
    assert packed.files == (".gitignore", "main.py", "manim.cfg")
    assert list(packed.ignored) == ["more"]
    assert packed.credentials == ("more/.env",)


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    main = make(tmp_path, {"main.py": "x"})
    bundle = pack(tmp_path, main=main, limit=LIMIT).bundle
    for data, digest in [(bundle.data[:-3], bundle.digest), (b"nonsense", bundle.digest), (bundle.data, "0" * 64)]:
        with pytest.raises(InputError):
            unpack(data, digest, tmp_path / "out")


def test_ignore_files_work_as_in_git(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    make(tmp_path, {".gitignore": "*.log\n/top-only\nbuild/\n"})
    root = tmp_path / "project"
    main = make(
        root,
        {
            "main.py": "x",
            "a.log": "",
            "keep.log": "",
            "top-only": "",
            "build/x": "",
            "assets/big.mov": "",
            "assets/.gitignore": "*.mov\n",
            "assets/picture.png": "",
            ".gitignore": "!keep.log\n",
            ".rendererignore": "assets/picture.png\n!assets/big.mov\n",
        },
    )
    files = pack(root, main=main, limit=LIMIT).files
    ignore_files = {".gitignore", ".rendererignore", "assets/.gitignore"}
    assert set(files) - ignore_files == {"main.py", "keep.log", "top-only", "assets/big.mov"}


def test_rendererignore_can_include_a_file_that_git_ignores(tmp_path: Path) -> None:
    main = make(tmp_path, {"main.py": "x", "clip.mov": "", ".gitignore": "*.mov\n", ".rendererignore": "!clip.mov\n"})
    assert "clip.mov" in pack(tmp_path, main=main, limit=LIMIT).files


def test_the_file_itself_is_included_even_if_ignored(tmp_path: Path) -> None:
    main = make(tmp_path, {"main.py": "x", ".gitignore": "main.py\n"})
    assert "main.py" in pack(tmp_path, main=main, limit=LIMIT).files


NEVER = [
    *(".git/config", "venv/bin/python", ".venv/x", "env2/pyvenv.cfg", "media/videos/a/480p15/A.mp4"),
    *("sub/media/Tex/0123456789abcdef.svg", "clips/480p15/partial_movie_files/A/1.mp4", "clips/480p15/A.mp4"),
    *("media/images/a/A_ManimCE_v0.22.0.png", "media/images/a/A/A0000.png", "media/texts/0123456789abcdef.svg"),
    *("clips/480p15/sections/A.json", "media/logs/a_A.log", "media/videos/a/480p15/A.wav"),
    *("__pycache__/m.pyc", "node_modules/x/y.js", ".DS_Store", "renders/.renderer-x1/0/files/a.mp4"),
]
SECRET = [
    *(".env", ".env.local", "server.pem", "id_rsa", "id_ed25519", "sub/.netrc", ".modal.toml", "kubeconfig"),
    *("my.kubeconfig", ".kube/config", ".aws/credentials", ".docker/config.json", "service-account-x.json"),
    *("credentials.json", "KEY.PEM", "tls.key", ".pypirc", "secrets.yaml", "prod.env", "token.json", "rclone.conf"),
    *("application_default_credentials.json", "terraform.tfvars", "credentials/of.txt"),
]


def test_only_names_below_the_folder_count(tmp_path: Path) -> None:
    folder = tmp_path / "credentials" / "project"
    folder.mkdir(parents=True)
    packed = pack(folder, main=make(folder, {"main.py": "x", "data.txt": "1"}), limit=LIMIT)
    assert set(packed.files) == {"main.py", "data.txt"}


def test_a_line_that_git_skips_is_skipped(tmp_path: Path) -> None:
    main = make(tmp_path, {"main.py": "x", "a.log": "", ".gitignore": "!\n[z-a]\nfoo\\\n*.log\n"})
    assert set(pack(tmp_path, main=main, limit=LIMIT).files) == {"main.py", ".gitignore"}


def test_leftovers_and_credentials_are_never_included(tmp_path: Path) -> None:
    main = make(tmp_path, {"main.py": "x", ".env.example": "", "id_rsa.pub": "", **dict.fromkeys(NEVER + SECRET, "s")})
    packed = pack(tmp_path, main=main, limit=LIMIT)
    assert set(packed.files) == {"main.py", ".env.example", "id_rsa.pub"}
    assert set(packed.credentials) == set(SECRET)


def test_the_users_own_files_in_manims_folders_are_included(tmp_path: Path) -> None:
    own = {
        *("main.py", "media/voiceovers/hello.mp3", "media/voiceovers/cache.json", "media/images/logo.png"),
        *("media/videos/intro.mp4", "media/Tex/preamble.tex", "media/videos/a/480p15/notes.txt"),
        *("footage/480p15/clip.mp4", "media/images/a/A/photo0001.png"),
    }
    main = make(tmp_path, dict.fromkeys(own, "x"))
    assert set(pack(tmp_path, main=main, limit=LIMIT).files) == own


def test_the_reason_names_the_line_that_leaves_a_file_out(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    make(tmp_path, {".gitignore": "*.log\n"})
    root = tmp_path / "in"
    main = make(
        root,
        {
            ".gitignore": "# large\n\ndata/\n",
            "sub/.rendererignore": "!keep.wav\n*.wav\n",
            **dict.fromkeys(("main.py", "data/x/y.csv", "sub/deep/a.wav", "b.log", "my.key", "__pycache__/m.pyc"), "x"),
        },
    )
    reasons = {
        "data/x/y.csv": LeftOut(".gitignore line 3 'data/'", "!data/"),
        "sub/deep/a.wav": LeftOut("sub/.rendererignore line 2 '*.wav'", "!deep/a.wav", "sub/.rendererignore"),
        "b.log": LeftOut("../.gitignore line 1 '*.log'", "!b.log"),
        "my.key": LeftOut("it looks like a credential", "!my.key"),
        "__pycache__/m.pyc": LeftOut("the folder __pycache__ is never uploaded"),
        "main.py": None,
        "missing": None,
    }
    assert {name: explain_left_out(root, name) for name in reasons} == reasons
    packed = pack(root, main=main, limit=LIMIT)
    assert packed.ignored["data"] == ".gitignore line 3 'data/'"
    assert not set(packed.files) & {name for name, reason in reasons.items() if reason}
    for found in filter(None, reasons.values()):
        with (root / found.file).open("a") as file:
            file.write(f"{found.pattern or ''}\n")
    wanted = {name for name, found in reasons.items() if found and found.pattern}
    assert wanted <= set(pack(root, main=main, limit=LIMIT).files)


def test_a_folder_with_very_many_files_is_refused_at_once(tmp_path: Path) -> None:
    main = make(tmp_path, {"main.py": "x"})
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number}").touch()
    started = time.process_time()
    with pytest.raises(SpecError, match=r"holds more than 50,000 files") as caught:
        pack(tmp_path, main=main, limit=LIMIT)
    assert "--root" in str(caught.value.hint)
    assert time.process_time() - started < 30


def test_too_large_a_folder_names_its_largest_files(tmp_path: Path) -> None:
    main = make(tmp_path, {"main.py": "x", "small": "1", "large": "1" * 700_000, "larger": "1" * 800_000})
    with pytest.raises(SpecError, match=r"1\.4 MiB.*limit of 1\.0 MiB.*larger \(0\.8 MiB\), large \(0\.7 MiB\)$"):
        pack(tmp_path, main=main, limit=LIMIT)


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "sub/../../outside", "loop/../../outside"])
def test_links_that_leave_the_folder_are_left_out(target: str, tmp_path: Path) -> None:
    main = make(tmp_path / "in", {"main.py": "x"})
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "in" / "link").symlink_to(target)
    (tmp_path / "in" / "loop").symlink_to("loop")
    packed = pack(main.parent, main=main, limit=LIMIT)
    assert packed.files == ("loop", "main.py")
    assert list(packed.links) == list(packed.ignored) == ["link"]
    unpack(packed.bundle.data, packed.bundle.digest, tmp_path / "out", packed.links.items())
    assert (tmp_path / "out" / "link").exists()


def test_a_main_file_that_is_an_absolute_link_is_included(tmp_path: Path) -> None:
    other = make(tmp_path / "in", {"main.py": "x"})
    main = tmp_path / "in" / "link.py"
    main.symlink_to(other)
    packed = pack(main.parent, main=main, limit=LIMIT)
    assert packed.files == ("link.py", "main.py")
    assert not packed.links
    unpack(packed.bundle.data, packed.bundle.digest, tmp_path / "out")
    assert (tmp_path / "out" / "link.py").read_text() == "x"
