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
    Mutant(
        rule="zstd data ends where a frame does",
        function="ZstdStream.finish",
        old="if self._frame is not None:",
        new="if False:",
        tests=(
            "test_a_frame_is_not_complete_before_its_last_byte",
            f"{BROKEN_INPUT}[absent-zstd cut short under a true digest]",
        ),
    ),
    Mutant(
        rule="a window of zstd has a limit",
        function="ZstdStream.__init__",
        old="max_window_size=MAX_WINDOW",
        new="max_window_size=2**31",
        tests=("test_a_larger_window_is_refused",),
    ),
    Mutant(
        rule="little zstd data is decompressed at a time",
        function="ZstdStream.feed",
        old="range(0, len(data), _SLICE):\n            behind = data[start : start + _SLICE]",
        new="[0]:\n            behind = data",
        tests=("test_what_comes_out_at_a_time_is_bounded_whatever_the_ratio",),
    ),
    Mutant(
        rule="all frames of a slice are decompressed",
        function="ZstdStream.feed",
        old="behind = frame.unused_data",
        new="behind = b''",
        tests=("test_a_stream_is_complete_at_the_end_of_its_last_frame",),
    ),
    Mutant(
        rule="no cycle of references keeps a window",
        function="ZstdStream.__init__",
        old='self._head = b""',
        new='self._head, self._own = b"", self',
        tests=(
            "test_a_window_is_freed_when_the_layer_has_passed_though_the_check_is_kept",
            "test_the_windows_of_sixty_layers_do_not_add_up",
        ),
    ),
    Mutant(
        rule="an error in a layer keeps no window",
        function="DiffIdCheck.update",
        old="error.__traceback__ = error.__context__ = self._decompressor = None",
        new="pass",
        tests=("test_a_window_is_freed_when_the_layer_has_passed_though_the_check_is_kept",),
    ),
)
