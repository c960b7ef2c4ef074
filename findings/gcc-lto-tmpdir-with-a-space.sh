#!/bin/sh
# gcc 12.2.0 (Debian 12): a link with -flto=2 where TMPDIR has a space prints errors of make, and ends
# with 0 all the same. lto-wrapper writes a makefile with the names of its temporary files as they are;
# make reads one name as two, and gcc takes no notice of what make failed to do.
# Needs: gcc of Debian 12, make.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
mkdir 'with space'
printf 'int u(void); int main(void) { return u(); }\n' > t.c
printf 'int u(void) { return 0; }\n' > u.c
gcc --version | head -n 1
status=0
TMPDIR="$place/with space" gcc -O2 -flto=2 t.c u.c -o program > said 2>&1 || status=$?
echo "exit status $status, it said:"
sed "s|$place|…|g" said
if [ "$status" -eq 0 ] && grep -q 'Error' said; then
    echo "seen: errors of make, and success"
else
    echo "changed: it fails, or has nothing to complain of"
    exit 1
fi
