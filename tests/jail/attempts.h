/* attempts.h: what no role is allowed to do, a function each. For the tests of the jails only; in
 * no installed program. */
#pragma once

/* To be called before any jail is closed: looks at $TMPDIR, the folder of the test that is nobody's
 * share, and at who we and our parent are. */
void attempts_prepare(void);

/* Looks for ROLE.ATTEMPT@misbehave.example in the text and does it, if `role` is ours. Before and
 * after it a line goes to standard error; who dies of it says only the first. ROLE.all: each of
 * them in a child of its own, and how it ended. */
void attempts_obey(const char *role, const char *text);

/* The same for who has no standard error: the result. 0: not told anything; -errno: denied; 1: it
 * could. */
int attempts_quietly(const char *role, const char *text);

/* Each of them in a child of its own, and how it ended. */
void attempts_all(const char *role);
