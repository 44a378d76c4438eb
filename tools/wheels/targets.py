"""What wheels are built for, and what compilers and pip call it."""

from dataclasses import dataclass

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True)
class Target:
    """A processor and a C library."""

    # As in a wheel's name; what `--platform` takes.
    platform: str
    rust: str
    zig: str
    # Ends the names of compiled modules.
    suffix: str

    @property
    def machine(self) -> str:
        return self.rust.partition("-")[0]


# glibc 2.28 is that of 2018: RHEL 8 and Debian 10 have it.
TARGETS = (
    Target(
        "manylinux_2_28_x86_64",
        "x86_64-unknown-linux-gnu",
        "x86_64-linux-gnu.2.28",
        "x86_64-linux-gnu",
    ),
    Target(
        "manylinux_2_28_aarch64",
        "aarch64-unknown-linux-gnu",
        "aarch64-linux-gnu.2.28",
        "aarch64-linux-gnu",
    ),
    Target(
        "musllinux_1_2_x86_64",
        "x86_64-unknown-linux-musl",
        "x86_64-linux-musl",
        "x86_64-linux-musl",
    ),
)
