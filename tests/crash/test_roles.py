"""kill -9 at every call of a role while it takes part in a delivery; a device that heard nothing tries again."""

from harness import needs_root, require, rows
from points import (Role, by_drop, children, die_everywhere, forget_files, listener, one, refused, role, template,
                    three, until_heard)

ALL = 1000


def find_template(place, gateway):
    """It comes with the first mail."""
    require(until_heard(place, gateway, one("first")[0]).startswith("250"))
    forget_files(place)
    return [template(gateway)]


COURIER = Role()
SESSION = Role(find=lambda place, gateway: [children(listener(gateway))[-1]], after_greeting=True)
LISTENER = Role(find=lambda place, gateway: [listener(gateway)], follow=("-f",))
DOOR = Role(find=lambda place, gateway: [role(gateway, "letterchute-smtp door")], by=by_drop)
EXTRACTOR = Role(find=find_template, follow=("-f",))


@needs_root
@rows([("a courier, one part, its boss lives", "courier 1", COURIER, one, False, ALL),
       ("a courier, one part, all die", "courier 1 all", COURIER, one, True, ALL),
       ("a courier, three parts, its boss lives", "courier 3", COURIER, three, False, ALL),
       ("a courier, three parts, all die", "courier 3 all", COURIER, three, True, ALL),
       ("a courier, refused", "courier refused", COURIER, refused, False, ALL),
       ("a session, one part", "session 1", SESSION, one, False, ALL),
       ("a session, three parts, all die", "session 3 all", SESSION, three, True, ALL),
       ("a session, refused", "session refused", SESSION, refused, False, ALL),
       ("listener and session, one part", "listener 1", LISTENER, one, False, 60),
       ("the door, three parts", "door 3", DOOR, three, False, 40),
       ("template and extractor, three parts, all die", "extractor 3", EXTRACTOR, three, True, 40),
       ("template and extractor, refused", "extractor refused", EXTRACTOR, refused, True, 20)])
def test_killed_during_a_delivery(place, name, who, kind, whole, most):
    die_everywhere(place, name, who, kind, whole, most)
