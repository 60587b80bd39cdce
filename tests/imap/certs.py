"""A certificate authority of our own, and what it signed: one certificate for each thing that may be wrong with one."""

import atexit
import base64
import functools
import hashlib
import os
import shutil
import ssl
import subprocess
import tempfile
import threading

NETWORK = "10.213.7.1"  # where the server of the tests of the network is
NAMES = f"DNS:localhost,IP:127.0.0.1,IP:{NETWORK}"
DAY = "%02d0101000000Z"

CONFIG = """[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""

# name: (who signs, names, first and last year)
SIGNED = {
    "good": ("ca", NAMES, 20, 49),
    "other-key": ("ca", NAMES, 20, 49),
    "wrong-host": ("ca", "DNS:imap.example.org", 20, 49),
    "unknown-ca": ("other-ca", NAMES, 20, 49),
    "expired": ("ca", NAMES, 20, 21),
    "not-yet": ("ca", NAMES, 48, 49),
    "by-middle": ("middle", NAMES, 20, 49),
    "providers": ("ca", "DNS:imap.gmail.com,DNS:outlook.office365.com,DNS:login.microsoftonline.com", 20, 49),
}


class Certs:
    """File names: `ca` is the authority to be trusted, `cert(name)` and `key(name)` are what a server shows."""

    def __init__(self, folder):
        self.folder = folder
        self.config = self.path("config")
        with open(self.config, "w") as out:
            out.write(CONFIG.format(folder=folder))
        open(self.path("index"), "w").close()
        for name in ("ca", "other-ca", "self-signed"):
            self.make_own(name, "DNS:ca.example" if name.endswith("ca") else NAMES)
        self.sign("middle", "ca", "DNS:middle.example", 20, 49, "basicConstraints=critical,CA:TRUE")
        for name, (signer, names, first, last) in SIGNED.items():
            self.sign(name, signer, names, first, last)
        with open(self.cert("by-middle"), "a") as chain, open(self.cert("middle")) as middle:
            chain.write(middle.read())
        self.ca = self.cert("ca")

    def path(self, name):
        return os.path.join(self.folder, name)

    def cert(self, name):
        return self.path(f"{name}.pem")

    def key(self, name):
        return self.path(f"{name}.key")

    def run(self, *command, data=None):
        done = subprocess.run(["openssl", *command], input=data, capture_output=True)
        if done.returncode:
            raise AssertionError(f"openssl {' '.join(command)}: {done.stderr.decode()}")
        return done.stdout

    def request(self, name, names, *more):
        self.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                 self.key(name), "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", *more)

    def make_own(self, name, names):
        self.request(name, names, "-x509", "-days", "9000", "-out", self.cert(name))

    def sign(self, name, signer, names, first, last, extension="basicConstraints=CA:FALSE"):
        request, extensions = self.path(f"{name}.request"), self.path(f"{name}.extensions")
        self.request(name, names, "-out", request)
        with open(extensions, "w") as out:
            out.write(extension + "\n")
        self.run("ca", "-batch", "-notext", "-config", self.config, "-cert", self.cert(signer), "-keyfile",
                 self.key(signer), "-startdate", DAY % first, "-enddate", DAY % last, "-extfile", extensions, "-in",
                 request, "-out", self.cert(name))

    def pin(self, name):
        """The hash of the public key, as octets."""
        key = self.run("x509", "-in", self.cert(name), "-pubkey", "-noout")
        return hashlib.sha256(self.run("pkey", "-pubin", "-outform", "DER", data=key)).digest()

    def pin_hex(self, name):
        return self.pin(name).hex()

    def pin_base64(self, name):
        return base64.b64encode(self.pin(name)).decode()

    def server(self, name="good", newest=None):
        """The TLS of a server in Python; with `newest` it knows nothing newer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert(name), self.key(name))
        if newest:
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
        return context

    def client(self):
        return ssl.create_default_context(cafile=self.ca)


MAKING = threading.Lock()


@functools.cache
def make():
    folder = tempfile.mkdtemp(prefix="letterchute-certs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    return Certs(folder)


def certs():
    """The same for all tests of a run."""
    with MAKING:
        return make()
