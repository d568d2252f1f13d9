"""Mutants of the checks on layers and their compression."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

BROKEN_INPUT = "test_a_broken_input_has_its_status_and_leaves_the_target_alone"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        rule="a layer that no other library can decompress is refused",
        function="_Streams._continue",
        old="""raise VerificationError(f"its {self._name} data is damaged ({error})") from None""",
        new="self._has_garbage = True",
        tests=(f"{BROKEN_INPUT}[absent-a gzip layer with an incomplete Huffman code]",),
    ),
    Mutant(
        rule="a layer that differs from its diff_id is refused",
        function="Downloads._check_contents",
        old="if contents.diff_id != layer.diff_id:",
        new="if contents.diff_id.algorithm != layer.diff_id.algorithm:",
        tests=(f"{BROKEN_INPUT}[absent-a wrong diff_id]",),
    ),
)
