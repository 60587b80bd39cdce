"""Who gets passwords and tokens, told to misbehave: by the answer of a provider, or, where nobody is asked, by its
configuration. Each attempt is a run of `once`."""

import os
import sys

from harness import COUNT, HERE, equal, needs_root, require, rows
from misbehave import gateway, names, results, sender, untouched
from test_attempts import ENDS, SHORT, judge

sys.path.append(os.path.join(HERE, "imap"))
from accounts import account  # noqa: E402
from hostile import Server  # noqa: E402
from tokens import CLIENT, Tokens  # noqa: E402


def told_by_provider(place, server):
    tokens = Tokens(place)
    seed = place.file("seed", tokens.new_refresh() + "\n")
    section = account(place, server, oauth="custom", client_id=CLIENT, token_url=tokens.url + "/token", token_file=seed)

    def tell(attempt):
        tokens.answer_instead = 400, {"error": sender("token", attempt)}
        return section
    return tell


def told_by_user(place, server):
    return lambda attempt: account(place, server, user=sender("file", attempt))


@needs_root
@rows([("token", "token", told_by_provider), ("file", "file", told_by_user)])
def test_who_gets_secrets(place, role, prepare):
    # to connect is what it is for; fast open sends octets to whoever is connected already
    wanted, found = [name for name in names() if ENDS[role].get(name, "") is not None], {}
    wanted = wanted if COUNT else [name for name in SHORT.split() if name in wanted]
    one = gateway(place)
    tell = prepare(place, Server(place))
    for name in wanted:
        config = place.config(tell(name), smtp="", name="attempt.conf")
        done = place.run("once", "-c", config, env=one.environment)
        found.update(results(done.stderr.decode(), role))
        died = "died of signal 31" in done.stderr.decode()
        equal(died, found.get(name) == "died", f"{name}: {done}")
    judge(role, found, wanted)
    require(untouched(place), "something outside the share was changed")
