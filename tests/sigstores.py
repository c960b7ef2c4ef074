"""A whole Sigstore in miniature: an authority, a certificate log and a signature log, with keys."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)
TEN_YEARS = dt.timedelta(days=3650)
ORIGIN = "log.example.org"

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    """Return a new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def der(key: Key) -> bytes:
    """Return the public part of a key."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def text(data: bytes) -> str:
    """Return bytes as JSON has them."""
    return base64.b64encode(data).decode()


def sign(key: Key, data: bytes) -> bytes:
    """Return a signature."""
    return key.sign(data, ec.ECDSA(SHA256()))


@dataclass(frozen=True, kw_only=True)
class Sigstore:
    """The keys of an authority and of its two logs; `since` is when the authority begins."""

    since: dt.datetime = NOW - TEN_YEARS
    until: dt.datetime = NOW + TEN_YEARS
    authority: Key = field(default_factory=new_key)
    certificates: Key = field(default_factory=new_key)
    signatures: Key = field(default_factory=new_key)

    @property
    def root(self) -> x509.Certificate:
        """Return the certificate of the authority."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        key = self.authority.public_key()
        return (
            x509.CertificateBuilder(name, name, key, 1, self.since, self.until)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(self.authority, SHA256())
        )

    def trust(self, path: Path) -> Path:
        """Write the ClientTrustConfig that names it all."""
        valid = {"start": "2010-01-01T00:00:00Z"}
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.signatures, valid)],
            "ctlogs": [log(self.certificates, valid)],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "authority"},
                    "uri": "https://ca.example.org",
                    "certChain": {
                        "certificates": [{"rawBytes": text(self.root.public_bytes(Encoding.DER))}]
                    },
                    "validFor": valid,
                }
            ],
            "timestampAuthorities": [],
        }
        config = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": root,
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaConfig": {"selector": "ANY"},
            },
        }
        path.write_text(json.dumps(config))
        return path

    def certificate(self, key: Key, identity: str, issuer: str) -> x509.Certificate:
        """Return a certificate of ten minutes with its entry in the certificate log."""
        builder = (
            x509.CertificateBuilder(
                self.root.subject,
                x509.Name([]),
                key.public_key(),
                2,
                NOW,
                NOW + dt.timedelta(minutes=10),
            )
            .add_extension(usage(certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(identity)]), critical=True)
            .add_extension(unrecognized("1.3.6.1.4.1.57264.1.1", issuer.encode()), critical=False)
        )
        body = builder.sign(self.authority, SHA256()).tbs_certificate_bytes
        listed = unrecognized("1.3.6.1.4.1.11129.2.4.2", self._logged(body))
        return builder.add_extension(listed, critical=False).sign(self.authority, SHA256())

    def _logged(self, body: bytes) -> bytes:
        """Return the certificate log's promise (RFC 6962, section 3.2), as an extension has it."""
        moment = int(NOW.timestamp() * 1000)
        issuer = hashlib.sha256(der(self.authority)).digest()
        entry = issuer + len(body).to_bytes(3) + body
        signed = sign(self.certificates, struct.pack("!BBQH", 0, 0, moment, 1) + entry + b"\0\0")
        promise = b"\0" + hashlib.sha256(der(self.certificates)).digest()
        promise += struct.pack("!QHBBH", moment, 0, 4, 3, len(signed)) + signed
        content = struct.pack("!HH", len(promise) + 2, len(promise)) + promise
        return b"\x04" + bytes([len(content)]) + content

    def bundle(self, content: bytes, identity: str, issuer: str) -> bytes:
        """Return the bundle of a signature that `identity` made."""
        key = new_key()
        cert = self.certificate(key, identity, issuer)
        signed, digest = sign(key, content), hashlib.sha256(content)
        body = canonical(
            {
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": {"hash": {"algorithm": "sha256", "value": digest.hexdigest()}},
                    "signature": {
                        "content": text(signed),
                        "publicKey": {"content": text(cert.public_bytes(Encoding.PEM))},
                    },
                },
            }
        )
        bundle = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": text(cert.public_bytes(Encoding.DER))},
                "tlogEntries": [self._entry(body)],
            },
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": text(digest.digest())},
                "signature": text(signed),
            },
        }
        return json.dumps(bundle).encode()

    def _entry(self, body: bytes) -> dict[str, object]:
        """Return the only entry of a log: its hash is the tree's (RFC 6962, section 2.1)."""
        name = hashlib.sha256(der(self.signatures)).digest()
        promise = {
            "body": text(body),
            "integratedTime": int(NOW.timestamp()),
            "logID": name.hex(),
            "logIndex": 0,
        }
        tree = hashlib.sha256(b"\0" + body).digest()
        note = f"{ORIGIN}\n1\n{text(tree)}\n"
        line = text(name[:4] + sign(self.signatures, note.encode()))
        return {
            "logIndex": "0",
            "logId": {"keyId": text(name)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
            "integratedTime": str(promise["integratedTime"]),
            "inclusionPromise": {
                "signedEntryTimestamp": text(sign(self.signatures, canonical(promise)))
            },
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": text(tree),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\N{EM DASH} {ORIGIN} {line}\n"},
            },
            "canonicalizedBody": text(body),
        }


def canonical(data: object) -> bytes:
    """Return JSON as logs sign it (RFC 8785)."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def unrecognized(name: str, value: bytes) -> x509.UnrecognizedExtension:
    """Return an extension by its number."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(name), value)


def usage(*, certificates: bool) -> x509.KeyUsage:
    """Return what a key is for: to sign certificates, or else anything."""
    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
              "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=False,
        **dict.fromkeys(unused, False),
    )


def log(key: Key, valid: dict[str, str]) -> dict[str, object]:
    """Return a log as a trust root names it."""
    public = {"rawBytes": text(der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    return {
        "baseUrl": f"https://{ORIGIN}",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {**public, "validFor": valid},
        "logId": {"keyId": text(hashlib.sha256(der(key)).digest())},
    }
