"""The elf check, of what the interpreter offers: foreign symbols are found in real executables."""

from __future__ import annotations

import re
from pathlib import Path

from pythons import EXECUTABLE, GUARDS, LIBRARY, compile_c

from contain_python.checks.elf import check
from contain_python.elf_symbols import exported
from contain_python.rules import OWN_SYMBOLS, Rules
from contain_python.subject import Subject

#: The C library's start files offer data_start as well.
RULES = Rules(exports=(*OWN_SYMBOLS, "data_start"))

#: With names of CPython's, as every interpreter offers them.
SOURCE = """
#include <string.h>
int Py_Offered(void) { return 1; }
int _Py_Offered(void) { return 1; }
HIDDEN int foreign(void) { return 1; }
int main(int count, char **words) {
    char buffer[16];
    strcpy(buffer, words[0]);
    return buffer[count] + foreign();
}
"""
HIDDEN = '__attribute__((visibility("hidden")))'


def offering(subject: Subject, *flags: str, source: str = SOURCE, word: str = "") -> Subject:
    """Give a prefix an interpreter that offers all it has; `word` is put before what is foreign."""
    compile_c(
        subject.executable,
        *GUARDS,
        *EXECUTABLE,
        "-rdynamic",
        f"-DHIDDEN={word}",
        *flags,
        source=source,
    )
    return subject


def offences(subject: Subject, rules: Rules = RULES) -> list[tuple[str, str]]:
    """Return where and what is found."""
    return [(one.where, one.what) for one in check(subject, rules).findings]


def test_foreign_symbol(bare: Subject) -> None:
    """A symbol that is not CPython's is an error at the executable, with reason and remedy."""
    subject = offering(bare)
    assert offences(subject) == [("bin/python3.13", "offers 1 symbol of others: foreign")]
    (finding,) = check(subject, RULES).findings
    assert finding.level == "error"
    assert "wheel" in finding.why
    assert "-fvisibility=hidden" in finding.remedy


def test_hidden_symbol(bare: Subject) -> None:
    """The same symbol, hidden, is no error; CPython's own names are none."""
    subject = offering(bare, word=HIDDEN)
    assert {"Py_Offered", "_Py_Offered"} <= set(exported(subject.executable))
    assert offences(subject) == []


def test_many_foreign_symbols(bare: Subject) -> None:
    """Of many symbols the number is told, and the first three."""
    more = "".join(f"int other{number}(void) {{ return 1; }}\n" for number in range(5))
    ((_, what),) = offences(offering(bare, source=more + SOURCE, word=HIDDEN))
    assert what.startswith("offers 5 symbols")
    assert len(re.findall(r"\bother\d", what)) == 3


def test_nobody_asked(bare: Subject) -> None:
    """Without a rule an interpreter may offer whatever it likes."""
    assert offences(offering(bare), Rules()) == []


def test_library_of_the_interpreter(bare: Subject) -> None:
    """What the executable loads from its prefix is judged as a part of it, an extension is not."""
    library = compile_c(
        bare.root / "lib/libpython3.13.so.1.0",
        *LIBRARY,
        "-Wl,-soname,libpython3.13.so.1.0",
        source="int Py_More(void) { return 1; }\nint foreign_too(void) { return 1; }\n",
    )
    compile_c(bare.root / "lib/extension.so", *LIBRARY, source="int f(void) { return 1; }")
    offering(bare, "-Wl,--no-as-needed", str(library), "-Wl,-rpath,$ORIGIN/../lib", word=HIDDEN)
    assert offences(bare) == [
        (
            "lib/libpython3.13.so.1.0",
            "offers 1 symbol of others: foreign_too",
        )
    ]


def test_library_beside_the_interpreter(bare: Subject) -> None:
    """libpython is judged although the executable has all of it inside, and asks for none."""
    compile_c(
        bare.root / "lib/libpython3.13.so.1.0",
        *LIBRARY,
        "-Wl,-soname,libpython3.13.so.1.0",
        source="int Py_More(void) { return 1; }\nint foreign_too(void) { return 1; }\n",
    )
    offering(bare, word=HIDDEN)
    assert offences(bare) == [
        ("lib/libpython3.13.so.1.0", "offers 1 symbol of others: foreign_too")
    ]


def test_what_a_file_offers(bare: Subject, tmp_path: Path) -> None:
    """What is taken from others, or is no ELF file, offers nothing."""
    subject = offering(bare)
    assert "foreign" in set(exported(subject.executable))
    assert not {"strcpy", "__libc_start_main"} & set(exported(subject.executable))
    plain = tmp_path / "plain"
    plain.write_text("foreign")
    assert list(exported(plain)) == []


def test_names_of_the_c_library(bare: Subject) -> None:
    """What the start files bring, and what the linker copied out of libc, is not ours."""
    uses = f"#include <stdio.h>\nFILE *Py_Stream(void) {{ return stderr; }}\n{SOURCE}"
    subject = offering(bare, source=uses, word=HIDDEN)
    assert offences(subject, Rules(exports=OWN_SYMBOLS)) == []
