"""Devices that do TLS and log in, the users they log in as, certificates, and a network where addresses are not loopback."""

import base64
import concurrent.futures
import contextlib
import ctypes
import os
import re
import resource
import select
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from harness import PATIENCE, Device, equal, require, run, wait_for

USERNAME, PASSWORD = "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"
WELCOME = "235 2.7.0 Authentication successful"


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def plain(name, password, act_as=""):
    return b64(f"{act_as}\0{name}\0{password}")


# --- who may log in --------------------------------------------------------------------------------------------------

YESCRYPT, SHA512, BCRYPT = "$y$j9T$LetterchuteSaltX$", "$6$rounds=1000$letterchute$", "$2b$04$LetterchuteSaltSaltSa."
LIBCRYPT = ctypes.CDLL("libcrypt.so.1")
LIBCRYPT.crypt.restype = ctypes.c_char_p
ONE_AT_A_TIME = threading.Lock()  # crypt has one place for all its answers


def hash_of(password, setting=SHA512):
    with ONE_AT_A_TIME:
        found = LIBCRYPT.crypt(password.encode(), setting.encode())
    require(found and not found.startswith(b"*"), f"libcrypt knows no {setting}")
    return found.decode()


def users_line(name, password, *addresses, setting=SHA512):
    return f"{name}:{hash_of(password, setting)}" + (":" + ",".join(addresses) if addresses else "") + "\n"


def users_file(place, *lines, name="users"):
    return place.file(name, "".join(lines))


# --- TLS -------------------------------------------------------------------------------------------------------------

def tls_context(version=None, ciphers="ALL:@SECLEVEL=0"):
    """A client that asks for no names, of one version if one is given: TLSv1, TLSv1_1, TLSv1_2, TLSv1_3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.minimum_version = getattr(ssl.TLSVersion, version or "TLSv1")
    if version:
        context.maximum_version = context.minimum_version
    return context


class TlsDevice(Device):
    """A device that can encrypt; `implicit`: it does so at once."""

    def __init__(self, port, context=None, implicit=False, greet=True, **more):
        super().__init__(port, greet=greet and not implicit, **more)
        if implicit:
            self.encrypt(context)
            self.greeting = self.reply()

    def encrypt(self, context=None):
        equal(self.buffer, b"", "said in clear, where TLS begins")
        self.socket = (context or tls_context()).wrap_socket(self.socket, suppress_ragged_eofs=False)

    def start_tls(self, context=None):
        reply = self.say("STARTTLS")
        require(reply.startswith("220 "), reply)
        self.encrypt(context)

    def hello(self, context=None):
        """EHLO, and all over again in TLS."""
        self.say("EHLO device")
        self.start_tls(context)
        return self.say("EHLO device")

    def certificate(self):
        return self.socket.getpeercert(True)

    def login(self, name, password):
        return self.say("AUTH PLAIN " + plain(name, password))


def logged_in(port, name, password, encrypted=False):
    device = TlsDevice(port)
    if encrypted:
        device.hello()
    else:
        device.say("EHLO device")
    equal(device.login(name, password), WELCOME)
    return device


class GnutlsPipe:
    """What looks like a socket is gnutls-cli: it knows ciphers that OpenSSL has forgotten."""

    def __init__(self, port, priority, *options):
        self.told = tempfile.NamedTemporaryFile()
        self.process = subprocess.Popen(["gnutls-cli", "--insecure", "--no-ca-verification", f"--logfile={self.told.name}",
                                         "--priority", priority, "-p", str(port), *options, "127.0.0.1"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)

    def agreed(self):
        """Version and cipher, once the other side has ended it."""
        self.process.stdin.close()
        self.process.wait(20 * PATIENCE)
        return re.search(r"- Description: (\S+)", open(self.told.name).read()).group(1)

    def sendall(self, octets):
        self.process.stdin.write(octets)

    def recv(self, size):
        ready, _, _ = select.select([self.process.stdout], [], [], 30 * PATIENCE)
        if not ready:
            raise TimeoutError("gnutls-cli hears nothing")
        return os.read(self.process.stdout.fileno(), size)

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()
        self.told.close()


class GnutlsDevice(Device):
    """TLS with exactly that priority: at once, or by STARTTLS."""

    def __init__(self, port, priority, starttls=False):
        self.socket, self.buffer = GnutlsPipe(port, priority, *(["--starttls-proto=smtp"] if starttls else [])), b""
        self.greeting = None if starttls else self.reply()


TLS_1_0_ONLY = "NONE:+VERS-TLS1.0:{}:+SHA1:+RSA:+COMP-NULL:+SIGN-ALL:+GROUP-ALL:+CTYPE-X509"
TRIPLE_DES = TLS_1_0_ONLY.format("+3DES-CBC")
RC4 = TLS_1_0_ONLY.format("+ARCFOUR-128")
BIZHUB = TLS_1_0_ONLY.format("+ARCFOUR-128:+3DES-CBC:+AES-128-CBC")

# what a device says that knows no TLS at all but SSL 3.0; the second in the form that SSL 2.0 had
SSL3_HELLO = bytes.fromhex("16 0300 002d  01 000029 0300" + "5b" * 32 + "00 0002 000a 01 00")
SSL2_HELLO = bytes.fromhex("801c  01 0300 0003 0000 0010  00000a" + "5b" * 16)


def make_pair(place, name, *options):
    """A self-signed certificate and its key."""
    key, cert = os.path.join(place.folder, f"{name}.key"), os.path.join(place.folder, f"{name}.pem")
    options = options or ("-newkey", "rsa:2048")
    done = subprocess.run(["openssl", "req", "-x509", *options, "-nodes", "-keyout", key, "-out", cert, "-days", "30",
                           "-subj", f"/CN={name}"], capture_output=True)
    equal(done.returncode, 0, done.stderr.decode())
    return cert, key


def der(path):
    """The first certificate of a file."""
    with open(path) as text:
        return ssl.PEM_cert_to_DER_cert(re.search(r"-----BEGIN.*?END CERTIFICATE-----", text.read(), re.S).group())


# --- the gateway -----------------------------------------------------------------------------------------------------

def start_all(gateway, count):
    """Starts a gateway of several listeners, and waits for all."""
    gateway.start()
    wait_for(lambda: gateway.is_ready() and len(gateway.ports) >= count, 10, f"not all are ready:\n{gateway.log()}")
    return gateway


def peer_lines(gateway, peer="127.0.0.1"):
    return [line for line in gateway.log().splitlines() if f"peer={peer} " in line + " "]


def log_says(gateway, words, peer="127.0.0.1"):
    """A line that names the device says this, whatever the case."""
    wait_for(lambda: any(re.search(words, line, re.I) for line in peer_lines(gateway, peer)), 5,
             lambda: f"no line of the log names {peer} and says {words!r}:\n{gateway.log()}")


def status_says(place, config, words):
    """The last failed session of a device, as its owner sees it."""
    def shown():
        text = place.run("status", "-c", config).stdout.decode()
        return any("127.0.0.1" in line and re.search(words, line, re.I) for line in text.splitlines())
    wait_for(shown, 5, lambda: f"`status` does not say {words!r}:\n{place.run('status', '-c', config).stdout.decode()}")


# --- who else is there -----------------------------------------------------------------------------------------------

@contextlib.contextmanager
def meanwhile(count, work):
    """So many do this over and over beside what is done within, each with its number. That they are turned away or cut off
    is no fault; anything else is, and is told at the end."""
    over = threading.Event()

    def repeat(number):
        while not over.is_set():
            with contextlib.suppress(OSError, EOFError, AssertionError):
                work(number)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        running = [pool.submit(repeat, number) for number in range(count)]
        try:
            yield
        finally:
            over.set()
        for one in running:
            one.result()


def raise_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


def flood(place, address, count, source=None):
    """So many connections that say nothing."""
    raise_limit()
    idle = []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        if source:
            one.bind((source, 0))
        one.connect_ex(address)
        idle.append(one)
    place.later(lambda: [one.close() for one in idle])
    return idle


def first_word(port, host="127.0.0.1", source=None):
    """What a device hears first, and after how many seconds."""
    started = time.monotonic()
    device = Device(port, host=host, timeout=20, greet=False, source=source and (source, 0))
    try:
        return device.reply()[:3], time.monotonic() - started
    finally:
        device.close()


# --- a network -------------------------------------------------------------------------------------------------------

class Network:
    """A namespace whose `lo` has addresses that are not loopback. For root."""

    ADDRESSES = ("192.0.2.1/24", "198.51.100.1/24", "2001:db8:1::1/64", "2001:db8:2::1/64")

    def __init__(self, place):
        self.name = f"lcd{time.monotonic_ns() % 10 ** 8}"
        self.inside = ("ip", "netns", "exec", self.name)
        place.later(run, "ip", "netns", "del", self.name)
        run("ip", "netns", "add", self.name)
        run(*self.inside, "ip", "link", "set", "lo", "up")
        for address in self.ADDRESSES:
            flag = ("nodad",) if ":" in address else ()
            run(*self.inside, "ip", "addr", "add", address, "dev", "lo", *flag)

    def do(self, function):
        """Calls a function in a thread that is in the namespace; sockets stay where they were made."""
        result = []

        def enter():
            try:
                with open(f"/run/netns/{self.name}") as door:
                    require(ctypes.CDLL(None, use_errno=True).setns(door.fileno(), 0) == 0, "setns")
                result.append((function(), None))
            except BaseException as error:  # told to who waits
                result.append((None, error))
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        value, error = result[0]
        if error:
            raise error
        return value

    def connect(self, port, address, timeout=10):
        """A connection from one of the addresses to itself."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def make():
            made = socket.socket(family)
            made.settimeout(timeout * PATIENCE)
            made.bind((address, 0))
            made.connect((address, port))
            return made
        return self.do(make)


class Connected(TlsDevice):
    """A device on a socket that is there already."""

    def __init__(self, connection, greet=True):
        self.socket, self.buffer = connection, b""
        self.greeting = self.reply() if greet else None
