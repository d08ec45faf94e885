"""A private CA, made anew for the tests: certificates that are good, and some that are not."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
"""All that the certificates stand for: ``localhost`` is another name."""

PRIVATE = 0o600


class Authority:
    """A CA with its certificate in a file."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        certificate = self._signed(self._name, self._key, days=(-1, 1), is_ca=True)
        self.file = self._write(f"{name}.crt", certificate.public_bytes(_PEM))

    def issue(self, name: str, *, expired: bool = False) -> tuple[Path, Path]:
        """Files with a certificate of a server, and with its key; the key's file has both."""
        key = ec.generate_private_key(ec.SECP256R1())
        days = (-2, -1) if expired else (-1, 1)
        certificate = self._signed(_named(name), key, days=days, is_ca=False).public_bytes(_PEM)
        private = key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        crt = self._write(f"{name}.crt", certificate)
        return crt, self._write(f"{name}.key", private + certificate)

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int], is_ca: bool
    ) -> x509.Certificate:
        begins, ends = (dt.datetime.now(dt.UTC) + dt.timedelta(days=day) for day in days)
        place = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(place, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _write(self, name: str, content: bytes) -> Path:
        file = self._folder / name
        file.touch(PRIVATE)
        file.write_bytes(content)
        return file


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


_PEM = serialization.Encoding.PEM
