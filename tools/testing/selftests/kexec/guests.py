# SPDX-License-Identifier: GPL-2.0
"""The virtual machines that the tests of this folder are run in.

GUESTS is a list of dicts. What a machine is: name, mem, cpus, cpu, qemu (more
arguments), append (words of the kernel's command line). What it is to do: run
(programs with their arguments after colons), expect (how it has to end),
console and never (patterns that one line of its console has to match, and that
none may), boot (true: the initrd has a kernel in /boot), nmi (true: NMIs are
injected from the jump on), timeout (seconds).
When: kernels (release, debug, nocontig, stock, sigforce), soak (true: only in
the long matrix).

The tests only dare what may cost them the machine when the command line says
so, and KEXEC_TEST_DEMANDS names what they must not skip for want of it.
"""

CPU = "max,-erms,-fsrm"			# 5-level page tables, where built
CPU_4LEVEL = f"{CPU},-la57"
DARE = "KEXEC_TEST_DESTRUCTIVE=1"
ALL = ("release", "nocontig", "debug")

# Memory that the kernel is told to leave alone; the firmware's map has it.
HIDDEN = "memmap=64M$0x10000000"
# A memory module that is not in the firmware's map.
DIMM = ("-object", "memory-backend-ram,id=ram1,size=256M",
        "-device", "pc-dimm,id=dimm1,memdev=ram1")

ERRNO = "kexec_load_errno"
# All that needs no special machine
ERRNO_USUAL = f"{ERRNO}:-T:row12_hidden:-T:row12_hot_added"
DEMANDS = "compat,userns,hole,vga,ebda,reserved,all,trace"
FILE_DEMANDS = "file,userns,small,kernel,fuse"

HAS_ERMS = "/bin/grep:-qw:erms:/proc/cpuinfo"
HEX = "0x[0-9a-f]+"


def guest(name, *run, append="", demands="", **keys):
    words = [DARE, append, demands and f"KEXEC_TEST_DEMANDS={demands}"]
    return {"name": name, "run": run, "cpu": CPU, "mem": "1G", "cpus": 2,
            "append": " ".join(filter(None, words)), **keys}


def jump(case, mem="512M", cpus=1, name=None, before=(), **keys):
    """A guest that ends in the payload, which verifies what it finds."""
    return guest(name or f"jump-{case.replace(':', '-')}", *before,
                 f"jump:{case}", mem=mem, cpus=cpus,
                 **{"expect": "payload", **keys})


def file_jump(case, mem="512M", cpus=1, name=None, before="", **keys):
    """The same by kexec_file_load; before is a program that starts it."""
    return guest(name or f"file-jump-{case.replace(':', '-')}",
                 f"{before}file_jump:{case}", mem=mem, cpus=cpus,
                 **{"expect": "payload", **keys})


def exception(case, vector, rip=HEX, error="0x0", cr2=HEX):
    """A jump that goes wrong: one line on the console, and a reset."""
    return jump(case, expect="reset", console=(
        f"^kexec: exception 0x{vector:x}, RIP {rip}, "
        f"error code {error}, CR2 {cr2}: resetting$"))


#
# What the calls answer
#

ANSWERS = [
    guest("errno", ERRNO_USUAL, demands=f"{DEMANDS},free"),
    guest("errno-stock", ERRNO_USUAL, "kexec_file_errno", "kexec_file_read",
          "kexec_limits:-f:limit", timeout=600, boot=True,
          demands=f"{DEMANDS},{FILE_DEMANDS},la57,free", kernels=("stock",),
          expect="old"),
    guest("errno-debug", ERRNO_USUAL, demands=DEMANDS, mem="2G",
          timeout=300, kernels=("debug",)),
    guest("errno-nocontig", ERRNO_USUAL, demands=DEMANDS,
          kernels=("nocontig",)),
    guest("errno-hidden", f"{ERRNO}:-t:row12_hidden", append=HIDDEN,
          demands="hidden"),
    guest("errno-mem", f"{ERRNO}:-t:row12_hidden", append="mem=600M",
          demands="hidden"),
    # A 32-bit caller does not reach all of this memory.
    guest("errno-6g", f"{ERRNO_USUAL}:-V:compat", mem="6G", cpus=4,
          demands=DEMANDS, timeout=300, soak=True),
    guest("log", "kexec_log", demands="file", mem="1G", timeout=180,
          kernels=("release", "debug")),
    guest("trace", "kexec_trace", demands="file",
          kernels=("release", "debug")),
    guest("limits", "kexec_limits:-f:limit"),
    guest("disabled", "kexec_limits:-f:disabled"),
    guest("lockdown", "kexec_policy", demands="lockdown,ima"),
    guest("ima", "kexec_policy:-f:ima", demands="lockdown,ima"),
]

# In /boot is the kernel whose header gets mistakes.
FILES = [
    guest("file-errno", "kexec_file_errno", boot=True,
          demands=f"{FILE_DEMANDS},la57,free"),
    guest("file-read", "kexec_file_read", demands=FILE_DEMANDS),
    guest("file-errno-debug", "kexec_file_errno", boot=True, mem="2G",
          demands=FILE_DEMANDS, timeout=300, kernels=("debug",)),
    guest("file-read-debug", "kexec_file_read", mem="2G",
          demands=FILE_DEMANDS, timeout=300, kernels=("debug",)),
    guest("file-nocontig", "kexec_file_errno", "kexec_file_read", boot=True,
          demands=f"{FILE_DEMANDS},la57", kernels=("nocontig",)),
]

# In /boot are a signed kernel, and what else there is to signatures.
POLICY = "kexec_file_policy"
SIG_KERNELS = ("release", "stock")
SIGNED = [
    guest("sig", "kexec_file_sig", boot=True, demands="file,signed",
          kernels=(*SIG_KERNELS, "debug"), timeout=180),
    guest("sig-lockdown", "kexec_file_sig", boot=True, kernels=SIG_KERNELS,
          append="lockdown=integrity", demands="file,signed,lockdown"),
    guest("sigforce", "kexec_file_sig", boot=True, kernels=("sigforce",),
          demands="file,signed,sigforce"),
    guest("sigforce-lockdown", "kexec_file_sig", boot=True,
          append="lockdown=integrity", kernels=("sigforce",),
          demands="file,signed,sigforce,lockdown"),
    guest("file-ima", f"{POLICY}:-F:loadpin", boot=True,
          demands="file,signed,ima,lockdown",
          kernels=(*SIG_KERNELS, "debug")),
    guest("file-loadpin", f"{POLICY}:-f:loadpin", append="loadpin.enforce=1",
          demands="file,loadpin", kernels=(*SIG_KERNELS, "debug")),
]

#
# What is started
#

JUMPS = [
    # Every size of machine, number of CPUs and kind of page tables, KASLR on
    # and off: not each with each, but each several times.
    jump("single", cpu=CPU_4LEVEL),
    jump("page", cpus=4, append="nokaslr"),
    jump("sixteen", mem="2G", append="no5lvl"),
    jump("backwards", cpus=4, append="nokaslr"),
    jump("shuffled", mem="2G", cpus=4, cpu=CPU_4LEVEL),
    jump("touching", append="nokaslr"),
    jump("page0", mem="2G", cpus=4),
    jump("mib1", append="nokaslr", demands="home"),
    jump("kernel", cpus=4, kernels=ALL),
    jump("kernel", mem="6G", cpu=CPU_4LEVEL, append="nokaslr",
         name="jump-kernel-6g"),
    jump("allocator", cpu=CPU_4LEVEL, demands="home"),
    jump("allocator:300M", mem="2G", cpus=4, name="jump-allocator-2g",
         kernels=("release", "nocontig")),
    jump("allocator:600M", mem="6G", name="jump-allocator-6g",
         demands="home"),
    jump("top", mem="6G", cpus=4),
    jump("above_4g", mem="6G", cpu=CPU_4LEVEL, kernels=("release", "debug")),
    jump("zero_tail", cpus=4, append="no5lvl", kernels=ALL),
    jump("zero_only", mem="2G"),
    jump("zero_over_allocator", cpus=4, kernels=("release", "nocontig")),
    jump("zero_over_allocator", mem="6G", name="jump-zero_over_allocator-6g"),
    jump("flood", append="nokaslr"),
    jump("big:900M", mem="2G", cpus=4, name="jump-900m"),
    # With ERMS the stub moves by string instructions, else by a loop
    jump("kernel", mem="2G", cpus=4, cpu="max",
         name="jump-kernel-rep", before=(HAS_ERMS,)),
    jump("big:300M", mem="1G", cpu="max", kernels=("nocontig",),
         name="jump-300m-rep", before=(HAS_ERMS,)),
    # One segment of more than 2 GiB
    jump("at:0x110235000:2304M", mem="6G", cpus=4, name="jump-2304m",
         timeout=300),
    jump("memsz0"),
    jump("hidden", append=HIDDEN, cpu=CPU_4LEVEL, kernels=("release", "debug")),
    jump("entry_outside", cpus=4),
    jump("entry_hidden", append=HIDDEN),
    jump("replaced", mem="2G", cpus=4),
    jump("survivor", kernels=("release", "debug")),
    jump("disabled"),
    jump("random:1", mem="2G", cpus=4, kernels=ALL),
    jump("random:2", append="nokaslr no5lvl"),
    jump("random:3", mem="6G", cpus=4, append="nokaslr"),
    # Memory that came later: a destination, and where the payload runs
    jump("above_4g:100M", name="jump-hot-added",
         before=(f"{ERRNO}:-t:row12_hot_added",), mem="1G,slots=2,maxmem=4G",
         qemu=DIMM, append="memhp_default_state=online", demands="hotplug"),
    # The event of the jump itself, on the console
    jump("page", name="jump-traced",
         append="tp_printk trace_event=kexec:kexec_jump",
         console=r"kexec_jump: type=default entry=0x[0-9a-f]+ move=\d+"),
    # NMIs while it moves
    jump("hidden:256M", name="jump-nmi", mem="2G", cpus=4, nmi=True,
         append="memmap=256M$0x30000000"),
    jump("hidden:256M", name="jump-nmi-no-apic", mem="2G", nmi=True,
         append="memmap=256M$0x30000000 nolapic"),
]

EXCEPTIONS = [
    exception("fault_ud", 6, rip=f"{HEX}800"),
    exception("fault_de", 0, rip=f"{HEX}820"),
    exception("fault_pf", 14, rip=f"{HEX}840", error="0x2",
              cr2="0x200000123456"),
    exception("fault_gp", 13, rip=f"{HEX}860"),
    exception("fault_stack", 14, rip=f"{HEX}883", error="0x2",
              cr2="0x20000012344e"),
    jump("fault_nested", expect="reset", never="^kexec: exception"),
    exception("move_gp", 13),
    exception("move_pf", 14, cr2="0x200000123000"),
]

#
# What is started by kexec_file_load: SIZE:LENGTH are the initrd's and the
# command line's, a z makes an initrd of holes
#

FILE_JUMPS = [
    file_jump("4M:100", kernels=ALL),
    # Every size of machine, number of CPUs and kind of page tables, as above
    file_jump("0:0", cpus=4, cpu=CPU_4LEVEL, name="file-jump-nothing"),
    file_jump("0:none", append="nokaslr", name="file-jump-no-cmdline"),
    file_jump("1:1", cpus=4, append="no5lvl"),
    file_jump("4095:11", mem="2G", append="nokaslr"),
    file_jump("4097:1000", mem="6G", cpus=4, cpu=CPU_4LEVEL),
    # The longest command line that this kernel takes
    file_jump("5001:2047", mem="2G", cpus=4, kernels=ALL),
    file_jump("4M:200", mem="6G", append="nokaslr", name="file-jump-4m-6g"),
    file_jump("300M:100", mem="2G", cpus=4, kernels=("release", "nocontig"),
              timeout=300),
    file_jump("314572801:77", mem="6G", cpu=CPU_4LEVEL, timeout=300,
              name="file-jump-300m-6g"),
    # Most of this machine's memory, in a file that takes none
    file_jump("850Mz:100", mem="1G", cpus=2, timeout=300),
    # Kernels that want other things
    file_jump("4M:100:kernel=14M:setup=63:bss=20M", mem="1G", cpus=2,
              kernels=ALL, name="file-jump-large-kernel"),
    file_jump("4M:100:kernel=1M:setup=8:pref=0x5000000:align=0x1000000",
              cpus=4, name="file-jump-aligned"),
    file_jump("1M:100:kernel=1G", mem="6G", cpus=2, timeout=300,
              name="file-jump-kernel-1g", append="nokaslr"),
    file_jump("4M:100:setup=0", name="file-jump-four-sectors"),
    file_jump("4M:100:flags=0x10", cpus=4, name="file-jump-moved"),
    file_jump("4M:100:flags=0x28", name="file-jump-debug-dtb"),
    # The event of the jump itself, on the console
    file_jump("1M:100", name="file-jump-traced",
              append="tp_printk trace_event=kexec:kexec_jump",
              console=r"kexec_jump: type=default entry=0x[0-9a-f]+ move=\d+"),
    # More entries of the memory map than boot_params has room for
    file_jump("4M:100:entries=129", before="long_map:", cpus=2, boot=True,
              name="file-jump-long-map", timeout=180),
    # Damage: seen by reboot(2), which goes on, or by the stub, which does not
    file_jump("4M:100:eio", cpus=4, kernels=("release", "debug"),
              name="file-jump-eio", timeout=300),
    file_jump("4M:100:damage", cpus=2, kernels=ALL, name="file-jump-damage",
              expect="reset", timeout=300, console=(
                  f"^kexec: segment {HEX} damaged: xxh64 {HEX}, "
                  f"expected {HEX}: resetting$")),
]

#
# What goes wrong, and what is kept up for long
#

TROUBLES = [
    jump("loaded", name="damage", before=("kexec_damage",), cpus=2,
         kernels=("release", "debug")),
    jump("loaded", name="stress", before=("kexec_stress",), mem="1G", cpus=2,
         demands="file", timeout=300),
    jump("loaded", name="stress-debug", before=("kexec_stress",), mem="1G",
         cpus=2, demands="file", timeout=1200, kernels=("nocontig", "debug"),
         soak=True),
    jump("loaded", name="faultinj", before=("kexec_faultinj",), mem="2G",
         cpus=2, demands="faultinj,file", timeout=1200, kernels=("debug",)),
    # A guest that ends by itself is searched for leaks.
    guest("faultinj-leaks", "kexec_faultinj:-t:few_pages:-t:file:-t:file_moved",
          mem="2G", demands="faultinj,file", timeout=600, kernels=("debug",)),
]


def long_matrix():
    """Everything with everything; on the debug kernel, which takes much longer,
    every fifth guest: as 5 and 6 have no divisor in common, these meet all six
    pairs of a size and a number of CPUs."""
    cases = ("sixteen", "shuffled", "touching", "page0", "mib1", "kernel",
             "allocator:200M", "top", "zero_tail", "zero_over_allocator",
             "flood", "entry_outside", "survivor", "random:10", "random:11")
    usual = ("release", "nocontig")
    n = 0
    for case in cases:
        for mem in ("512M", "2G", "6G"):
            for cpus in (1, 4):
                n += 1
                yield jump(case, mem=mem, cpus=cpus, timeout=300,
                           name=f"soak-{case.replace(':', '-')}-{mem}-{cpus}",
                           cpu=CPU if n % 2 else CPU_4LEVEL,
                           append="nokaslr" if n // 2 % 2 else "",
                           kernels=usual if n % 5 else ALL, soak=True)
    for seed in range(100, 140):
        yield jump(f"random:{seed}", mem=("512M", "2G", "6G")[seed % 3],
                   cpus=(1, 4)[seed % 2], timeout=300,
                   kernels=usual if seed % 5 else ALL, soak=True)


GUESTS = [*ANSWERS, *FILES, *SIGNED, *JUMPS, *FILE_JUMPS, *EXCEPTIONS,
          *TROUBLES, *long_matrix()]
