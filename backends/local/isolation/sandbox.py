"""The sandbox of an untrusted job on this machine: bubblewrap with namespaces, limits and few files of the system."""

from __future__ import annotations

import json
import os
import platform
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import backends
from backends.errors import BackendError, SpecError
from backends.local.documents import PYTHON_WORKER, Launcher
from backends.local.folder import JobFolder
from backends.local.isolation.control_group import find_groups, find_memory_events
from backends.local.isolation.seccomp import build_filter
from backends.processes import MEMORY_EVENTS
from backends.untrusted import OPEN_FILES, Limits

MIB = 2**20
PROGRAM = "bwrap"
JOB = "/job"  # the job's inputs and outputs, as the worker sees them
USER = 65532  # the worker's user and group: no person or service has this number
# The kernel limits keys, pipes and inotify for each user, so root's jobs get a user each: this number and the guard's
# process id. systemd's documentation of user ids leaves the range unused.
_FIRST_USER = 1_880_000_000
PROBE_TIMEOUT_S = 10

# The system's programs, and what TeX, fonts and the dynamic linker read outside /usr.
_SYSTEM = (
    *("/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"),
    *("/etc/alternatives", "/etc/fonts", "/etc/ghostscript", "/etc/glvnd", "/etc/ld.so.cache", "/etc/ld.so.conf"),
    *("/etc/ld.so.conf.d", "/etc/libpaper.d", "/etc/localtime", "/etc/papersize", "/etc/texmf"),
    *("/var/cache/fontconfig", "/var/lib/texmf"),
)
_HIDDEN = ("/usr/etc", "/usr/local/etc")  # settings of programs may hold passwords, such as those of npm and pip
_WRITABLE = (f"{JOB}/work", "/tmp", "/dev/shm")  # noqa: S108  # in the sandbox
_ACCOUNTS: Mapping[str, str] = {
    "passwd": "user:x:{user}:{user}::/tmp:/usr/sbin/nologin\n",
    "group": "user:x:{user}:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
# Switches that forbid namespaces to ordinary users: file, value that allows them, command.
_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", "sysctl -w user.max_user_namespaces=10000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "sysctl -w kernel.unprivileged_userns_clone=1"),
)
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_SYSTEMD_RUN = ("systemd-run", "--user", "--scope", "--quiet", "--collect")


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """Limits of one job: memory, disk (each tmpfs) and processes with their threads; ``outputs`` is what is taken out.

    ``grouped`` says that a control group around the guard keeps memory and processes within them.
    """

    memory_mib: int
    disk_mib: int
    processes: int
    outputs: Limits
    grouped: bool = False

    def to_json(self) -> str:
        """Return the text that the guard gets as its argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SandboxLimits:
        """Return what ``to_json`` wrote."""
        content = json.loads(text)
        return cls(**{**content, "outputs": Limits(**content["outputs"])})


def choose_limits(memory_mib: int | None, outputs: Limits) -> SandboxLimits:
    """Return the limits of a job: by default half of the machine's memory. Each tmpfs gets a quarter of the memory."""
    memory = memory_mib or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB // 2
    disk = memory // 4
    outputs = replace(outputs, total=min(outputs.total, disk * MIB))
    return SandboxLimits(memory_mib=memory, disk_mib=disk, processes=256 + 96 * (os.cpu_count() or 1), outputs=outputs)


def check_platform() -> None:
    """Raise SpecError on systems for which there is no sandbox."""
    if sys.platform != "linux" or build_filter() is None:
        raise SpecError(
            f"the local backend cannot run untrusted jobs on {platform.system()} {platform.machine()}",
            hint="use --backend docker",
        )


def require_sandbox() -> None:
    """Raise BackendError where bubblewrap is missing or may not make namespaces."""
    for program, package in ((PROGRAM, "bubblewrap"), ("setpriv", "util-linux"), ("prlimit", "util-linux")):
        if shutil.which(program) is None:
            raise BackendError(
                f"this machine cannot run untrusted jobs: {program} is not installed",
                hint=f"sudo apt-get install {package}",
            )
    system = [word for path in _SYSTEM if os.path.exists(path) for word in ("--ro-bind", path, path)]  # noqa: PTH110
    probe = [PROGRAM, *_namespaces(), *system, "--proc", "/proc", "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=PROBE_TIMEOUT_S)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BackendError(f"this machine cannot run untrusted jobs: {said}", hint=_find_switch())


def _find_switch() -> str:
    for file, command in _SWITCHES:
        path = Path(file)
        if path.exists() and path.read_text().strip() == "0":
            return f"allow user namespaces: sudo {command}"
    if _APPARMOR.exists() and _APPARMOR.read_text().strip() == "1":
        return "allow user namespaces: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return "use --backend docker"


def make_launcher(folder: JobFolder, limits: SandboxLimits) -> Launcher:
    """Return how the supervisor starts the guard, and through it the worker."""
    scope: list[str] = []
    if os.getuid() and _has_user_scopes():
        scope = [*_SYSTEMD_RUN, "-p", f"MemoryMax={limits.memory_mib}M", "-p", "MemorySwapMax=0"]
        scope += ["-p", f"TasksMax={limits.processes}", "--"]
        limits = replace(limits, grouped=True)
    remove = ("rmdir", *map(str, find_groups(folder.id))) if not os.getuid() else ()
    guard = [sys.executable, "-I", "-m", "backends.local.isolation.guard", str(folder.path), limits.to_json()]
    return Launcher(start=PYTHON_WORKER, root=JOB, prefix=(*scope, *guard), end=remove)


def _has_user_scopes() -> bool:
    """Return whether this user's systemd makes control groups."""
    try:
        done = subprocess.run([*_SYSTEMD_RUN, "true"], capture_output=True, check=False, timeout=PROBE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def make_options(folder: JobFolder, limits: SandboxLimits, seccomp: int) -> list[str]:
    """Return bubblewrap's options for the worker's sandbox. ``seccomp`` is a descriptor of the filter.

    They are passed by ``--args``, since the worker can read the command line of its process 1.
    """
    options = [*_namespaces(), "--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1"]
    options += ["--seccomp", str(seccomp), "--proc", "/proc", "--dev", "/dev"]
    for path in _WRITABLE:  # first: Python may be below /tmp
        options += [*_make_parents(Path(path)), "--perms", "1777", "--size", str(limits.disk_mib * MIB)]
        options += ["--tmpfs", path]
    for source, target in _read_only(folder):
        options += [*_make_parents(target), "--ro-bind", str(source), str(target)]
    for hidden in map(Path, _HIDDEN):
        if hidden.is_dir() and not hidden.is_symlink():
            options += ["--perms", "0755", "--tmpfs", str(hidden), "--remount-ro", str(hidden)]
    return [*options, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108  # in the sandbox


def choose_user() -> int:
    """Return the worker's user and group. For root it is one that no other job has while this process runs."""
    user = _FIRST_USER + os.getpid()
    if os.getuid():
        return USER
    return user if all(_is_mapped(user, Path(f"/proc/self/{kind}_map")) for kind in ("uid", "gid")) else USER


def _is_mapped(number: int, file: Path) -> bool:
    """Return whether the number exists in this user namespace: containers often have 65,536 of them."""
    ranges = [[int(word) for word in line.split()] for line in file.read_text().splitlines()]
    return any(first <= number < first + count for first, _, count in ranges)


def make_command(limits: SandboxLimits, options: int, user: int, worker: list[str]) -> list[str]:
    """Return the command that runs the worker in the sandbox whose ``options`` come from a descriptor.

    Inside, the worker becomes another ``user`` without rights, and gets its limits. It is process 1, which no process
    of the sandbox can end or stop.
    """
    command = [PROGRAM, "--args", str(options), "--"]
    if not os.getuid():
        command += ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "--inh-caps=-all"]
        command += ["--pdeathsig", "KILL"]  # becoming another user has reset it
    return [*command, *_limit(limits), *worker]


def make_environment(job: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's variables; nothing of this process but the language."""
    kept = {key: value for key, value in os.environ.items() if key in {"LANG", "LC_ALL", "LC_CTYPE", "TZ"}}
    path = f"{Path(sys.prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    own = {"PATH": path, "HOME": "/tmp", "TMPDIR": "/tmp", "USER": "user"}  # noqa: S108
    return {"LANG": "C.UTF-8", **kept, **own, **job}


def write_accounts(folder: Path, user: int) -> None:
    """Write the files of /etc that name the worker's user, and no other."""
    for name, text in _ACCOUNTS.items():
        (folder / name).write_text(text.format(user=user))
        (folder / name).chmod(0o444)


def _namespaces() -> list[str]:
    """Return the options for namespaces. Root has another user instead of a user namespace, and seccomp forbids one."""
    common = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.getuid():
        return [*common, "--unshare-user", "--disable-userns", "--uid", str(USER), "--gid", str(USER)]
    return [*common, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


def _make_parents(target: Path) -> list[str]:
    """Return the options that make the folders above a mount; bubblewrap by itself makes them for root alone."""
    above = [str(path) for path in reversed(target.parents)][1:]
    return [word for path in above for word in ("--perms", "0755", "--dir", path)]


def _read_only(folder: JobFolder) -> Iterator[tuple[Path, Path]]:
    """Yield what the worker may read, and where it sees it: the system, this Python, this program and its inputs."""
    for path in (*map(Path, _SYSTEM), *_python_folders()):
        if path.exists():
            yield path, path
    for prefix in {sys.prefix, sys.base_prefix}:
        if (settings := Path(prefix) / "pip.conf").exists():  # it may hold the password of a package index
            yield Path(os.devnull), settings
    for file in (folder.task, folder.bundle):
        yield file, Path(JOB) / file.relative_to(folder.path)
    if events := find_memory_events(folder.id):
        yield events, Path(MEMORY_EVENTS)
    for name in _ACCOUNTS:
        yield folder.scratch / name, Path("/etc") / name


def _python_folders() -> list[Path]:
    """Return the folders, outside /usr, that hold this Python, its packages and this program."""
    program = Path(backends.__file__).parent
    found = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent]
    found += [*map(Path, site.getsitepackages()), program, program.parent / "renderer"]
    folders: list[Path] = []
    for path in sorted({item.absolute() for item in found if item.is_dir()}):
        if not path.is_relative_to("/usr") and not any(path.is_relative_to(above) for above in folders):
            _check_narrow(path)
            folders.append(path)
    return folders


def _check_narrow(path: Path) -> None:
    if Path.home().is_relative_to(path):
        raise BackendError(
            f"this machine cannot run untrusted jobs: Python is installed in {path}, which holds your files",
            hint="install renderer in a virtual environment: python3 -m venv FOLDER",
        )


def _limit(limits: SandboxLimits) -> list[str]:
    command = ["prlimit", "--core=0", f"--nofile={OPEN_FILES}", f"--fsize={limits.disk_mib * MIB}"]
    if not limits.grouped:
        command += [f"--nproc={limits.processes}", f"--as={limits.memory_mib * MIB}"]
    return [*command, "--"]
