"""Projects that try to leak files of the machine into a bundle or a message, or to keep the packing busy."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tempfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.commands import environment, output, renderer
from support.files import make

from backends.errors import SpecError
from renderer.bundle.archive import Entry, make_bundle
from renderer.bundle.credentials import holds_credential, looks_like_credential
from renderer.bundle.pack import Packed, pack
from renderer.bundle.patterns import MAX_TRIES, Budget, Patterns
from renderer.scenes import find_scenes

LIMIT = 1 << 24
KEY = "-----BEGIN OPENSSH PRIVATE " + "KEY-----\n"  # not in one piece: scanners of this repository would find it


def pack_all(root: Path) -> Packed:
    return pack(root, main=root / "main.py", limit=LIMIT)


EVIL = ["*a" * 18, "a*" * 30 + "!", "**/a/" * 40 + "b", "*" * 5000 + "b", "[" * 5000, "[!a]*" * 50, "a/" * 2000 + "*",
        "*/" * 300, "**/*a*a*a*a/" * 30, "?*" * 200, "\\" * 999, "[a-" * 999]  # fmt: skip


@pytest.mark.parametrize("line", EVIL, ids=range(len(EVIL)))
def test_no_pattern_takes_long(line: str) -> None:
    patterns = Patterns([line], Budget())
    started = time.process_time()
    for path in ("a" * 255, "/".join("a" * 2000), "/".join(["aaaaaaa"] * 500) + "/c", "a" * 200 + "b/" + "a" * 255):
        with suppress(SpecError):  # too many tries, told in words
            patterns.find(path, is_folder=False)
    assert time.process_time() - started < 15


@pytest.mark.parametrize(
    "line", ["a%d", "/d/%d", "*.%d", "%d*", "**/%d/*.o", "[%d]x"], ids=["name", "path", "end", "start", "depth", "set"]
)
def test_ignore_files_of_any_size_end_in_time(line: str, tmp_path: Path) -> None:
    lines = "\n".join(line % number for number in range(950_000 // len(line % 10**5)))
    make(tmp_path, {"main.py": "", ".gitignore": lines, **{f"d/f{number}": "" for number in range(200)}})
    started = time.process_time()
    if "*" in line or "[" in line:
        with pytest.raises(SpecError, match="more than 5000 patterns with wildcards"):
            pack_all(tmp_path)
    else:
        assert len(pack_all(tmp_path).files) == 202
    assert time.process_time() - started < 30


@pytest.mark.parametrize("line", ["*a" * 2000, "*?" * 90, "/" * 180], ids=["long", "short", "slashes"])
def test_long_patterns_in_many_folders_end_in_time(line: str, tmp_path: Path) -> None:
    lines = "\n".join(f"{line}*{number}" for number in range(950_000 // len(line)))
    make(tmp_path, {"main.py": "", **{f"d{number}/.gitignore": lines for number in range(5)}})
    started = time.process_time()
    with pytest.raises(SpecError, match="have patterns with wildcards of more than 250,000 characters"):
        pack_all(tmp_path)
    assert time.process_time() - started < 30


def test_large_ignore_files_are_refused_and_never_cut(tmp_path: Path) -> None:
    make(tmp_path, {"main.py": "", "secret.txt": "", ".gitignore": "#" * 2_000_000 + "\nsecret.txt\n"})
    assert "secret.txt" not in pack_all(tmp_path).files
    make(tmp_path, {"d/.gitignore": "#" * 3_000_000})
    with pytest.raises(SpecError, match="the ignore files of the folder are larger than 4 MiB"):
        pack_all(tmp_path)


@pytest.mark.parametrize(
    ("line", "path"),
    [("*.o", "src/a.py"), ("*" + "a" * 200 + "b", "a" * 240), ("**/a/*b", "a/" * 900)],
    ids=["usual", "long", "deep"],
)
def test_all_files_and_patterns_together_have_a_limit(line: str, path: str) -> None:
    patterns = Patterns([line] * 150, Budget(MAX_TRIES // 20))
    started = time.process_time()
    with pytest.raises(SpecError, match="too many patterns for so many files"):
        any(patterns.find(path, is_folder=False) for _ in range(10**6))
    assert time.process_time() - started < 30


GIT_PATTERN = st.text(alphabet="ab*?/[]!^\\- .#", min_size=1, max_size=9)
USUAL = st.sampled_from(
    ["*.log", "/a", "a/", "!a/b", "a/*", "**/b", "a/**", "a/**/b", "!*.a", "b*", "/*", "!/a", "[ab]"]
)
NAMES = ("a", "b", "ab", "a.b", "b.log", ".a", "a a", "-")


@pytest.mark.skipif(not shutil.which("git"), reason="compares with git")
@settings(max_examples=60)
@given(st.lists(GIT_PATTERN | USUAL, min_size=1, max_size=5))
@example(["a\\ ", "b "])
@example(["\\!a", "\\#", "[!a]", "[^a]", "[]a]", "[a-]", "[a-b]b"])
@example(["**", "!a/", "!**/b"])
@example(["a**b", "**a", "a/**/**/b", "/**/b", "//a", "/", "a//b"])
@example(["[^/]", "a[/]b", "d[^a]b", "[a/b]", "d\\/a", "/[/"])
@example(["[[:alpha:]]", "[[:nonsense:]]", "[z-a]", "[", "a\\"])
def test_patterns_mean_what_they_mean_in_git(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        files = [
            *NAMES,
            *(f"d/{name}" for name in NAMES),
            *(f"a_/{first}/{name}" for first in ("a", "b") for name in NAMES),
        ]
        make(root, {"main.py": "", **dict.fromkeys(files, "")})
        (root / ".gitignore").write_text("\n".join(lines) + "\n")
        listed: list[str | Path] = [
            "git",
            "-C",
            root,
            "ls-files",
            "--others",
            "--exclude-per-directory=.gitignore",
            "-z",
        ]
        shown = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
        assert set(pack_all(root).files) | {"main.py"} == {name for name in shown if name} | {"main.py"}


def test_an_ignore_file_that_is_a_link_or_a_pipe_does_not_count(tmp_path: Path) -> None:
    make(tmp_path, {"main.py": "x", "a": "", "sub/b": ""})
    (tmp_path / ".gitignore").symlink_to("a")
    os.mkfifo(tmp_path / "sub" / ".gitignore")
    assert set(pack_all(tmp_path).files) == {"main.py", "a", "sub/b", ".gitignore"}


def test_folders_in_folders_are_packed_to_any_depth(tmp_path: Path) -> None:
    make(tmp_path, {"main.py": "x"})
    deep = tmp_path
    for _ in range(1200):
        deep /= "d"
        deep.mkdir()
    (deep / "file").touch()
    files = pack_all(tmp_path).files
    subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)  # Python's own cannot
    assert len(files) == 2


PRIVATE = [
    ".bash_history", ".zsh_history", ".python_history", ".node_repl_history", ".irb-history", ".lesshst", ".viminfo",
    ".config/gh/hosts.yml", ".config/rclone/rclone.conf", ".cargo/credentials", ".cargo/credentials.toml",
    ".docker/config.json", ".my.cnf", ".pgpass", ".netrc", "_netrc", ".mylogin.cnf", "terraform.tfstate",
    "infra/terraform.tfstate.backup", "prod.tfvars", "office.ovpn", "vault.kdbx", ".mozilla/firefox/x/cookies.sqlite",
    "Default/Cookies", "Default/Login Data", "key4.db", "wallet.dat", ".electrum/wallets/default", ".m2/settings.xml",
    ".gradle/gradle.properties", ".subversion/auth/x", ".password-store/mail.gpg",
    ".local/share/keyrings/login.keyring",
    ".vnc/passwd", ".Xauthority", ".terraform.d/credentials.tfrc.json", ".yarnrc.yml", ".vscode-server/data/x",
]  # fmt: skip


def test_private_files_of_programs_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, {"main.py": "x", "history.txt": "", "cookies.py": "", **dict.fromkeys(PRIVATE, "s")})
    packed = pack_all(tmp_path)
    assert set(packed.files) == {"main.py", "history.txt", "cookies.py"}
    assert set(packed.credentials) == set(PRIVATE)


SECRETS = {
    "openssh": KEY, "pgp": "-----BEGIN PGP PRIVATE " + "KEY BLOCK-----", "aws": "id = AKIA" + "ABCDEFGHIJKLMNOP",
    "aws secret": "aws_secret_access_key = " + "a" * 40, "github": "ghp_" + "a1" * 18, "slack": "xoxb-" + "1" * 24,
    "stripe": "sk_live_" + "a" * 24, "google": "AIza" + "a" * 35, "npm": "npm_" + "a" * 36,
    "account": '{"type": "service_account", "private_key": "-----BEGIN ' + 'PRIVATE KEY-----\\n"}',
    "jwt": "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 43, "gitlab": "glpat-" + "a" * 20,
    "anthropic": "sk-ant-api03-" + "a" * 90, "pypi": "pypi-AgEI" + "a" * 60, "age": "AGE-SECRET-KEY-1" + "A" * 58,
    "webhook": "whsec_" + "a" * 43 + "=", "vault": "hvs." + "a" * 95, "docker": "dckr_pat_" + "a" * 27,
    "databricks": "dapi" + "a" * 32, "shopify": "shpat_" + "a" * 32, "atlassian": "ATATT3" + "a" * 186,
    "gitlab runner": "glrt-" + "a" * 20, "slack app": "xapp-1-A0123456789-1234567890123-" + "a" * 64,
    "groq": "gsk_" + "a" * 52, "google login": "ya29." + "a" * 100, "replicate": "r8_" + "a" * 37,
}  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_credentials_are_found_by_what_they_hold(secret: str, tmp_path: Path) -> None:
    make(tmp_path, {"main.py": "x", "notes.txt": f"some text\n{secret}\nmore", "b.txt": "text"})
    packed = pack_all(tmp_path)
    assert packed.credentials == ("notes.txt",)
    assert packed.files == ("b.txt", "main.py")


def zip_of(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


HIDDEN = {
    "utf-16": KEY.encode("utf-16"), "utf-16 without a mark": KEY.encode("utf-16-be"), "utf-32": KEY.encode("utf-32"),
    "gzip": gzip.compress(KEY.encode()), "bzip2": bz2.compress(KEY.encode()), "xz": lzma.compress(KEY.encode()),
    "zip": zip_of("a.txt", KEY.encode()), "name in a zip": zip_of(".aws/credentials", b"x"),
    "zip in gzip": gzip.compress(zip_of("a.txt", KEY.encode())), "kubeconfig": base64.b64encode(KEY.encode()),
    "netrc": b"machine example.org\n  login me\n  password hunter2\n", "data": b"\0\1\2" * 10**6 + KEY.encode(),
    "notebook": b'{"source": ["aws_secret_access_key = \\"' + b"a" * 40 + b'\\"\\n"]}',
    "shadow": b"root:$6$" + b"a" * 30 + b":1:", "wireguard": b"PrivateKey = " + b"a" * 43 + b"=",
    "registry": b'{"auths": {"x": {"auth": "' + b"YWJj" * 6 + b'"}}}',
    "der": bytes.fromhex("308204bd020100300d06092a864886f70d0101010500048204a7"),
}  # fmt: skip


@pytest.mark.parametrize("data", HIDDEN.values(), ids=HIDDEN)
def test_credentials_in_odd_files_are_found(data: bytes) -> None:
    assert holds_credential(data)


@pytest.mark.parametrize("name", [".env", ".env.prod", ".env-prod", ".env_local", ".env~", "env.local", "sub/PROD.ENV"])
def test_all_kinds_of_env_files_are_left_out(name: str) -> None:
    assert looks_like_credential(Path(name))
    assert not looks_like_credential(Path(".env.example"))


DIRECTORY = b"PK\1\2" + bytes(24) + b"\1" + bytes(17) + b"a"  # an entry of a zip's directory
BUSY = {
    "tokens": b"eyJ-" * 500_000, "long tokens": b"eyJaaaaaaaaaaaaaaaaaaaaa." * 80_000, "keys": b"sk-" * 600_000,
    "logins": b"machine a login b " * 100_000 + b"password", "zeros": bytes(2**21),
    "directory": b"PK\3\4" + bytes(26) + DIRECTORY * 350_000 + zip_of("a", b"").partition(b"PK\1\2")[2],
    "bomb": zip_of("a", gzip.compress(bytes(2**28))), "quotes": b"aws_secret_access_key" + b"\\" * 2_000_000,
}  # fmt: skip


@pytest.mark.parametrize("data", BUSY.values(), ids=BUSY)
def test_no_file_keeps_the_search_busy(data: bytes) -> None:
    started = time.process_time()
    holds_credential(data)
    assert time.process_time() - started < 15


def test_many_small_bombs_are_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(2**24))
    make(tmp_path, {"main.py": ""})
    for number in range(20):
        (tmp_path / f"{number}.svgz").write_bytes(bomb)
    started = time.process_time()
    with pytest.raises(SpecError, match="more than 32 MiB come out of the compressed files of the folder") as caught:
        pack_all(tmp_path)
    assert "--bundle-limit-mib" in str(caught.value.hint)
    assert time.process_time() - started < 15


@pytest.mark.parametrize(
    "text",
    [
        "the PRIVATE KEY of a song",
        "AKIA is a prefix",
        "ghost_writer = 1",
        "eyJ is base64 of {",
        "sk-ant-",
        "whsec_",
        "_authToken=$X",
    ],
)
def test_usual_text_holds_none(text: str) -> None:
    assert not holds_credential(text.encode())


@given(st.binary())
def test_any_data_can_be_looked_at(data: bytes) -> None:
    holds_credential(data)


def test_looking_for_credentials_is_quick() -> None:
    data = (
        b"class Intro(Scene):\n    def construct(self):\n        self.play(Write(Tex('x')))  # ghp npm_ eyJ sk-ant-\n"
        * 250
    )
    started = time.process_time()
    for _ in range(1000):
        holds_credential(data)
    assert time.process_time() - started < 9


def test_a_credential_is_included_if_rendererignore_names_it(tmp_path: Path) -> None:
    make(
        tmp_path,
        {"main.py": "x", "demo.pem": "s", "other.pem": "s", "notes": KEY, ".rendererignore": "!demo.pem\n!notes\n"},
    )
    packed = pack_all(tmp_path)
    assert packed.files == (".rendererignore", "demo.pem", "main.py", "notes")
    (tmp_path / ".rendererignore").write_text("!*.pem\n!*\n")
    assert set(pack_all(tmp_path).credentials) == {"demo.pem", "other.pem", "notes"}


def test_a_file_that_becomes_a_link_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    root = tmp_path / "project"
    make(root, {"main.py": "x", "a": "1", "sub/b": "2"})
    entries = [Entry(name, root, (root / name).lstat()) for name in ("a", "sub/b")]
    (root / "a").unlink()
    (root / "a").symlink_to(secret)
    with pytest.raises(SpecError, match="cannot read a"):
        make_bundle(entries[:1])
    (root / "a").unlink()
    os.mkfifo(root / "a")
    with pytest.raises(SpecError, match="cannot read a"):
        make_bundle(entries[:1])
    shutil.rmtree(root / "sub")
    (tmp_path / "b").write_text("secret")
    (root / "sub").symlink_to("..")
    with pytest.raises(SpecError, match="cannot read sub/b"):
        make_bundle(entries[1:])


def test_a_file_that_grows_is_cut_at_the_size_that_was_checked(tmp_path: Path) -> None:
    make(tmp_path, {"a": "12"})
    entry = Entry("a", tmp_path, (tmp_path / "a").lstat())
    (tmp_path / "a").write_text("1" * 10**6)
    assert entry.read() == b"11"


SCENE = "from base import *\nfrom manim import *\nclass A(Base): pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("this is a secret\n")
    make(tmp_path / "project", {"scene.py": SCENE})
    return tmp_path / "project"


@pytest.mark.parametrize("target", ["../secret.txt", "/etc/passwd", "/proc/self/environ", "/dev/zero", "base.py"])
@pytest.mark.parametrize("name", ["base.py", "base/__init__.py"])
def test_base_classes_are_not_read_outside_the_project(project: Path, name: str, target: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).symlink_to(target if target.startswith("/") or "/" not in name else f"../{target}")
    find_scenes(project / "scene.py")


def test_a_scene_file_that_links_to_a_secret_shows_nothing_of_it(project: Path) -> None:
    (project / "scene.py").unlink()
    (project / "scene.py").symlink_to("../secret.txt")
    for command in ("scenes", "submit"):
        done = renderer(command, "scene.py", cwd=project, env=environment(project.parent / "home"))
        assert done.returncode == 2
        assert "secret\n" not in done.stdout + done.stderr
        assert "name the file itself" in done.stderr


@pytest.mark.parametrize("name", ["base.py", "base/__init__.py", "scene.py"])
def test_a_pipe_is_not_waited_for(project: Path, name: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).unlink(missing_ok=True)
    os.mkfifo(project / name)
    if name == "scene.py":
        with pytest.raises(SpecError, match="not a regular file"):
            find_scenes(project / name)
    else:
        find_scenes(project / "scene.py")


@pytest.mark.parametrize(
    "text",
    ["x = " + "-" * 100_000 + "1", "(" * 100_000, "a" + ".b" * 50_000 + "\n",
     "if x:\n pass\n" + "elif y:\n pass\n" * 5000,
     "x" * (5 * 2**20), "class A(" + "a" + ".b" * 5000 + "): pass"],
    ids=["signs", "brackets", "attributes", "elif", "large", "base"],
)  # fmt: skip
def test_source_that_is_hard_to_parse_is_refused_in_one_sentence(project: Path, text: str) -> None:
    (project / "base.py").write_text(text)
    done = renderer("scenes", "scene.py", cwd=project, env=environment(project.parent / "home"))
    assert done.returncode in {0, 2}
    assert len(done.stderr) < 1000


def test_modules_that_import_each_other_are_read_once(project: Path) -> None:
    names = [f"m{number}" for number in range(30)]
    stars = "".join(f"from {name} import *\n" for name in names)
    make(project, {f"{name}.py": stars for name in names})
    (project / "scene.py").write_text(stars + "class A(Unknown): pass\nclass B(Other): pass\n")
    started = time.process_time()
    assert find_scenes(project / "scene.py") == []
    assert time.process_time() - started < 15


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    private = dict.fromkeys((".bash_history", ".config/gh/hosts.yml", "letter.txt", "tax/2025.pdf"), "private")
    make(
        home,
        {
            "job.py": "import tool\n",
            "tool.py": "from kit import inner\n",
            "kit/__init__.py": "",
            "kit/inner.py": "",
            **private,
        },
    )
    return home


def dry_run(*arguments: str, cwd: Path, home: Path) -> Any:
    return renderer("submit", *arguments, "--dry-run", "--json", cwd=cwd, env=environment(home))


def test_of_the_home_folder_only_the_file_and_its_modules_are_uploaded(home: Path) -> None:
    done = dry_run("job.py", cwd=home, home=home)
    assert output(done)["files"] == ["job.py", "kit/__init__.py", "kit/inner.py", "tool.py"]
    said = renderer("submit", "job.py", "--dry-run", cwd=home, env=environment(home)).stderr
    assert "holds more than a project" in said


@pytest.mark.parametrize("root", [".", "..", "/", "link", "/var"])
def test_the_home_folder_is_refused_as_root(home: Path, root: str) -> None:
    (home / "link").symlink_to("..")
    done = dry_run("job.py", "--root", root, cwd=home, home=home)
    assert done.returncode == 2
    assert "holds private files" in output(done)["error"]


@pytest.mark.parametrize("folder", [".ssh", ".config", ".config/gh", ".local/share", ".aws/more"])
def test_of_a_folder_with_credentials_only_the_file_is_uploaded(folder: str, home: Path) -> None:
    make(home / folder, {"job.py": "", "login.keyring": "", "my_own_deploykey": ""})
    assert output(dry_run("job.py", cwd=home / folder, home=home))["files"] == ["job.py"]


def test_a_folder_in_the_home_folder_is_a_project(home: Path) -> None:
    make(home / "project", {"job.py": "", "data.txt": ""})
    assert output(dry_run("job.py", cwd=home / "project", home=home))["files"] == ["data.txt", "job.py"]
