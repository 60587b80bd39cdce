"""A user of the share moves, renames, deletes and makes files between the death of the gateway and its next start:
nothing is lost, nothing replaced, nothing comes twice."""

import collections
import os
import shutil

from harness import equal, mail, needs_root, part, pdf, require, rows
from points import (Role, await_settled, first_try, forget_marks, is_clean, is_final, killing, list_points, restart,
                    same_files, sample, tell, until_heard)

FOLDER = "in"
THEIRS = b"what a user of the share wrote"


def mail_of(seed):
    files = {f"{name}.pdf": pdf(700, f"{name} {seed}") for name in "abc"}
    return (mail(*[part(content, name) for name, content in files.items()]),
            {f"{FOLDER}/{name}": content for name, content in files.items()}, "250")


# --- what users do: each gets the share and the names of what is published --------------------------------------------

def rename_away(share, published):
    for name in published:
        folder, base = os.path.split(os.path.join(share, name))
        os.rename(os.path.join(folder, base), os.path.join(folder, f"mine {base}"))


def move_to_a_folder(share, published):
    os.makedirs(os.path.join(share, "kept"), exist_ok=True)
    for name in published:
        os.rename(os.path.join(share, name), os.path.join(share, "kept", os.path.basename(name)))


def make_the_same_names(share, published):
    os.makedirs(os.path.join(share, FOLDER), exist_ok=True)
    for name in ("a.pdf", "b.pdf", "c.pdf", "B (2).pdf"):
        path = os.path.join(share, FOLDER, name)
        if not os.path.exists(path):
            with open(path, "xb") as out:
                out.write(THEIRS)


def make_after_moving(share, published):
    move_to_a_folder(share, published)
    make_the_same_names(share, published)


def rename_to_the_next(share, published):
    """a.pdf gets the name of what is not there yet."""
    if published:
        os.rename(os.path.join(share, FOLDER, "a.pdf"), os.path.join(share, FOLDER, "a.old"))
        if len(published) < 3:
            os.rename(os.path.join(share, FOLDER, "a.old"), os.path.join(share, FOLDER, "c.pdf"))


def delete(share, published):
    for name in published:
        os.remove(os.path.join(share, name))


def remove_the_folder(share, published):
    shutil.rmtree(os.path.join(share, FOLDER), ignore_errors=True)


def rename_the_folder(share, published):
    if os.path.isdir(os.path.join(share, FOLDER)):
        os.rename(os.path.join(share, FOLDER), os.path.join(share, "archive"))


def exchange_the_folder(share, published):
    rename_the_folder(share, published)
    os.mkdir(os.path.join(share, FOLDER))
    make_the_same_names(share, published)


# --- the points: from the first call that may have made something durable ---------------------------------------------

def expect(place, published, wanted, after):
    """What the user left is as he left it; of the rest everything is there, once, under its name or the next number."""
    found = place.files()
    for name, content in after.items():
        equal(found.get(name), content, f"{name}, as the user left it")
    ours = {name: content for name, content in found.items() if name not in after}
    missing = [content for name, content in wanted.items() if name not in published]
    equal(collections.Counter(ours.values()), collections.Counter(missing), f"what came later: {sorted(ours)}")
    for name, content in ours.items():
        wished = next(wish for wish, its in wanted.items() if its == content)
        stem = wished[:-len(".pdf")]
        require(name == wished or name.startswith(stem + " (") and wished in after or
                wished.lower() in [other.lower() for other in after], f"{wished} became {name}")


def clear(place):
    for name in os.listdir(place.share):
        path = os.path.join(place.share, name)
        if name != ".letterchute" and os.path.isdir(path):
            shutil.rmtree(path)
        elif name != ".letterchute":
            os.remove(path)


def meddle_at(place, gateway, options, meddle, seed):
    """True if the courier died there."""
    message, wanted, _ = mail_of(seed)
    trial, died, _ = first_try(place, gateway, Role(), options, message, True)
    gateway.kill()
    heard = is_final(trial.result())
    published = [name for name in place.files() if name in wanted]
    same_files({name: wanted[name] for name in published}, place.files(), "before the user comes")
    meddle(place.share, published)
    after = place.files()
    gateway.start()
    if not heard:
        require(until_heard(place, gateway, message).startswith("250"))
        await_settled(place)
    is_clean(place)
    expect(place, published, wanted, after)
    equal(place.quarantine(), [])
    clear(place)
    forget_marks(place)
    return died


def from_the_plan_on(points):
    """Before the first rename nothing is visible: one point of those is enough."""
    first = points.index(("renameat2", 1))
    return points[first - 1:]


def meddle_everywhere(place, name, meddle, inject, most):
    with place.gateway(gateway="couriers = 1\nanswer_within = 60s", route=f"folder = {FOLDER}") as gateway:
        os.mkdir(os.path.join(place.share, FOLDER))
        points = from_the_plan_on(list_points(place, gateway, Role(follow=inject), mail_of))
        restart(gateway)
        clear(place)
        died = 0
        for seed, (call, number) in enumerate(sample(points, most)):
            try:
                died += meddle_at(place, gateway, [*inject, *killing(call, number)], meddle, seed)
            except Exception as error:
                raise AssertionError(f"killed at {call} {number}: {error}") from error
    require(died > 0, "no point was reached")
    tell(name, died)


@needs_root
@rows([("renames what is published", rename_away), ("moves it to a folder", move_to_a_folder),
       ("makes files of the same names", make_the_same_names),
       ("moves it, and makes files of the same names", make_after_moving),
       ("gives it the name of what comes", rename_to_the_next), ("deletes it", delete),
       ("removes the folder", remove_the_folder), ("renames the folder", rename_the_folder),
       ("exchanges the folder", exchange_the_folder)])
def test_user(place, meddle):
    meddle_everywhere(place, f"user, {meddle.__name__.replace('_', ' ')}", meddle, (), 14)
