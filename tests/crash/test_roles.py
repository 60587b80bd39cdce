"""kill -9 at every system call of a role while it takes part in a delivery; the device tries again if it heard nothing."""

from harness import needs_root, rows
from points import (by_drop, by_smtp, children, courier, die_everywhere, listener, one, refused, role, template, three)

# who dies: how to find it, how to trace it, who sends, whether it is there only after the greeting
COURIER = (lambda gateway: [courier(gateway)], (), by_smtp, False)
SESSION = (lambda gateway: [children(listener(gateway))[-1]], (), by_smtp, True)
LISTENER = (lambda gateway: [listener(gateway)], ("-f",), by_smtp, False)
DOOR = (lambda gateway: [role(gateway, "letterchute-smtp door")], (), by_drop, False)
EXTRACTOR = (lambda gateway: [template(gateway)], ("-f",), by_smtp, False)

ALL = 1000


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
def test_killed_during_a_delivery(place, name, role_row, kind, whole, most):
    die_everywhere(place, name, role_row, kind, whole, most)
