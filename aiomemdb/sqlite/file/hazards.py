"""What SQLite's locks on a file can't stand, seen before it loses writes.

Nothing here opens the database, its -wal or its -shm: see files.py. What a process has open is asked of its
descriptors, which costs 1 us for each of them.
"""

from __future__ import annotations

import os
import re
import sqlite3
import struct
import sys
import threading
import warnings
from pathlib import Path

from ...descriptors import Identity, identity_behind, identity_of, inherited, open_files
from ...errors import AiomemdbError, ForkedError

if sys.platform == "linux":
    import fcntl

__all__ = [
    "has_second_library",
    "has_wal_reset_bug",
    "hold",
    "let_go",
    "mount_points",
    "network_file_system",
    "network_file_system_of",
    "refuse_inherited",
    "refuse_mounted_alone",
    "second_library",
    "warn_of_network",
]


# -- this SQLite -------------------------------------------------------------------------------------------------


def has_wal_reset_bug(version: tuple[int, int, int] = sqlite3.sqlite_version_info[:3]) -> bool:
    """Whether this SQLite can corrupt a log when one connection checkpoints while another commits.

    Source: https://www.sqlite.org/wal.html, "The WAL-reset bug": 3.7.0 to 3.51.2, fixed in 3.44.6 and 3.50.7 too.
    """
    if version[:2] == (3, 44):
        return version < (3, 44, 6)
    if version[:2] == (3, 50):
        return version < (3, 50, 7)
    return (3, 7, 0) <= version < (3, 51, 3)


# -- a descriptor closed by hand ---------------------------------------------------------------------------------

# All connections to a database with a log share two locks all their life: on a range of the file and on a byte of the
# -shm. An exclusive lock on the range is the licence to remove the log. One on the byte is the licence to cut the -shm
# to nothing (os_unix.c: SHARED_FIRST, UNIX_SHM_DMS).
_SHARED_RANGE = (0x40000002, 510)
_DEAD_MANS_SWITCH = (128, 1)

_held: dict[Identity, int] = {}  # by how many connections of this process
_holding = threading.Lock()


def hold(path: str) -> Identity | None:
    """Keeps the log in place though this process lose SQLite's locks; the result is for ``let_go``.

    POSIX drops all of a process's locks on a file when it closes any descriptor of it (copying the folder does), and
    the next program that closes the database then removes the log under us, with all that is in it and was not there
    when it began to (https://www.sqlite.org/howtocorrupt.html, 2.2). Locks of open file descriptions, fcntl_locking(2),
    outlast that: what SQLite shares as a process is shared once more, through its own descriptors. They are shut only
    after its last connection in this process.

    Nothing is held without a log (None), and outside Linux.
    """
    try:
        database, shm = identity_of(os.stat(path)), identity_of(os.stat(f"{path}-shm"))
    except OSError:
        return None
    files = list(open_files())
    if shm not in (identity for _, identity in files):
        return None  # a -shm that was left there
    with _holding:
        _held[database] = _held.get(database, 0) + 1
        if _held[database] == 1:
            for descriptor, identity in files:
                if identity == database:
                    _share(descriptor, *_SHARED_RANGE)
                elif identity == shm:
                    _share(descriptor, *_DEAD_MANS_SWITCH)
    return database


def let_go(database: Identity) -> None:
    """Before its connection is closed: the last one of all programs must be able to remove the log."""
    with _holding:
        _held[database] -= 1
        if _held[database] == 0:
            del _held[database]
            for descriptor, identity in open_files():
                if identity == database:
                    _share(descriptor, *_SHARED_RANGE, unlock=True)


def _share(descriptor: int, start: int, length: int, *, unlock: bool = False) -> None:
    if sys.platform == "linux":
        kind = fcntl.F_UNLCK if unlock else fcntl.F_RDLCK
        try:
            # struct flock: l_type, l_whence, l_start, l_len, l_pid (0), padding
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", kind, os.SEEK_SET, start, length, 0))
        except OSError:  # a file system without such locks; or a descriptor that is not SQLite's
            pass


# -- forks -------------------------------------------------------------------------------------------------------


def _renew_lock() -> None:
    global _holding
    _holding = threading.Lock()  # a thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def refuse_inherited(path: Path, status: os.stat_result) -> None:
    """In a forked child: refuses a database that the parent had open, by whatever SQLite connection.

    SQLite counts its locks on a file in the memory of the process, which a child inherits, while the locks themselves
    stay with the parent (https://www.sqlite.org/howtocorrupt.html, 2.6). A connection that the child opens anew then
    takes none, and the next program that closes the file removes the log under it, with all that it writes later.

    Raises:
        ForkedError: what the parent had open when it forked is still open here.
    """
    identity = identity_of(status)
    for descriptor, was in inherited.items():
        # Asked again: who has closed his copies may open it, and another file may have got the inode.
        if was == identity and identity_behind(descriptor) == identity:
            raise ForkedError(
                f"{path} was open in the parent process when this one was forked: SQLite would not lock it here, and "
                'writes would be lost; start processes by "spawn" or "forkserver", or fork before the parent opens it'
            )


# -- a second SQLite library -------------------------------------------------------------------------------------


def has_second_library(path: Path | str) -> bool:
    """Whether another SQLite library in this process has the database open too, or the program its -shm by hand.

    A library keeps one descriptor of a -shm for all its connections (os_unix.c, unixShmNode: "there is one for each
    inode"). Measured: 3.40 one for nine connections, 3.51 the same, both together two.
    """
    try:
        shm = identity_of(os.stat(f"{path}-shm"))
    except OSError:
        return False
    return sum(identity == shm for _, identity in open_files()) > 1


def second_library(path: Path | str) -> str:
    """What is said of it."""
    return (
        f"{path} is open in this process by a second SQLite library (apsw, pysqlite3, ...), or its -shm by hand; locks "
        "don't keep them apart, so that each overwrites and removes what the other writes: use the module sqlite3, or "
        "another process"
    )


# -- mounts ------------------------------------------------------------------------------------------------------


def mount_points(mountinfo: str) -> set[str]:
    """Where something is mounted: the fifth field of each line of /proc/self/mountinfo (proc_pid_mountinfo(5))."""
    lines = (line.split(" ") for line in mountinfo.splitlines())
    return {_OCTAL.sub(lambda escape: chr(int(escape[1], 8)), fields[4]) for fields in lines if len(fields) > 4}


# A space, tab, newline, backslash or # in a path.
_OCTAL = re.compile(r"\\([0-7]{3})")


def refuse_mounted_alone(path: Path) -> None:
    """Refuses a file that was mounted without its folder, as by ``docker -v ./agents.db:/data/agents.db``.

    Its -wal, -shm and lock files lie in the folder of the mount. Other programs that have the file open don't see them
    there, and each overwrites what the others commit. Says nothing where the system does not report its mounts.

    Raises:
        AiomemdbError: the database, or a file beside it that belongs to it, is a mount point.
    """
    mounted = mount_points(_mountinfo())
    for name in (f"{path}{suffix}" for suffix in ("", "-wal", "-shm", "-lock", "-next")):
        if name in mounted:
            raise AiomemdbError(
                f"{name} was mounted alone, so that the database, its log and its lock files are not shared together: "
                "writes would be lost; mount the folder, not the file (docker -v ./folder:/data)"
            )


def _mountinfo() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


# -- network file systems ----------------------------------------------------------------------------------------

# As /proc/self/mountinfo names them. FUSE without a known name may be local (ntfs-3g, mergerfs), and is left in peace.
# fmt: off
_NETWORK_TYPES = frozenset({
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "orangefs", "pvfs2", "smb2", "smb3", "smbfs", "weka", "wekafs",
    "davfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.curlftpfs", "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.goofys", "fuse.juicefs", "fuse.mfs", "fuse.moosefs", "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs",
    "fuse.sshfs",
    # Folders that a virtual machine shares with its host: WSL 2 (9p), Docker Desktop, Podman, OrbStack, VirtualBox,
    # VMware, Parallels. WAL databases were corrupted on them: https://github.com/openclaw/openclaw/issues/120549,
    # https://github.com/NousResearch/hermes-agent/issues/110848
    "drvfs", "fakeowner", "fuse.grpcfuse", "fuse.osxfs", "fuse.virtiofs", "fuse.vmhgfs-fuse", "prl_fs", "vboxsf",
    "virtiofs", "vmhgfs",
})
# fmt: on


def network_file_system(device: int, mountinfo: str) -> str | None:
    """The type of the file system with this ``st_dev``, if its memory or its locks may not reach all its users.

    Args:
        mountinfo: the text of /proc/self/mountinfo (proc_pid_mountinfo(5)): the third field of a line is the device,
            the first behind the dash the type. Devices that it does not name (a btrfs subvolume's) are local ones.
    """
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mountinfo.splitlines():
        fields, dash, behind = line.partition(" - ")
        if dash and fields.split(" ")[2:3] == [wanted]:
            kind = behind.split(" ")[0]
            return kind if kind in _NETWORK_TYPES else None
    return None


def network_file_system_of(status: os.stat_result) -> str | None:
    """``network_file_system`` of a file, by the mounts that the system reports; None where it reports none."""
    return network_file_system(status.st_dev, _mountinfo())


def warn_of_network(path: Path, status: os.stat_result) -> None:
    """Warns of a database on a network file system; says nothing where the system does not report its mounts."""
    if (kind := network_file_system_of(status)) is not None:
        warnings.warn(
            f"{path} lies on a network file system or a shared folder ({kind}): SQLite's write-ahead log needs memory "
            "and locks that reach all programs that have the file open, and there they may not reach other machines: "
            "writes may be lost, the file corrupted; use a local disk (in a container: a volume)",
            RuntimeWarning,
            stacklevel=2,
        )
