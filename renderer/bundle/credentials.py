"""Finds files that look like credentials, by name and by content. Shell histories and private state count as well."""

from __future__ import annotations

import re
from pathlib import Path

from renderer.bundle.packed_data import Expanded, expand

MAX_SCANNED = 2**24  # bytes: larger files are data

_NAMES = frozenset({
    # what programs log in with
    ".boto", ".dockercfg", ".env", ".envrc", ".fetchmailrc", ".git-credentials", ".htpasswd", ".ldaprc",
    ".modal.toml", ".msmtprc", ".my.cnf", ".mylogin.cnf", ".netrc", ".npmrc", ".pgpass", ".pypirc", ".s3cfg",
    ".sentryclirc", ".smbcredentials", ".terraformrc", ".vault-token", ".xauthority", ".yarnrc.yml", "_netrc",
    "application_default_credentials.json", "auth.json", "credentials", "credentials.json", "kubeconfig",
    "pip.conf", "rclone.conf", "secrets.json", "secrets.toml", "secrets.yaml", "secrets.yml", "token.json",
    "token.txt",
    # histories and other state of shells and editors
    ".histfile", ".lesshst", ".rhistory", ".viminfo", ".wget-hsts", "fish_history", "recently-used.xbel",
    # browsers and wallets
    "cookies", "cookies.sqlite", "key3.db", "key4.db", "login data", "logins.json", "wallet.dat",
})  # fmt: skip
_BEGINNINGS = (".env", "env.local", "env.prod", "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa", "kubeconfig.")
_BEGINNINGS_OF_JSON = ("client_secret", "service-account", "service_account")
_ENDINGS = (
    "-key.json", "_key.json", "_secret.json", ".env", ".gpg", ".jks", ".kdb", ".kdbx", ".key", ".keychain",
    ".keychain-db", ".keystore", ".kubeconfig", ".ovpn", ".p12", ".pem", ".pfx", ".ppk", ".tfstate",
    ".tfstate.backup", ".tfvars", ".tfvars.json", ".token",
)  # fmt: skip
_FOLDERS = (
    ".aws", ".azure", ".bitcoin", ".config/bravesoftware", ".config/chromium", ".config/code", ".config/containers",
    ".config/doctl", ".config/gcloud", ".config/gh", ".config/github-copilot", ".config/glab-cli",
    ".config/google-chrome", ".config/hub", ".config/op", ".config/rclone", ".config/sops", ".electrum", ".ethereum",
    ".gem", ".gnupg", ".kube", ".local/share/keyrings", ".mozilla", ".password-store", ".ssh", ".subversion/auth",
    ".terraform.d", ".thunderbird", ".vnc", ".vscode-server", "credentials",
)  # fmt: skip
_PATHS = (
    "/.cargo/credentials.toml", "/.docker/config.json", "/.gradle/gradle.properties", "/.m2/settings.xml",
    "/.nuget/nuget.config",
)  # fmt: skip
_HARMLESS = frozenset({".env.dist", ".env.example", ".env.sample", ".env.template"})

_ASSIGNED = rb"[\\\"']{0,3}\s{0,9}[=:]\s{0,9}[\\\"']{0,3}"
# A text that every such secret contains, and the pattern of the whole secret. The services document these forms, and
# gitleaks and GitHub's secret scanning use them.
_FORMS = (
    (b"PRIVATE KEY", rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    (b"PuTTY-User-Key-File", rb"PuTTY-User-Key-File-\d"),
    (b"AGE-SECRET-KEY-1", rb"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    (b"AKIA", rb"\bAKIA[A-Z2-7]{16}\b"),
    (b"ASIA", rb"\bASIA[A-Z2-7]{16}\b"),
    # with the quotes of JSON, also inside of the text of a notebook
    (b"aws_secret_access_key", rb"aws_secret_access_key" + _ASSIGNED + rb"[A-Za-z0-9/+]{40}\b"),
    (b"AWS_SECRET_ACCESS_KEY", rb"AWS_SECRET_ACCESS_KEY" + _ASSIGNED + rb"[A-Za-z0-9/+]{40}\b"),
    (b"SecretAccessKey", rb"SecretAccessKey" + _ASSIGNED + rb"[A-Za-z0-9/+]{40}\b"),
    (b"gh", rb"\bgh[pousr]_[A-Za-z0-9]{36}"),
    (b"github_pat_", rb"\bgithub_pat_[A-Za-z0-9_]{82}"),
    (b"gl", rb"\bgl(?:pat|rt|dt|ptt|cbt|soat|ft|agent)-[A-Za-z0-9_-]{20}"),
    (b"xox", rb"\bxox[abeoprs]-[A-Za-z0-9-]{20}"),
    (b"xapp-", rb"\bxapp-\d-[A-Z0-9]{9,20}-\d{9,20}-[a-z0-9]{20}"),
    (b"hooks.slack.com", rb"hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20}"),
    (b"k_live_", rb"\b[rs]k_live_[A-Za-z0-9]{20}"),
    (b"AIza", rb"\bAIza[A-Za-z0-9_-]{35}"),
    (b"sk-ant-", rb"\bsk-ant-[a-z0-9]{2,10}-[A-Za-z0-9_-]{60}"),
    (b"T3BlbkFJ", rb"\bsk-[A-Za-z0-9_-]{16,90}T3BlbkFJ[A-Za-z0-9_-]{16}"),
    (b"gsk_", rb"\bgsk_[A-Za-z0-9]{52}\b"),
    (b"ya29.", rb"\bya29\.[A-Za-z0-9_-]{60}"),
    (b"r8_", rb"\br8_[A-Za-z0-9]{37}\b"),
    (b"hf_", rb"\bhf_[A-Za-z]{34}\b"),
    (b"npm_", rb"\bnpm_[A-Za-z0-9]{36}\b"),
    (b"_authToken", rb"_authToken\s{0,9}=\s{0,9}[^\s$]{16}"),
    (b"pypi-AgEI", rb"\bpypi-AgEI[A-Za-z0-9_-]{50}"),
    (b"SG.", rb"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    (b"as-", rb"token_secret\s{0,9}=\s{0,9}[\"']as-[A-Za-z0-9]{22}"),
    (b"hv", rb"\bhv[sb]\.[A-Za-z0-9_-]{90}"),
    (b"dckr_pat_", rb"\bdckr_pat_[A-Za-z0-9_-]{27}"),
    (b"dapi", rb"\bdapi[a-f0-9]{32}\b"),
    (b"shp", rb"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b"),
    (b"ATATT3", rb"\bATATT3[A-Za-z0-9_=-]{180}"),
    (b"dop_v1_", rb"\bdop_v1_[a-f0-9]{64}"),
    (b"whsec_", rb"\bwhsec_[A-Za-z0-9+/]{32}"),  # of webhooks, as Standard Webhooks and Stripe write them
    (b"AccountKey=", rb"AccountKey=[A-Za-z0-9+/]{86}=="),
    # begins where no such text is before it, so that each character is looked at once
    (b"eyJ", rb"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{15,4000}+\.eyJ[A-Za-z0-9_-]{15,4000}+\.[A-Za-z0-9_-]{32}"),
    (b"password", rb"\bmachine\s{1,9}\S{1,200}\s{1,9}login\s{1,9}\S{1,200}\s{1,9}password\s{1,9}\S"),  # netrc
    (b":$", rb"(?m)^[\w.-]{1,64}:\$(?:1|2[aby]|5|6|y|apr1)\$[./A-Za-z0-9$,=]{20}"),  # shadow, htpasswd
    (b"PrivateKey", rb"\bPrivateKey\s{0,9}=\s{0,9}[A-Za-z0-9+/]{43}="),  # WireGuard
    (b"SharedAccessKey", rb"SharedAccessKey=[A-Za-z0-9+/]{43}="),
    (b'"auth"', rb'"auth"\s{0,9}:\s{0,9}"[A-Za-z0-9+/]{16,}+={0,2}"'),  # logins of container registries
    # "-----BEGIN (RSA, EC, OPENSSH, ENCRYPTED, DSA) PRIVATE KEY" in base64, as in a kubeconfig
    (b"LS0tLS1CRUdJTiB", rb"LS0tLS1CRUdJTiB(?:QUklWQVRF|SU0EgUFJJ|FQyBQUklW|PUEVOU1NI|FTkNSWVBU|EU0EgUFJJ)"),
    # private keys in DER: PKCS #8 of RSA and of elliptic curves; key stores of Java and KeePass
    (b"\x02\x01\x000", rb"\x30[\x81\x82]..?\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"),
    (b"\x02\x01\x000", rb"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"),
    (b"\xfe\xed\xfe\xed", rb"\A\xfe\xed\xfe\xed\x00\x00\x00[\x01\x02]"),
    (b"\x03\xd9\xa2\x9a", rb"\A\x03\xd9\xa2\x9a"),
)


def keeps_credentials(folder: Path) -> bool:
    """Return whether programs keep credentials in a folder or below it. ``folder`` is relative to the home folder."""
    name = f"{folder.as_posix().lower()}/"
    known = (f"{path}/" for path in _FOLDERS if path.startswith("."))
    return any(name.startswith(path) or path.startswith(name) for path in known)


def looks_like_credential(path: Path) -> bool:
    """Return whether the path, relative to the bundle's root, has a typical name of credentials, in any case."""
    name, whole = path.name.lower(), f"/{path.as_posix().lower()}"
    if name in _HARMLESS or name.endswith(".pub"):
        return False
    return (
        name in _NAMES
        or name.startswith(_BEGINNINGS)
        or name.endswith(_ENDINGS)
        or (name.startswith(".") and name.endswith(("_history", "-history")))
        or (name.startswith(_BEGINNINGS_OF_JSON) and name.endswith(".json"))
        or any(f"/{folder}/" in whole for folder in _FOLDERS)
        or whole.endswith(_PATHS)
        or "/.cargo/credentials" in whole
    )


def holds_credential(data: bytes, expanded: Expanded | None = None) -> bool:
    """Return whether the data contains a secret of a known form, also in UTF-16, compressed, or in a zip.

    What comes out of compressed data is counted in ``expanded``, which raises SpecError.
    """
    if len(data) > MAX_SCANNED:
        return False
    return any(
        (name and looks_like_credential(Path(name))) or _holds_secret(content)
        for name, content in expand(data, expanded)
    )


def _holds_secret(data: bytes) -> bool:
    """Return whether the data contains a secret. Zero bytes are left out as well: what remains of UTF-16 is ASCII."""
    texts = [data, data.replace(b"\0", b"")] if b"\0" in data else [data]
    return any(needle in text and re.search(form, text) for text in texts for needle, form in _FORMS)
