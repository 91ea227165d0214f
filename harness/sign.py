#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Test keys, and kernels signed with them.

There are three, each with a certificate of its own. TRUSTED's is built into the
kernels, OTHER's is not; IMA's is signed by TRUSTED, as the keyring .ima wants it.
They are made once and kept in the cache folder, so that what has the certificate
in it need not be built again.

    sign.py KEY KERNEL OUTPUT
"""

import shutil
import ssl
import struct
import subprocess
from pathlib import Path

from common import CACHE, Failure, locked, main

KEYS = CACHE / "keys"
TRUSTED, OTHER, IMA = "trusted", "other", "ima"
DAYS = 36500
CONFIG = """
[req]
distinguished_name = name
x509_extensions = extensions
[name]
[extensions]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
basicConstraints = critical, CA:{ca}
keyUsage = critical, digitalSignature{usage}
"""
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

# In a PE file: where the header's offset is, and from there the entry of the
# optional header that says where signatures lie.
PE_OFFSET, CERTIFICATES = 0x3c, 0xa8


# In a certificate: what its subject's key identifier comes behind.
KEY_ID = bytes.fromhex("0603551d0e04160414")

# struct signature_v2_hdr of IMA: type, version, hash, key, size
IMA_HEADER = ">BBBIH"
DIGSIG, VERSION, SHA256 = 3, 2, 4


def command(*argv):
    argv = [str(arg) for arg in argv]
    if not shutil.which(argv[0]):
        raise Failure(f"{argv[0]} is missing: make deps")
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failure(f"{argv[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def make_key(path):
    """An issuer of its own, or for IMA, which wants none, a key of TRUSTED."""
    issued = path.stem == IMA
    config, new, crt = (path.with_suffix(f".{suffix}")
                        for suffix in ("cnf", "new", "crt"))
    config.write_text(CONFIG.format(ca="FALSE" if issued else "TRUE",
                                    usage="" if issued else ", keyCertSign"))
    issuer = ["-CA", key(TRUSTED), "-CAkey", key(TRUSTED)] if issued else []
    command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
            "-sha256", "-days", DAYS, "-subj", f"/CN=kexec test, {path.stem}",
            "-config", config, "-keyout", new, "-out", crt, *issuer)
    with open(new, "a") as file:
        file.write(crt.read_text())
    new.rename(path)
    crt.unlink()
    config.unlink()


def key(name):
    """The file with a private key and its certificate, in PEM form."""
    path = KEYS / f"{name}.pem"
    with locked(KEYS / f".{name}.lock"):
        if not path.exists():
            make_key(path)
    return path


def certificate(name):
    """The certificate alone, in PEM form."""
    _, begin, rest = key(name).read_text().partition(BEGIN)
    body, end, _ = rest.partition(END)
    return f"{begin}{body}{end}\n".encode()


def certificate_der(name):
    return ssl.PEM_cert_to_DER_cert(certificate(name).decode())


def ima_label(name, path):
    """The extended attribute security.ima that says who has signed a file."""
    _, found, rest = certificate_der(name).partition(KEY_ID)
    if not found:
        raise Failure(f"{key(name)} has no key identifier")
    value = command("openssl", "dgst", "-sha256", "-sign", key(name), path)
    keyid, = struct.unpack(">I", rest[16:20])
    return struct.pack(IMA_HEADER, DIGSIG, VERSION, SHA256, keyid,
                       len(value)) + value


def sign(name, kernel, out):
    """Write a signed copy of a kernel; return its path."""
    out.parent.mkdir(parents=True, exist_ok=True)
    command("sbsign", "--key", key(name), "--cert", key(name),
            "--output", out, kernel)
    return out


def signature(signed):
    """The table of signatures at the end of a signed kernel."""
    data = signed.read_bytes()
    header, = struct.unpack_from("<I", data, PE_OFFSET)
    start, size = struct.unpack_from("<II", data, header + CERTIFICATES)
    if not size or start + size != len(data):
        raise Failure(f"{signed}: no signature at the end")
    return data[start:]


def run(args):
    if len(args) != 3:
        raise Failure(__doc__)
    sign(args[0], Path(args[1]), Path(args[2]))


if __name__ == "__main__":
    main(run)
