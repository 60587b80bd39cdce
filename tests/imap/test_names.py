"""A puller looks names up from within its jail, also after the files that say how were replaced."""

import os
import shutil
import subprocess

from accounts import account, several, wait_files
from certs import certs
from harness import needs_root, require, rows, wait_for
from hostile import Server
from names import Etc, Names
from tokens import CLIENT, Tokens

SOON = 20


def served(place, messages=()):
    server = Server(place, tls="implicit", context=certs().server())
    for message in messages:
        server.append(message)
    return server


def start(place, etc, server, host):
    """Whatever its name: it is known by its key."""
    section = account(place, server, tls="implicit", host=host, pin_sha256=certs().pin_hex("good"))
    return place.gateway(config=place.config(section), wrapper=etc.wrapper)


def delivers(place, etc, host):
    messages, files = several([1])
    server = served(place, messages)
    with start(place, etc, server, host) as gateway:
        wait_files(place, files, SOON)
        require(" died of signal" not in gateway.log(), gateway.log())


def fault(gateway, words):
    return wait_for(lambda: words in gateway.log(), SOON, lambda: f"nothing of {words!r}:\n{gateway.log()}")


@needs_root
@rows([("several addresses", "many.example", False), ("an answer by TCP", "long.example", True)])
def test_asked(place, host, is_stream):
    """The addresses are sorted, which takes a look at this machine's; the server is at the last of them."""
    names = Names(place)
    delivers(place, Etc(place, resolver=names.address), host)
    require({(host, kind, is_stream) for kind in (1, 28)} <= set(names.asked), names.asked)


@needs_root
def test_in_the_file(place):
    delivers(place, Etc(place, hosts="127.0.0.1 mail.example\n"), "mail.example")


@needs_root
def test_no_such_name(place):
    names = Names(place)
    etc = Etc(place, resolver=names.address)
    with start(place, etc, served(place), "nowhere.example") as gateway:
        fault(gateway, "nowhere.example port")
        require(" died of signal" not in gateway.log() and "restart" not in gateway.log(), gateway.log())


@needs_root
def test_address_of_version_6(place):
    with start(place, Etc(place), served(place), "::1") as gateway:
        fault(gateway, "Connection refused")


SERVICE = """
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <string.h>
enum nss_status _nss_own_gethostbyname2_r(const char *name, int family, struct hostent *found, char *room, size_t size,
	int *error, int *more)
{
	static char *no[] = { 0 };
	char **list = (char **)(((unsigned long)room + 15) & ~15ul), *address = (char *)(list + 2);
	(void)size;
	if (family != AF_INET || strcmp(name, "own.example") != 0) {
		*error = ENOENT;
		*more = HOST_NOT_FOUND;
		return NSS_STATUS_NOTFOUND;
	}
	inet_pton(AF_INET, "127.0.0.1", address);
	list[0] = address;
	list[1] = 0;
	*found = (struct hostent){ (char *)name, no, AF_INET, 4, list };
	return NSS_STATUS_SUCCESS;
}
"""


def libraries(place):
    folder = place.make("libraries")
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", os.path.join(folder, "libnss_own.so.2")],
                   input=SERVICE.encode(), check=True)
    return folder


@needs_root
@rows([("asked first", "own [NOTFOUND=continue] files dns"), ("asked last", "files dns own")])
def test_library(place, switch):
    """It was loaded before: from within it can't be."""
    delivers(place, Etc(place, resolver=Names(place).address, switch=switch, libraries=libraries(place)), "own.example")


@needs_root
def test_library_of_a_provider(place):
    """So does who asks for tokens."""
    etc = Etc(place, switch="own [NOTFOUND=continue] files", libraries=libraries(place))
    tokens = Tokens(place, cert="good")
    seed = place.file("seed", tokens.new_refresh() + "\n")
    text = account(place, Server(place), oauth="custom", client_id=CLIENT, token_file=seed, ca_file=certs().ca,
                   token_url=tokens.url.replace("127.0.0.1", "localhost") + "/token")
    with place.gateway(config=place.config(text), wrapper=etc.wrapper) as gateway:
        wait_for(lambda: tokens.requests, SOON, lambda: gateway.log())
        require(" died of signal" not in gateway.log(), gateway.log())


def mended(place, etc, host, words, mend):
    """It can't find its server, until something is replaced."""
    messages, files = several([1])
    server = served(place, messages)
    with start(place, etc, server, host) as gateway:
        fault(gateway, words)
        mend()
        wait_files(place, files, SOON)
        require('what names or certificates are found by has changed' in gateway.log(), gateway.log())
        require(" died of signal" not in gateway.log(), gateway.log())


@needs_root
@rows([(name, name, host) for name, host in (("resolv.conf", "many.example"), ("hosts", "mail.example"),
                                             ("nsswitch.conf", "many.example"))])
def test_replaced(place, name, host):
    """Its jail lets it at the old file alone: another puller takes its place."""
    names = Names(place)
    etc = Etc(place, resolver="127.0.0.1" if name == "resolv.conf" else names.address,
              switch="files" if name == "nsswitch.conf" else None)
    texts = {"resolv.conf": f"nameserver {names.address}\n", "hosts": "127.0.0.1 mail.example\n",
             "nsswitch.conf": "hosts: files dns\n"}
    mended(place, etc, host, f"{host} port", lambda: etc.write(name, texts[name]))


def test_signers_replaced(place):
    """The same for ca_file."""
    messages, files = several([1])
    server = served(place, messages)
    path = shutil.copy(certs().cert("other-ca"), os.path.join(place.folder, "signers.pem"))
    with place.gateway(config=place.config(account(place, server, tls="implicit", ca_file=path))) as gateway:
        fault(gateway, "signed by an unknown CA")
        os.rename(shutil.copy(certs().ca, path + ".new"), path)
        wait_files(place, files, SOON)
        require('what names or certificates are found by has changed' in gateway.log(), gateway.log())
