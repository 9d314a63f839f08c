"""The tables of ITU-T T.81 Annex K that RFC 2435 refers to, in zigzag order as a DQT and a DHT segment hold them."""

from __future__ import annotations

from functools import lru_cache

_LUMINANCE_QUANTIZER = bytes([
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
    26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
    56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
    95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
])  # fmt: skip
_CHROMINANCE_QUANTIZER = bytes([
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99,
]) + bytes([99]) * 48  # fmt: skip

# Huffman tables: how many codes there are of each length 1 to 16, then their values.
_AC_LUMINANCE_VALUES = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f0"
    "2433627282090a161718191a25262728292a3435363738393a43444546474849"
    "4a535455565758595a636465666768696a737475767778797a83848586878889"
    "8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5"
    "c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8"
    "f9fa"
)
_AC_CHROMINANCE_VALUES = bytes.fromhex(
    "000102031104052131061241510761711322328108144291a1b1c109233352f0"
    "156272d10a162434e125f11718191a262728292a35363738393a434445464748"
    "494a535455565758595a636465666768696a737475767778797a828384858687"
    "88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3"
    "c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8"
    "f9fa"
)
DC_LUMINANCE = bytes.fromhex("00010501010101010100000000000000") + bytes(range(12))
AC_LUMINANCE = bytes.fromhex("0002010303020403050504040000017d") + _AC_LUMINANCE_VALUES
DC_CHROMINANCE = bytes.fromhex("00030101010101010101010000000000") + bytes(range(12))
AC_CHROMINANCE = bytes.fromhex("00020102040403040705040400010277") + _AC_CHROMINANCE_VALUES


@lru_cache(maxsize=99)
def quantizers(quality: int) -> tuple[bytes, bytes]:
    """(luminance, chrominance) for a Q of 1 to 99 (RFC 2435 §4.2): 64 bytes each."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luminance, chrominance = (
        bytes(min(max((value * scale + 50) // 100, 1), 255) for value in table)
        for table in (_LUMINANCE_QUANTIZER, _CHROMINANCE_QUANTIZER)
    )
    return luminance, chrominance


@lru_cache(maxsize=1)
def _qualities() -> dict[tuple[bytes, bytes], int]:
    return {quantizers(quality): quality for quality in range(99, 0, -1)}


def quality_of(tables: tuple[bytes, bytes]) -> int | None:
    """The Q of 1 to 99 whose tables these are; None when there is none."""
    return _qualities().get(tables)
