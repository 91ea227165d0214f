# SPDX-License-Identifier: GPL-2.0
"""Which tests of kexec_load_errno and kexec_file_errno fail on the 6.12 that this
kexec replaces.

They are about what the manual page lists under VERSIONS. Run against that
kernel, built from the same config (KEXEC, KEXEC_FILE and IA32_EMULATION on;
KEXEC_JUMP and CRASH_DUMP off), exactly these fail; here, none.
"""

# By both system calls
_BOTH = """
row4b_debug row4b_debug_when_unloading
row10_before_row13 row10_before_row14
row12_hole row12_hole_in_a_later_segment row12_zeros_in_a_hole row12_edge
row12_bridge row12_local_apic row12_io_apic
row12_before_row13 row12_before_row14
row13_memsz0_inside
row15b_crash_load row15b_crash_unload
row16_all_of_memory row16_a_little_too_much row16_before_row17
row16_more_than_half row16_zeros_take_no_memory
accepted_memsz0_at_0
"""

# By kexec_file_load
_FILE = """
row2b_no_cma row2b_force_dtb
row4_crash_unload
row9_more_than_half
row11_senseless_header row11_truncated
row11_truncated_before_row13 row11_truncated_before_row14
row14_as_the_header_says row14_empty_only row14_very_long row14_before_row15
row17_no_crash_region
accepted_all_flags
"""

NEW = frozenset(
    [f"load.{call}.{name}" for call in ("native", "compat")
     for name in _BOTH.split()] +
    [f"file.{name}" for name in _FILE.split()] + """
load.compat.row7_no_array
load.compat.row7_before_row8
native.row4_flags_of_32_bits_and_more
native.row12_above_all_memory
native.row18_killed
compat.row6_other_architecture
compat.row6_other_architecture_when_unloading
compat.row6_before_row7
compat.row7_array_cut_short
real.row11_truncated
real.row14_as_the_header_says
""".split())


def judge(failed):
    """What is wrong with this set of failed tests on the old kernel."""
    return ([f"{name} should fail there and does not"
             for name in sorted(NEW - set(failed))] +
            [f"{name} fails there and should not"
             for name in sorted(set(failed) - NEW)])
