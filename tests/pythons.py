"""Small real Pythons to judge and to damage, and C compiled with the flags a test chooses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from contain_python.subject import Subject

#: Where the small Python claims to have been configured; none of its files mentions it.
CONFIGURED = "/opt/built/python"

#: Large, or the distribution's own: not needed to judge a Python.
_LEFT_OUT = (
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "site-packages",
    "dist-packages",
    "config-3*",
    "sitecustomize.py",
    "__pycache__",
    "EXTERNALLY-MANAGED",
    "_sysconfigdata*",
)

_FACTS = """
import json, sys, sysconfig
print(json.dumps([f"{sys.version_info[0]}.{sys.version_info[1]}",
                  sysconfig.get_path("stdlib"), sysconfig._get_sysconfigdata_name(),
                  sysconfig.get_config_var("WHEEL_PKG_DIR")]))
"""

#: Enough of Python.h for the extension module that the checks build (stable since 3.8).
_HEADER = """\
#include <stddef.h>
typedef struct { ptrdiff_t count; void *type; } PyObject;
typedef struct { const char *n; PyObject *(*f)(PyObject *, PyObject *); int g; const char *d; }
    PyMethodDef;
struct PyModuleDef {
    struct { PyObject ob; PyObject *(*init)(void); ptrdiff_t index; PyObject *copy; } base;
    const char *name, *doc; ptrdiff_t size; PyMethodDef *methods; void *s, *t, *c, *f;
};
#define PyModuleDef_HEAD_INIT {{1, NULL}, NULL, 0, NULL}
#define PyMODINIT_FUNC PyObject *
#define METH_NOARGS 4
PyObject *PyLong_FromLong(long);
void Py_Initialize(void);
int Py_FinalizeEx(void);
PyObject *PyModule_Create2(struct PyModuleDef *, int);
#define PyModule_Create(module) PyModule_Create2(module, 1013)
"""

_VARIABLES = """\
build_time_vars = {
    "CC": "gcc", "AR": "ar", "LDSHARED": "gcc -shared", "CFLAGS": "-O1", "CCSHARED": "-fPIC",
    "CXX": "g++", "LDCXXSHARED": "g++ -shared", "ARFLAGS": "rcs", "SHLIB_SUFFIX": ".so",
    "EXT_SUFFIX": ".so", "WHEEL_PKG_DIR": None, "prefix": "/opt/built/python",
}
import sys
build_time_vars["prefix"] = sys.base_prefix
"""

_CONFIG_SCRIPT = """\
#!/bin/sh
prefix=$(dirname "$(dirname "$(readlink -f "$0")")")
case $1 in
  --prefix|--exec-prefix) echo "$prefix" ;;
  --includes|--cflags) echo "-I$prefix/include/python{series}" ;;
  --configdir) echo "$prefix/lib" ;;
  --embed) echo "no libpython" >&2; exit 1 ;;
  *) echo ;;
esac
"""

_PKG_CONFIG = """\
prefix=${pcfiledir}/../..
includedir=${prefix}/include
Name: Python
Cflags: -I${includedir}
"""


def make_python(prefix: Path) -> Subject:
    """Copy the distribution's interpreter and standard library into a whole small prefix."""
    system = Path("/usr/bin/python3")
    base = str(system if system.exists() else sys._base_executable)  # type: ignore[attr-defined]
    asked = subprocess.run([base, "-c", _FACTS], capture_output=True, text=True, check=True)
    series, stdlib, data_name, wheels = json.loads(asked.stdout)
    target = prefix / "lib" / f"python{series}"
    ignore = shutil.ignore_patterns(*_LEFT_OUT)
    shutil.copytree(stdlib, target, ignore=ignore, copy_function=shutil.copyfile)
    for name in ("", "bin", "include", "lib/pkgconfig", f"include/python{series}"):
        (prefix / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    executable = prefix / "bin" / f"python{series}"
    shutil.copy(os.path.realpath(base), executable)
    (prefix / "bin" / "python3").symlink_to(executable.name)
    script(prefix / "bin" / f"python{series}-config", _CONFIG_SCRIPT.replace("{series}", series))
    (prefix / "include" / f"python{series}" / "Python.h").write_text(_HEADER)
    (prefix / "lib" / "pkgconfig" / "python3.pc").write_text(_PKG_CONFIG)
    (target / f"{data_name}.py").write_text(_VARIABLES.replace("None", repr(wheels)))
    version = subprocess.run([base, "-V"], capture_output=True, text=True, check=True).stdout
    for path in (prefix, *prefix.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return Subject(
        root=prefix,
        executable=executable,
        series=series,
        version=version.split()[1],
        stdlib=target,
        flavour=None,
        configured_prefix=CONFIGURED,
        build_paths=("/build/somewhere",),
    )


def script(path: Path, text: str) -> Path:
    """Write an executable script."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def replace_text(path: Path, text: str) -> None:
    """Give a hard-linked file its own new content."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o644)


def compile_c(target: Path, *flags: str, source: str = "int main(void) { return 0; }") -> Path:
    """Compile one C source with exactly these flags, and return the result."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-x", "c", "-", "-x", "none", "-o", str(target), *flags]
    subprocess.run(command, input=source, text=True, check=True, capture_output=True)
    return target


#: How an executable and a library should be linked.
GOOD = ("-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack")
EXECUTABLE = ("-fPIE", "-pie", *GOOD)
LIBRARY = ("-shared", "-fPIC", *GOOD)

#: Code that a stack protector guards, and that FORTIFY checks.
GUARDED = """
#include <string.h>
int main(int count, char **words) {
    char buffer[16];
    strcpy(buffer, words[0]);
    return buffer[count];
}
"""
GUARDS = ("-O2", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2")


def elf_subject(root: Path) -> Subject:
    """Return a prefix that holds one well-built executable and nothing else."""
    executable = compile_c(root / "bin" / "python3.13", *GUARDS, *EXECUTABLE, source=GUARDED)
    stdlib = root / "lib" / "python3.13"
    stdlib.mkdir(parents=True)
    return Subject(
        root=root,
        executable=executable,
        series="3.13",
        version="",
        stdlib=stdlib,
        flavour=None,
        configured_prefix=CONFIGURED,
        build_paths=("/build/somewhere",),
    )
