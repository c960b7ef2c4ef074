"""Assemble a root directory of exact files of installed Debian packages, for an image from scratch.

It is run inside the runtime image, by the Python in there: rootfs.py PACKAGES ROOT, where PACKAGES
is a file with a Debian dependency line. Each package leaves its record in var/lib/dpkg/status.d,
where scanners look for the packages of images that have no package manager.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

#: Packages of which something is needed that no dependency line names.
ALSO = (
    "libc-bin",  # usr/lib/locale/C.utf8, the one locale that every program may set
    "base-files",  # etc/os-release, by which scanners know the distribution
    "openssl",  # usr/lib/ssl, where libcrypto looks for its configuration and the authorities
)

#: What of the packages stays out (globs below the root), each for a reason.
LEFT_OUT = (
    ("bin/*", "nothing in there is started by Python; a shell would be"),
    ("sbin/*", "the same"),
    ("usr/bin/*", "the same"),
    ("usr/sbin/*", "the same"),
    ("usr/lib/*/gconv/*", "converters for iconv and locales other than UTF-8; Python has its own"),
    ("usr/lib/*/engines-*/*", "OpenSSL's old plug-ins for hardware"),
    ("usr/lib/*/audit/*", "a debugging aid of the loader"),
    ("usr/lib/ssl/misc/*", "scripts that make certificates"),
    ("usr/share/zoneinfo/posix/*", "each time zone a second time"),
    ("usr/share/zoneinfo/right/*", "and a third, with leap seconds"),
    ("usr/share/bug/*", "for people who report bugs"),
    ("usr/share/info/*", "documentation"),
    ("usr/share/lintian/*", "for people who make packages"),
    ("usr/share/man/*", "documentation"),
    ("etc/apt/*", "there is no package manager"),
    ("etc/dpkg/*", "the same"),
    ("etc/ca-certificates/*", "hooks of a program that is not there"),
    ("etc/init.d/*", "there is no init"),
    ("etc/profile.d/*", "there is no shell"),
    ("etc/update-motd.d/*", "the same"),
)

#: What stays although a glob above matches it.
KEPT = (
    "usr/bin/tini",
    # ctypes.util.find_library asks it, and knows no other way without a compiler's tools.
    "usr/sbin/ldconfig",
    "sbin/ldconfig",
)

OWN_AUTHORITIES = "/usr/local/share/ca-certificates"

#: Of these packages only what these globs match is wanted.
ONLY = {
    "base-files": (
        "etc/debian_version",
        "etc/os-release",
        "usr/lib/os-release",
        "usr/share/doc/base-files/copyright",
    ),
    "libc-bin": (
        "etc/ld.so.conf",
        "usr/lib/locale/C.utf8/*",
        "usr/share/doc/libc-bin/copyright",
    ),
    "openssl": ("etc/ssl/*", "usr/lib/ssl/*", "usr/share/doc/openssl/copyright"),
}

USERS = """\
root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
python:x:10001:10001::/nonexistent:/usr/sbin/nologin
"""
GROUPS = "root:x:0:\nnogroup:x:65534:\npython:x:10001:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def query(*arguments: str) -> str:
    """Return what dpkg-query prints."""
    return subprocess.run(
        ["/usr/bin/dpkg-query", *arguments], check=True, capture_output=True, text=True
    ).stdout


def installed(dependencies: str) -> list[str]:
    """Return the installed packages that a dependency line names, or that provide what it names."""
    names = [_NAME.match(item.strip()) for item in dependencies.split(",")]
    wanted = {match[0] for match in names if match}
    found = set()
    for line in query("--show", "--showformat=${Package}\t${Provides}\n").splitlines():
        package, _, provides = line.partition("\t")
        provided = {match[0] for item in provides.split(", ") if (match := _NAME.match(item))}
        if package in {*wanted, *ALSO} or provided & wanted:
            found.add(package)
    return sorted(found)


def is_wanted(package: str, name: str) -> bool:
    """Return whether a file of a package (its real path below the root) goes into the image."""
    if name in KEPT:
        return True
    if any(fnmatchcase(name, glob) for glob, _ in LEFT_OUT):
        return False
    if package in ONLY:
        return any(fnmatchcase(name, glob) for glob in ONLY[package])
    return not name.startswith("usr/share/doc/") or name.endswith("/copyright")


def real_name(path: str) -> str:
    """Return where a file really stands, below the root; a link at the end is not followed."""
    parent, _, name = path.rpartition("/")
    return f"{os.path.realpath(parent or '/')}/{name}".lstrip("/")


class Root:
    """The root directory that is being assembled."""

    def __init__(self, top: Path) -> None:
        """Begin with the links that merge /bin, /lib and their like into /usr."""
        self.top = top
        self.newest = 0.0
        top.mkdir(mode=0o755)
        for link in sorted(Path("/").iterdir()):
            if link.is_symlink() and not link.readlink().is_absolute() and link.resolve().is_dir():
                self.copy(link)
                self.directory(link.resolve())

    def directory(self, source: Path) -> Path:
        """Make a directory as it is in the running system, with all above it."""
        target = self.top / source.relative_to("/")
        if not target.exists():
            self.directory(source.parent)
            target.mkdir(mode=0o755)
        return target

    def copy(self, source: Path) -> None:
        """Copy a file or a link of the running system to the same place."""
        target = self.directory(source.parent) / source.name
        if not os.path.lexists(target):
            shutil.copy2(source, target, follow_symlinks=False)
            self.newest = max(self.newest, source.lstat().st_mtime)

    def write(self, name: str, text: str) -> None:
        """Write a file that is no package's."""
        target = self.top / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def add(self, package: str) -> int:
        """Add a package's files and its record; return how many files."""
        names = []
        for line in query("--listfiles", package).splitlines():
            name = real_name(line)
            source = Path("/", name)
            # What the image's dpkg was told to leave out is listed too.
            there = source.is_symlink() or source.is_file()
            if there and is_wanted(package, name):
                self.copy(source)
                names.append(name)
        self.write(f"var/lib/dpkg/status.d/{package}", query("--status", package))
        kept = [line for line in md5sums(package) if real_name("/" + line[34:-1]) in names]
        self.write(f"var/lib/dpkg/status.d/{package}.md5sums", "".join(kept))
        return len(names)

    def settle(self) -> None:
        """Give everything that was made here one time: that of the newest file of a package."""
        for folder, folders, files in os.walk(self.top):
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.lstat().st_mtime > self.newest:
                    os.utime(path, (self.newest, self.newest), follow_symlinks=False)
        os.utime(self.top, (self.newest, self.newest))


def owner(path: str) -> str:
    """Return the package that a file belongs to, under any name that a merged /usr gives it."""
    names = {path, os.path.realpath(path)}
    names |= {name.removeprefix("/usr") for name in names} | {f"/usr{name}" for name in names}
    found = subprocess.run(
        ["/usr/bin/dpkg-query", "--search", *sorted(names)],
        check=False,
        capture_output=True,
        text=True,
    ).stdout
    return found.partition(":")[0]


def also_linked(top: Path) -> set[str]:
    """Return the packages of libraries that the libraries in there need, and that are not there.

    Nobody names them: Python does not link what OpenSSL links.
    """
    files = [str(path) for path in sorted(top.rglob("*.so*")) if not path.is_symlink()]
    listed = subprocess.run(["/usr/bin/ldd", *files], check=False, capture_output=True, text=True)
    paths = {line.split()[2] for line in listed.stdout.splitlines() if " => /" in line}
    absent = {path for path in paths if not os.path.lexists(f"{top}/{real_name(path)}")}
    return {owner(path) for path in absent}


def md5sums(package: str) -> list[str]:
    """Return the lines of a package's list of hashes: "MD5  path"."""
    path = query("--control-path", package, "md5sums").strip()
    return Path(path).read_text("utf-8").splitlines(keepends=True) if path else []


def write_cache(top: Path) -> None:
    """Write etc/ld.so.cache, from which ldconfig tells which libraries there are."""
    subprocess.run(["/sbin/ldconfig", "-X", "-r", str(top)], check=True)
    # What ldconfig itself needs to be faster the next time.
    shutil.rmtree(top / "var/cache/ldconfig", ignore_errors=True)


def main() -> None:
    """Assemble it, and tell what is in it."""
    packages, top = Path(sys.argv[1]), Path(sys.argv[2])
    # Whoever runs in the image reads it, whatever umask builds it.
    os.umask(0o022)
    root = Root(top)
    for package in installed(packages.read_text(encoding="utf-8")):
        print(f"{package}: {root.add(package)} files", flush=True)
    for package in sorted(also_linked(top)):
        print(f"{package}: {root.add(package)} files, for another library", flush=True)
    # What packages generate when they are installed belongs to no package.
    for path in sorted(Path("/etc/ssl/certs").glob("*")):
        root.copy(path)
        # An authority of one's own is a link to where update-ca-certificates(8) looks for it.
        if path.resolve().is_relative_to(OWN_AUTHORITIES) and path.exists():
            root.copy(path.resolve())
    if Path("/etc/localtime").is_symlink():
        root.copy(Path("/etc/localtime"))
    root.write("etc/passwd", USERS)
    root.write("etc/group", GROUPS)
    root.write("etc/nsswitch.conf", NSSWITCH)
    write_cache(top)
    (top / "tmp").mkdir()
    (top / "tmp").chmod(0o1777)
    root.settle()


main()
