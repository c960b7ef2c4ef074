#!/bin/sh
# strace 6.1 (Debian 12): with --seccomp-bpf an injected signal is not delivered, without a word, while
# an injected error is. A test that kills a program at a system call in this way passes and tests
# nothing.
# Needs: strace, the right to trace.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
strace --version | head -n 1
status=0
strace -f -o /dev/null -e trace=mkdir -e inject=mkdir:signal=SIGKILL mkdir plain || status=$?
echo "without --seccomp-bpf: exit status $status, $(ls -d plain 2>/dev/null || echo nothing) made"
fast=0
strace -f --seccomp-bpf -o /dev/null -e trace=mkdir -e inject=mkdir:signal=SIGKILL mkdir fast || fast=$?
echo "with --seccomp-bpf: exit status $fast, $(ls -d fast 2>/dev/null || echo nothing) made"
if [ "$status" -ne 0 ] && [ "$fast" -eq 0 ] && [ -d fast ]; then
    echo "seen: the signal is lost"
else
    echo "changed: both are killed, or neither"
    exit 1
fi
