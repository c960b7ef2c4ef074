"""Hardening of the interpreter, its extension modules and what is bundled (docs/explanation.md)."""

from __future__ import annotations

HARDENING_CFLAGS = (
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    "-U_FORTIFY_SOURCE",
    "-D_FORTIFY_SOURCE=2",
)
HARDENING_LDFLAGS = ("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack")
ARCHITECTURE_CFLAGS = {
    "x86_64": ("-fcf-protection=full", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"),
    "aarch64": ("-mbranch-protection=standard", "-fno-omit-frame-pointer"),
}
