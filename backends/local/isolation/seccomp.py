"""A seccomp filter in the kernel's binary form: system calls that no render needs and that attacks on the kernel use.

The filter is a classic BPF program over ``struct seccomp_data``: nr at offset 0, arch at 4, argument i at 16 + 8 i.
See seccomp(2), and linux/bpf_common.h for the instructions.

``python -I -m backends.local.isolation.seccomp COMMAND…`` runs a command with the filter, for containers: the
filters of some engines leave out sockets to the hypervisor.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2  # prctl(2)
_NR, _ARCH, _ARGUMENT_0 = 0, 4, 16
_X32 = 0x40000000  # calls of the x32 ABI on x86-64, which have numbers of their own
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; AF_VSOCK and AF_ALG are not in a namespace
# Calls that are refused: their numbers on x86-64 and on 64-bit Arm, None where there is none.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_CLONE3 = 435  # its flags lie in memory, where a filter cannot look: libc uses clone where clone3 is not implemented
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # put input into a terminal
# name of the machine: AUDIT_ARCH, column of _REFUSED, numbers of clone, socket, socketpair and ioctl
_MACHINES = {
    "x86_64": (0xC000003E, 0, 56, 41, 53, 16),
    "aarch64": (0xC00000B7, 1, 220, 198, 199, 29),
}


def build_filter() -> bytes | None:
    """Return the filter for this machine; None where the numbers of its system calls are not known here."""
    if platform.machine() not in _MACHINES:
        return None
    arch, column, clone, socket, socketpair, ioctl = _MACHINES[platform.machine()]
    refuse, allow = _instruction(_RETURN, _ERROR | errno.EPERM), _instruction(_RETURN, _ALLOW)
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_JUMP_EQUAL, arch, yes=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NR),
        _instruction(_JUMP_ABOVE, _X32, no=1),
        refuse,
        _instruction(_JUMP_EQUAL, _CLONE3, no=1),
        _instruction(_RETURN, _ERROR | errno.ENOSYS),
    ]
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            program += [_instruction(_JUMP_EQUAL, number, no=1), refuse]
    first_argument = _instruction(_LOAD, _ARGUMENT_0)
    second_argument = _instruction(_LOAD, _ARGUMENT_0 + 8)
    program += _guarded(clone, [first_argument, _instruction(_JUMP_ANY_BIT, _NAMESPACES, no=1), refuse, allow])
    for call in (socket, socketpair):
        equal = [_instruction(_JUMP_EQUAL, family, yes=len(_FAMILIES) - i) for i, family in enumerate(_FAMILIES)]
        program += _guarded(call, [first_argument, *equal, refuse, allow])
    terminal = [_instruction(_JUMP_EQUAL, _TIOCSTI, yes=1), _instruction(_JUMP_EQUAL, _TIOCLINUX, no=1)]
    program += _guarded(ioctl, [second_argument, *terminal, refuse, allow])
    return b"".join([*program, allow])


def main() -> None:
    """Run the command that the arguments name, with the filter where there is one for this machine."""
    if program := build_filter():
        install_filter(program)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # no shell is wanted


def install_filter(program: bytes) -> None:
    """Set the filter for this process and all that it starts. Raises OSError."""
    size = len(program) // struct.calcsize("HBBI")
    content = ctypes.create_string_buffer(program, len(program))
    filter_program = _FilterProgram(size, ctypes.addressof(content))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class _FilterProgram(ctypes.Structure):
    """The kernel's struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _guarded(number: int, body: list[bytes]) -> list[bytes]:
    """Return the instructions of ``body``, which return, for one system call; others go on behind them."""
    return [_instruction(_JUMP_EQUAL, number, no=len(body)), *body]


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """Return one struct sock_filter; ``yes`` and ``no`` are how many instructions a jump leaves out."""
    return struct.pack("HBBI", code, yes, no, value)


if __name__ == "__main__":
    main()
