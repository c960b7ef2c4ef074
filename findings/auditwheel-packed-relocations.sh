#!/bin/sh
# auditwheel 6.8.2: a wheel whose extension module has packed relative relocations (DT_RELR) and
# imports nothing from the C library is called manylinux_2_5, though no glibc before 2.36 applies
# those relocations. Policies are made of symbol versions; the dynamic tag DT_RELR has none, and GNU
# ld writes its mark GLIBC_ABI_DT_RELR only beside other versions of glibc.
# Needs: Linux on x86-64, gcc with GNU ld 2.38 or later, python3 with venv, readelf.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv venv
venv/bin/pip install --quiet auditwheel==6.8.2 wheel==0.45.1

mkdir -p tree/x-1.dist-info
printf 'static int a; int *x[] = {&a, &a, &a};\n' > x.c
gcc -shared -fPIC -nostdlib -Wl,-z,pack-relative-relocs -o tree/x.so x.c
printf 'Metadata-Version: 2.1\nName: x\nVersion: 1\n' > tree/x-1.dist-info/METADATA
printf 'Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n' > tree/x-1.dist-info/WHEEL
: > tree/x-1.dist-info/RECORD
venv/bin/python -m wheel pack -d . tree > pack.log

readelf --dynamic --wide tree/x.so | grep -q '(RELR)' || { echo "the linker packed nothing: nothing was tried"; exit 2; }
venv/bin/auditwheel show x-1-py3-none-linux_x86_64.whl > shown
venv/bin/pip list 2>/dev/null | grep -i auditwheel
cat shown
if tr '\n' ' ' < shown | grep -q 'manylinux_2_5_x86_64'; then
    echo "seen: packed relative relocations do not count"
else
    echo "changed: auditwheel takes packed relative relocations into account"
    exit 1
fi
