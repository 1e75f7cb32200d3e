"""The checks of lab 7. Each docstring is the property that its check is about."""

from __future__ import annotations

import socket
import string
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, TypeVar

import pytest

from dslab.kit.errors import PeerClosed, PeerRefused, PeerSilent, PeerViolation
from dslab.kit.grader import sent, step
from dslab.kit.links import LinkStats
from dslab.kit.topology.running import Topology
from dslab.kit.topology.service import Service
from dslab.linda.calls import NoTuple
from dslab.linda.client import Client, TupleSpace, connect
from dslab.linda.messages import UNIVERSE, Found, In, Nothing, Rd, WaitsFor, encode
from dslab.linda.values import from_wire, show, to_wire

PATIENCE_S = 10.0  # for what a correct program does within milliseconds
STILL_S = 1.5  # so long must all programs have been blocked before we believe that nobody will wake them
LOOK_S = 0.25  # between two looks whether they are
BEHIND_S = 0.3  # so much later arrives each request of one that is to come after others
SLOW_S = 0.5  # so much later is each reply to one that is to be overtaken
OFTEN = 50  # so many requests are more than any way to wait needs
SPACES = ("space", "gates", "own-space")
PROGRAMS = (
    *("textbook-bob", "textbook-alice", "textbook-chuck", "bob", "alice", "chuck", "editor"),
    *("member-1", "member-2", "member-3", "master", "other-master", "worker-1", "worker-2", "worker-3"),
)
TASK = ("task", TupleSpace, int)
RESULT = ("result", int, int)
NAMES = {"worker-1": "one", "worker-2": "two", "worker-3": "three"}
WAYS = ("direct", "mailbox", "events", "space")
Post = tuple[str, str, str]
T = TypeVar("T")


# Step 7.1: matching


@step("7.1", starts=["shelf"])
def test_actuals(topology: Topology, rng: Random) -> None:
    """A value in a template matches an equal value in the same place, and no other."""
    one, other = words(rng, 2)
    number = rng.randint(2, 1000)
    tuples = [(one, number), (other, number), (one, number + 1), (number, one), (one.upper(), number)]
    tuples += [(2.5, None), (one.encode(), True), (-2.5, None), (2.5, one)]
    assert_matches(topology, tuples, (one, number), [(one, number)])
    assert_matches(topology, tuples, (2.5, None), [(2.5, None)])
    assert_matches(topology, tuples, (one.encode(), True), [(one.encode(), True)])


@step("7.1", starts=["shelf"])
def test_formals(topology: Topology, rng: Random) -> None:
    """A type in a template matches every value of that type, and `object` every value at all."""
    one, other = words(rng, 2)
    number = rng.randint(2, 1000)
    tuples = [(one, number), (other, -number), ("", 0), (one, one), (number, number), (None, number)]
    assert_matches(topology, tuples, (str, int), [(one, number), (other, -number), ("", 0)])
    assert_matches(topology, tuples, (object, number), [(one, number), (number, number), (None, number)])
    assert_matches(topology, tuples, (one, str), [(one, one)])
    assert_matches(topology, tuples, (object, object), tuples)


@step("7.1", starts=["shelf"])
def test_arity(topology: Topology, rng: Random) -> None:
    """A tuple with more or fewer fields than the template does not match."""
    one, other = words(rng, 2)
    tuples = [(one,), (one, other), (one, other, one), ()]
    assert_matches(topology, tuples, (str, str), [(one, other)])
    assert_matches(topology, tuples, (one,), [(one,)])
    assert_matches(topology, tuples, (object, object, object), [(one, other, one)])
    assert_matches(topology, tuples, (), [()])


@step("7.1", starts=["shelf"])
def test_types_are_exact(topology: Topology, rng: Random) -> None:
    """True is not 1, nor is 1.0: values of different types never match, whether by a value or by a type."""
    del rng  # these very values are the point
    tuples = [(1,), (True,), (1.0,), ("1",), (b"1",), (0,), (False,), (None,)]
    for value in (1, True, 1.0, "1", b"1", False, None):
        assert_matches(topology, tuples, (value,), [(value,)])
    assert_matches(topology, tuples, (int,), [(1,), (0,)])
    assert_matches(topology, tuples, (bool,), [(True,), (False,)])
    assert_matches(topology, tuples, (float,), [(1.0,)])


@step("7.1", starts=["shelf"])
def test_tuples_in_tuples(topology: Topology, rng: Random) -> None:
    """A tuple in a template is a template itself, at any depth."""
    (one,) = words(rng, 1)
    number = rng.randint(2, 1000)
    tuples = [("at", (one, 1)), ("at", (one, True)), ("at", (one,)), ("at", ((one, number), 1)), ("at", one)]
    assert_matches(topology, tuples, ("at", (one, 1)), [("at", (one, 1))])
    assert_matches(topology, tuples, ("at", (str, int)), [("at", (one, 1))])
    assert_matches(topology, tuples, ("at", ((str, int), 1)), [("at", ((one, number), 1))])
    assert_matches(topology, tuples, ("at", tuple), tuples[:-1])


# Step 7.2: out, rd, in


@step("7.2", starts=["own-space"])
def test_multiset(topology: Topology, rng: Random) -> None:
    """Two equal tuples are two: each can be taken, once."""
    (word,) = words(rng, 1)
    with client_of(topology, "own-space") as one, client_of(topology, "own-space") as other:
        for _ in range(2):
            puts(one, (word, 1))
        assert takes(one, (word, int)) == (word, 1)
        assert takes(other, (word, int)) == (word, 1)
        assert_nothing(takes(one, (word, int)))


@step("7.2", starts=["own-space"])
def test_rd_leaves_in_takes(topology: Topology, rng: Random) -> None:
    """What was read is still there; what was taken is gone, that tuple and no other."""
    (word,) = words(rng, 1)
    with client_of(topology, "own-space") as client:
        for value in (1, True, 1.0):
            puts(client, (word, value))
        for _ in range(2):
            assert reads(client, (word, bool)) == (word, True)
        assert takes(client, (word, bool)) == (word, True)
        assert_nothing(reads(client, (word, bool)))
        assert takes(client, (word, float)) == (word, 1.0)
        assert takes(client, (word, int)) == (word, 1)


@step("7.2", starts=["own-space"])
def test_waits_until_it_comes(topology: Topology, rng: Random) -> None:
    """Who looks for what is not there waits until a tuple comes that matches; others are served meanwhile."""
    wanted, other = words(rng, 2)
    with ExitStack() as stack:
        reader, taker, third = clients_of(topology, stack, 3)
        reads_it, takes_it = Look(reader, Rd, (wanted, int)), Look(taker, In, (int, wanted))
        puts(third, (other, 1))
        puts(third, (1, other))
        for look in (reads_it, takes_it):
            look.assert_waits("no tuple has come that matches")
        puts(third, (wanted, 7))
        assert reads_it.result() == (wanted, 7)
        takes_it.assert_waits("no tuple has come that matches")
        puts(third, (8, wanted))
        assert takes_it.result() == (8, wanted)
        assert_nothing(reads(third, (int, wanted)))
        assert reads(third, (wanted, int)) == (wanted, 7)


@step("7.2", starts=["own-space"])
def test_one_tuple_for_one_taker(topology: Topology, rng: Random) -> None:
    """A tuple goes to every reader that waits for it, and to one taker; each of them is answered once."""
    (word,) = words(rng, 1)
    with ExitStack() as stack:
        clients = clients_of(topology, stack, 5)
        kinds: list[type[In | Rd]] = [Rd, In, Rd, In, Rd]
        looks = [Look(client, kind, (word, int)) for client, kind in zip(clients, kinds, strict=True)]
        putter = stack.enter_context(client_of(topology, "own-space"))
        puts(putter, (word, 1))
        assert [looks[number].result() for number in (0, 1, 2, 4)] == [(word, 1)] * 4
        looks[3].assert_waits("the tuple is another taker's")
        assert_nothing(reads(putter, (word, int)))
        puts(putter, (word, 2))
        assert looks[3].result() == (word, 2)


@step("7.2", starts=["own-space"])
def test_first_come_first_served(topology: Topology, rng: Random) -> None:
    """Of several that wait to take a tuple, the one gets it that has waited longest."""
    (word,) = words(rng, 1)
    with ExitStack() as stack:
        clients = clients_of(topology, stack, 4)
        rng.shuffle(clients)
        looks = [Look(client, In, (word, int)) for client in clients]
        putter = stack.enter_context(client_of(topology, "own-space"))
        for number in range(4):
            puts(putter, (word, number))
            for later in looks[number + 1 :]:
                later.assert_waits("somebody else has waited longer")
        assert [look.result() for look in looks] == [(word, number) for number in range(4)]


@step("7.2", starts=["own-space"])
def test_who_has_gone_takes_nothing(topology: Topology, rng: Random) -> None:
    """Who has gone, or has waited for as long as it would, gets no tuple any more: the next one does."""
    (word,) = words(rng, 1)
    with ExitStack() as stack:
        gone, patient, putter = clients_of(topology, stack, 3)
        link = topology.link("grader", "own-space")
        Look(gone, In, (word, int))
        second = Look(patient, In, (word, int), wait_s=0.1)
        third = Look(putter, In, (word, str))
        gone.close()
        until(lambda: link.stats().open_connections, lambda count: count == 2)
        assert_nothing(second.result())
        third.assert_waits("no tuple has come that matches")
        with client_of(topology, "own-space") as last:
            puts(last, (word, 1))
            assert takes(last, (word, int)) == (word, 1)
            puts(last, (word, word))
            assert third.result() == (word, word)


@step("7.2", starts=["own-space"])
def test_the_textbooks_programs(topology: Topology, rng: Random) -> None:
    """Bob, Alice and Chuck of the textbook run with your space, although the other two come before Bob."""
    bob, *others = (topology[f"textbook-{name}"] for name in ("bob", "alice", "chuck"))
    bobs_link = topology.link("textbook-bob", "own-space")
    bobs_link.delay(BEHIND_S, direction="forward")  # so that Chuck waits for his posts as well
    rng.shuffle(others)
    names = [program.name.removeprefix("textbook-") for program in (*others, bob)]
    sent(Told(f"the textbook's {', '.join(names)}, started in this order"))
    for program in others:
        program.start()
        until(
            topology.link(program.name, "own-space").stats, lambda stats: stats.forward_pieces >= 2, program
        )
    bob.start()
    for program in (bob, *others):
        ends_well(topology, program)
    shown = topology["textbook-chuck"].logs().splitlines()
    assert shown[0] in ("I am studying chap 2", "The linda example's pretty simple")
    assert shown[1:] == ["This graph theory stuff is not easy", "Cool book!"]
    assert bobs_link.injected > 0


# Step 7.3: the microblog


@step("7.3", starts=["space"])
def test_chuck_comes_first(topology: Topology, rng: Random) -> None:
    """Chuck and Alice come before there is a blog, and wait for Bob, who opens it."""
    bob, alice, chuck = (topology[name] for name in ("bob", "alice", "chuck"))
    _, expected, doras = a_microblog(topology, rng)
    with client_of(topology) as client:
        for number, program in enumerate((chuck, alice), start=1):
            program.start()
            await_blocked(client, number, program)
        assert {waits.verb for waits in client.waiting()} == {"rd"}, "They take the blog away from others."
        bob.start()
        for program in (bob, alice):
            ends_well(topology, program)
        the_blog(client).out(doras)
    ends_well(topology, chuck)
    assert chuck.logs().splitlines() == expected


@step("7.3", starts=["space"])
def test_chuck_comes_last(topology: Topology, rng: Random) -> None:
    """Chuck reads what others have posted, long after they have gone, and leaves it there."""
    _, expected, doras = a_microblog(topology, rng)
    for name in ("bob", "alice"):
        topology[name].start()
        ends_well(topology, topology[name])
    with client_of(topology) as client:
        the_blog(client).out(doras)
    for times in (1, 2):
        topology["chuck"].start()
        ends_well(topology, topology["chuck"])
        assert topology["chuck"].logs().splitlines() == expected * times


@step("7.3", starts=["space"])
def test_a_space_of_its_own(topology: Topology, rng: Random) -> None:
    """The posts are in a tuple space of the blog's own; in the universe one tuple says where, by its name."""
    posts, _, _ = a_microblog(topology, rng)
    name, another = words(rng, 2)
    with client_of(topology) as client:
        other_blog = client.new_space()
        client.universe.out((another, other_blog))  # nobody here has to do with it
        sent(Told(f"posts for the blog {name!r}; there is a blog {another!r}, too"))
        for author in ("bob", "alice"):
            topology[author].start(BLOG=name)
            ends_well(topology, topology[author])
        if posted := client.universe.count((object, object, object)):
            pytest.fail(f"In the universe there are {posted} posts.")
        if strays := other_blog.count((object, object, object)):
            pytest.fail(f"{strays} posts for the blog {name!r} are in the blog {another!r}.")
        assert client.universe.count((name, object)) == 1
        found, _ = the_blog(client, name).ls((object, object, object))
        assert sorted(found) == sorted(posts)


@step("7.3", starts=["space"])
def test_waits_for_a_post(topology: Topology, rng: Random) -> None:
    """Who wants to read a post that is not there yet waits for it, in the tuple space."""
    topic, text = words(rng, 2)
    chuck = topology["chuck"]
    (chuck.scratch / "wanted.txt").write_text(f"dora|{topic}\n")
    sent(Told(f"chuck is to read the post of dora on {topic}"))
    with client_of(topology) as client:
        blog = client.new_space()
        blog.out(("dora", topic + "x", "another topic"))
        client.universe.out(("MicroBlog", blog))
        chuck.start()
        await_blocked(client, 1, chuck)
        assert chuck.logs() == ""
        blog.out(("dora", topic, text))
        ends_well(topology, chuck)
        assert chuck.logs().splitlines() == [text]
        assert blog.count(("dora", topic, text)) == 1, "Who reads a post leaves it there."


@step("7.3", starts=["space"])
def test_digest(topology: Topology, rng: Random) -> None:
    """A digest has every post of an author, each as often as it was posted, and the blog stays as it is."""
    posts = [("bob", topic, text) for topic in words(rng, 5) for text in words(rng, 25)]
    posts.append(posts[0])
    for author in ("alice", "eve"):
        topic, text = words(rng, 2)
        posts.append((author, topic, text))
    rng.shuffle(posts)
    sent(Told("126 posts of bob, one of them twice, and 2 of others"))
    editor = topology["editor"]
    with ExitStack() as stack:
        client = stack.enter_context(client_of(topology))
        blog = client.new_space()
        blog.out_all(posts)
        client.universe.out(("MicroBlog", blog))
        put_from_now_on = stack.enter_context(closing(blog.notify((str, str, str))))
        editor.start(AUTHOR="bob")
        ends_well(topology, editor)
        expected = sorted(f"{topic}|{text}" for author, topic, text in posts if author == "bob")
        assert sorted(editor.logs().splitlines()) == expected
        assert blog.count((str, str, str)) == len(posts), "The number of posts has changed."
        blog.out(last := ("dora", *words(rng, 2)))
        if next(put_from_now_on) != last:
            pytest.fail("Posts were taken, and put back: others might have missed them.")


# Step 7.4: coordination


@step("7.4", starts=["space", "member-1", "member-2", "member-3"])
def test_semaphore(topology: Topology, rng: Random) -> None:
    """A semaphore lets as many pass as it counts; the next one waits until somebody releases it."""
    name, other = words(rng, 2)
    with Members(topology) as members:
        members.does("one", "create semaphore", name, 2)
        members.does("two", "create semaphore", other, 1)
        members.does("one", "acquire", name)
        members.does("two", "acquire", name)
        members.begins("three", "acquire", name)
        members.assert_waiting("three")
        members.does("one", "release", name)
        members.ends("three")
        members.does("one", "acquire", other)


@step("7.4", starts=["space", "member-1", "member-2", "member-3"])
def test_barrier(topology: Topology, rng: Random) -> None:
    """Nobody passes the barrier before the last one has come; then all do."""
    (name,) = words(rng, 1)
    with Members(topology) as members:
        members.does("one", "create barrier", name, 3)
        *early, last = rng.sample(members.names, 3)
        for member in early:
            members.begins(member, "wait", name, 3)
            members.assert_waiting(*early[: early.index(member) + 1])
        members.begins(last, "wait", name, 3)
        for member in members.names:
            members.ends(member)


@step("7.4", starts=["space", "member-1", "member-2", "member-3"])
def test_barrier_again(topology: Topology, rng: Random) -> None:
    """A barrier holds in every round as in the first, even if one is slow, whatever happens at another."""
    name, other = words(rng, 2)
    with Members(topology) as members:
        for barrier in (name, other):
            members.does("one", "create barrier", barrier, 2)
        members.begins("one", "wait", name, 2)
        members.begins("two", "wait", other, 2)
        members.assert_waiting("one", "two")  # each at a barrier of its own
        members.does("three", "wait", other, 2)
        members.ends("two")
        members.does("two", "wait", name, 2)
        members.ends("one")
        for _ in range(2):
            early, late = rng.sample(["one", "two"], 2)
            members.begins(early, "wait", name, 2)
            members.assert_waiting(early)
            members.does(late, "wait", name, 2)
            members.ends(early)
        overtake(topology, members, name, *rng.sample(["one", "two"], 2))


@step("7.4", starts=["space", "member-1", "member-2"])
def test_queue_keeps_the_order(topology: Topology, rng: Random) -> None:
    """A queue gives each item once, in the order in which it was put, whoever puts, two at once as well."""
    (name,) = words(rng, 1)
    items: list[Any] = [*words(rng, 3), *rng.sample(range(100), 3), "again", "again", None, (1, "x"), 2.5]
    rng.shuffle(items)
    with Members(topology, "one", "two") as members:
        members.does("one", "create queue", name)
        for item in items:
            members.does(rng.choice(["one", "two"]), "put", name, item)
            tuples = members.shuffle(rng)
            if not any(holds(fields, item) for fields in tuples):
                pytest.fail(f"No tuple holds {item!r}, which was put.")
        assert [members.does("two", "get", name) for _ in items] == items
        put_two_at_once(members, name, words(rng, 3))


@step("7.4", starts=["space", "member-1", "member-2", "member-3"])
def test_queue_waits(topology: Topology, rng: Random) -> None:
    """Who gets from an empty queue waits for an item; each item is given once, and of this queue only."""
    name, other = words(rng, 2)
    item, next_, foreign = rng.sample(range(100), 3)
    with Members(topology) as members:
        for queue in (name, other):
            members.does("three", "create queue", queue)
        members.does("three", "put", other, foreign)
        for number, member in enumerate(("one", "two"), start=1):
            members.begins(member, "get", name)
            members.assert_waiting(*("one", "two")[:number])
        members.does("three", "put", name, item)
        members.does("three", "put", name, next_)
        assert {members.ends("one"), members.ends("two")} == {item, next_}
        assert members.does("one", "get", other) == foreign


# Step 7.5: a bag of tasks


@step("7.5", starts=["space"])
def test_master(topology: Topology, rng: Random) -> None:
    """The master puts all its jobs into the bag at once, and tells each result as soon as it is there."""
    jobs = rng.sample(range(1000), 6)
    master = start_master(topology["master"], jobs)
    with client_of(topology) as client:
        tasks = take_tasks(topology, client, master, len(jobs))
        assert sorted(job for _, _, job in tasks) == sorted(jobs)
        rng.shuffle(tasks)
        for number, (_, results, job) in enumerate(tasks, start=1):
            results.out(("result", job, job + number))
            lines = until_lines(topology, master, number)
            assert lines[number - 1 :] == [f"{job} {job + number}"]
        ends_well(topology, master)


@step("7.5", starts=["space"])
def test_two_masters(topology: Topology, rng: Random) -> None:
    """Two masters use one bag, with the same jobs, and each gets the results of its own."""
    jobs = rng.sample(range(1000), 3)
    masters = [topology["master"], topology["other-master"]]
    with client_of(topology) as client:
        tasks = []
        for number, master in enumerate(masters):
            start_master(master, jobs)
            tasks += [(number, *task) for task in take_tasks(topology, client, master, len(jobs))]
        mixed = {results for number, _, results, _ in tasks if number} & {tasks[0][2]}
        if mixed:
            pytest.fail("Both masters want their results in the same space.")
        rng.shuffle(tasks)
        for number, _, results, job in tasks:
            results.out(("result", job, 1000 + number))
    for number, master in enumerate(masters):
        ends_well(topology, master)
        assert sorted(master.logs().splitlines()) == sorted(f"{job} {1000 + number}" for job in jobs)


@step("7.5", starts=["worker-1"])
def test_worker(topology: Topology, rng: Random) -> None:
    """A worker takes one task at a time, does it, and puts the result where the task says."""
    with a_bag(topology) as bag:
        results = {job: bag.put(job) for job in rng.sample(range(1000), 3)}
        for left in (2, 1, 0):
            job = bag.begun("worker-1")
            if (tasks := bag.tasks()) > left:
                pytest.fail("The worker is at a task, and the task is still in the bag.")
            if tasks < left:
                pytest.fail(f"While the worker is at one task, {tasks} of {left} others are in the bag.")
            assert results[job].count(RESULT) == 0
            factor = bag.finish(job, rng)
            assert bag.result(results[job]) == ("result", job, job * factor)


@step("7.5", starts=["space"])
def test_three_at_once(topology: Topology, rng: Random) -> None:
    """Three workers that come later than the master share its jobs, and do three of them at the same time."""
    jobs = rng.sample(range(1000), 6)
    master = start_master(topology["master"], jobs)
    with client_of(topology) as client:
        count_tasks = partial(client.universe.count, TASK)
        until(count_tasks, lambda count: count == len(jobs), master, among=topology)
    topology.start("gates")
    with a_bag(topology) as bag:
        for worker in NAMES:
            topology.start(worker)
            bag.begun(worker)  # and does not end before we say so
        assert bag.tasks() == 3
        factors = {job: bag.finish(job, rng) for job in jobs}
        ends_well(topology, master)
    assert sorted(master.logs().splitlines()) == sorted(f"{job} {job * factors[job]}" for job in jobs)


# Step 7.6: a worker dies


@step("7.6", starts=["space", "gates"])
def test_sturdy_worker(topology: Topology, rng: Random) -> None:
    """A sturdy worker does one task after the other, whole, and leaves nothing of them in the bag."""
    start_sturdy(topology["worker-1"])
    with a_bag(topology) as bag:
        results = {job: bag.put(job) for job in rng.sample(range(1000), 3)}
        for _ in range(3):
            bag.assert_done("worker-1", results, rng)
        for space in results.values():
            bag.assert_nothing_left("worker-1", space, rng)


@step("7.6", starts=["space", "gates"])
def test_killed_at_work(topology: Topology, rng: Random) -> None:
    """When a worker is killed at work, another one does its task."""
    job = rng.randrange(1000)
    start_sturdy(topology["worker-1"])
    with a_bag(topology) as bag:
        results = {job: bag.put(job)}
        assert bag.begun("worker-1") == job
        if bag.tasks():
            pytest.fail("A worker is at a task, and others see it all the same.")
        topology["worker-1"].kill()
        start_sturdy(topology["worker-2"])
        bag.assert_done("worker-2", results, rng)
        bag.assert_nothing_left("worker-2", results[job], rng)


@step("7.6", starts=["space", "gates"])
def test_cut_off_at_work(topology: Topology, rng: Random) -> None:
    """When a worker at work is cut off from the space, another one does its task."""
    job = rng.randrange(1000)
    link = topology.link("worker-1", "space")
    start_sturdy(topology["worker-1"])
    with a_bag(topology) as bag:
        results = {job: bag.put(job)}
        assert bag.begun("worker-1") == job
        link.cut()
        start_sturdy(topology["worker-2"])
        bag.assert_done("worker-2", results, rng)
        bag.assert_nothing_left("worker-2", results[job], rng)
    assert link.injected > 0


@step("7.6", starts=["space", "gates"])
def test_killed_with_the_result_out(topology: Topology, rng: Random) -> None:
    """When a worker is killed just after it has put its result, the result comes once all the same."""
    job = rng.randrange(1000)
    link = topology.link("worker-1", "space")
    start_sturdy(topology["worker-1"])
    with a_bag(topology) as bag:
        results = {job: bag.put(job)}
        assert bag.begun("worker-1") == job
        before = link.stats().forward_pieces
        link.stall(direction="backward")  # it never hears that its result has come
        bag.finish(job, rng)
        until(link.stats, partial(answered_in_vain, before), topology["worker-1"])
        topology["worker-1"].kill()
        link.heal()
        start_sturdy(topology["worker-2"])
        bag.assert_one_result(results[job], job)
        bag.assert_nothing_left("worker-2", results[job], rng)
    assert link.injected > 0


# Step 7.7: compare


@step("7.7", starts=["space"])
def test_time(topology: Topology, rng: Random) -> None:
    """The table says in which ways a message gets to a receiver that starts after the sender has ended."""
    claims = claimed(topology, "in_time")
    (text,) = words(rng, 1)
    send_in_all_ways(topology, text)
    receiver = topology["receiver"]
    receive_until_ready(topology, receiver)
    end_all_ways(topology, ["receiver"])
    ends_well(topology, receiver)
    got = [way for way in WAYS if text in arrived(receiver, way)]
    seen = "bob was started after the sender had ended, and got the message"
    assert_true_of(claims, {way: way not in got for way in WAYS}, seen, got)


@step("7.7", starts=["space"])
def test_names(topology: Topology, rng: Random) -> None:
    """The table says in which ways a message gets to a receiver that the sender has never heard of."""
    claims = claimed(topology, "by_name")
    (text,) = words(rng, 1)
    stranger = topology["other-receiver"]
    receive_until_ready(topology, stranger)
    send_in_all_ways(topology, text)
    end_all_ways(topology, ["other-receiver"], name="carol")
    ends_well(topology, stranger)
    got = [way for way in WAYS if text in arrived(stranger, way)]
    seen = "carol was there, of whom the sender had never heard, and got the message"
    assert_true_of(claims, {way: way not in got for way in WAYS}, seen, got)


@step("7.7", starts=["space"])
def test_to_all(topology: Topology, rng: Random) -> None:
    """The table says in which ways both of two receivers get a message."""
    claims = claimed(topology, "to_all")
    (text,) = words(rng, 1)
    names = ["receiver", "other-receiver"]
    for name in names:
        receive_until_ready(topology, topology[name], RECEIVER="bob")
    send_in_all_ways(topology, text)
    end_all_ways(topology, names)
    for name in names:
        ends_well(topology, topology[name])
    got = [way for way in WAYS if all(text in arrived(topology[name], way) for name in names)]
    seen = "two receivers were there, and wanted the message; both of them got it"
    assert_true_of(claims, {way: way in got for way in WAYS}, seen, got)


# What the checks have in common


@dataclass(frozen=True)
class Told:
    """What was sent, in words; a failure shows it as it is."""

    words: str

    def __repr__(self) -> str:
        return self.words


def words(rng: Random, count: int) -> list[str]:
    """So many different words."""
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices(string.ascii_lowercase, k=8))] = None
    return list(found)


def until(
    look: Callable[[], T], good: Callable[[T], bool], *needed: Service, among: Topology | None = None
) -> T:
    """Look again until what is seen is good, or there is no use in it any more; the last seen.

    There is none when patience ends, when a program that is needed has ended, or when all programs of a
    topology wait for each other.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    look_at_all_s = time.monotonic() + STILL_S
    while not good(seen := look()) and (now_s := time.monotonic()) < deadline_s:
        if not all(service.running for service in needed):
            return look()
        if among and now_s >= look_at_all_s:
            if stuck(among):
                return look()
            look_at_all_s = now_s + LOOK_S
        time.sleep(0.01)
    return seen


def stuck(topology: Topology) -> bool:
    """Whether every program that runs is blocked in a space: then nobody is left who could wake them.

    One that does several things at a time may look so for a moment. So it must have been so for a while.
    """
    running = sum(topology[name].running for name in PROGRAMS)
    blocked = all_blocked(topology)
    for_ever = all(waits.left_s is None and waits.waited_s >= STILL_S for waits in blocked)
    return 0 < running <= len(blocked) and for_ever


def all_blocked(topology: Topology) -> list[WaitsFor]:
    """All who wait in the spaces; of one that hangs up nobody is known."""
    found = []
    for name in SPACES:
        if topology[name].running:
            with suppress(PeerClosed, PeerRefused), client_of(topology, name) as client:
                found += client.waiting()
    return found


def who_waits(topology: Topology) -> str:
    """What programs wait for, in words, for a failure: in the order of the words, whoever came first."""
    blocked = [waits for waits in all_blocked(topology) if not waits.template.startswith("('order',")]
    lines = [f"{waits.verb} {waits.template}{waits.nearest and f' ({waits.nearest})'}" for waits in blocked]
    return f" Blocked: {'; '.join(sorted(lines))}." if lines else ""


def awaited(
    topology: Topology, space: TupleSpace, template: tuple[Any, ...], *needed: Service
) -> tuple[Any, ...] | None:
    """Take a tuple as soon as it comes; None if there is no use in waiting any more (see `until`)."""

    def look() -> tuple[Any, ...] | None:
        with suppress(NoTuple):
            return space.in_(template, timeout_s=LOOK_S)
        return None

    return until(look, lambda found: found is not None, *needed, among=topology)


def ends_well(topology: Topology, program: Service) -> None:
    """The program ends by itself, and has nothing to complain about."""
    status = until(partial(exit_status, program), lambda status: status is not None, among=topology)
    if status is None:
        pytest.fail(f"{program.name} does not end.{who_waits(topology)}")
    if status != 0:
        last = program.errors().strip().rpartition("\n")[2].removesuffix(".")
        pytest.fail(f"{program.name} ended with exit status {status}{last and f': {last}'}.")


def exit_status(program: Service) -> int | None:
    """Wait a while for its end; its exit status, None if it still runs."""
    with suppress(PeerSilent):
        return program.wait(LOOK_S)
    return None


@contextmanager
def client_of(topology: Topology, service: str = "space") -> Iterator[Client]:
    """A client of ours."""
    with connect(topology[service].address(), timeout_s=PATIENCE_S) as client:
        yield client


def clients_of(topology: Topology, stack: ExitStack, count: int) -> list[Client]:
    """So many clients of your space."""
    return [stack.enter_context(client_of(topology, "own-space")) for _ in range(count)]


# Steps 7.1 and 7.2


def assert_matches(
    topology: Topology, tuples: Sequence[tuple[Any, ...]], template: tuple[Any, ...], expected: Sequence[Any]
) -> None:
    """Of these tuples, exactly those match."""
    sent(Told(f"the template {written(template)}"))
    with client_of(topology, "shelf") as client:
        shelf = client.new_space()
        shelf.out_all(tuples)
        found, _ = shelf.ls(template)
    matched, right = list(map(written, found)), list(map(written, expected))  # for Python True == 1 == 1.0
    if wrong := [fields for fields in matched if fields not in right]:
        pytest.fail(f"{written(template)} matches {', '.join(wrong)}, and should not.")
    if missing := [fields for fields in right if fields not in matched]:
        pytest.fail(f"{written(template)} does not match {', '.join(missing)}, and should.")
    assert matched == right


def written(fields: tuple[Any, ...]) -> str:
    """A tuple or a template as Python would write it."""
    return show(from_wire(to_wire(fields, template=True), template=True))


def puts(client: Client, fields: tuple[Any, ...]) -> None:
    """A client puts a tuple."""
    sent(Told(f"out {written(fields)}"))
    client.universe.out(fields)


def takes(client: Client, template: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What a client takes that does not wait."""
    sent(Told(f"inp {written(template)}"))
    return client.universe.inp(template)


def reads(client: Client, template: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What a client reads that does not wait."""
    sent(Told(f"rdp {written(template)}"))
    return client.universe.rdp(template)


def assert_nothing(fields: tuple[Any, ...] | None) -> None:
    """No tuple came."""
    if fields is not None:
        pytest.fail(f"{written(fields)} came, and no tuple was expected.")


class Look:
    """A client looks for a tuple and is blocked, while the check goes on.

    The server has seen it when the constructor returns, for it has answered what the client asked next.
    """

    def __init__(
        self, client: Client, kind: type[In | Rd], template: tuple[Any, ...], wait_s: float | None = None
    ) -> None:
        sent(Told(f"{kind.__name__.lower()} {written(template)}"))
        self.client, self.template, self.wait_s = client, template, wait_s
        self.request = client.next_request()
        client.send(encode(kind(self.request, UNIVERSE, to_wire(template, template=True), wait_s)))
        if wait_s is None:
            self.assert_waits("no tuple has come")

    def assert_waits(self, why: str) -> None:
        """It has not been answered until now."""
        try:
            nothing = self.client.universe.rdp(("nobody puts this",))
        except PeerViolation:
            nothing = ()
        if nothing is not None:
            pytest.fail(f"The look for {written(self.template)} was answered, though {why}.")

    def result(self) -> tuple[Any, ...] | None:
        """The tuple that it gets; None if its time is over."""
        ping = self.client.next_request()
        if self.wait_s is None:  # what has been answered is answered before this
            self.client.send(encode(Rd(ping, UNIVERSE, to_wire(("nobody puts this",)), 0)))
        try:
            reply = self.client.receive(self.request)
        except (PeerSilent, PeerViolation):
            pytest.fail(
                f"The look for {written(self.template)} is not answered, though there is a tuple for it."
            )
        if self.wait_s is None:
            self.client.receive(ping)
        match reply:
            case Found(fields=fields):
                return from_wire(fields)
            case Nothing():
                return None
            case _:
                raise PeerViolation(f"The server answered a look for a tuple with {type(reply).__name__}.")


# Step 7.3


def a_microblog(topology: Topology, rng: Random) -> tuple[list[Post], list[str], Post]:
    """Posts for Bob and Alice, and something for Chuck to read.

    Returns:
        Their posts; what Chuck should print; a post of Dora's, whom the check plays: hers is in no file.
    """
    topics = words(rng, 3)
    posts = [(author, topic, words(rng, 1)[0]) for author in ("bob", "alice") for topic in topics]
    for author in ("bob", "alice"):
        lines = [f"{topic}|{text}\n" for who, topic, text in posts if who == author]
        (topology[author].scratch / "posts.txt").write_text("".join(lines))
    doras = ("dora", topics[0], words(rng, 1)[0])
    wanted = rng.sample([*rng.sample(posts, 3), doras], 4)
    lines = [f"{author}|{topic}\n" for author, topic, _ in wanted]
    (topology["chuck"].scratch / "wanted.txt").write_text("".join(lines))
    sent(Told(f"{len(posts)} posts of bob and alice; chuck is to read 3 of them, and dora's"))
    return posts, [text for _, _, text in wanted], doras


def the_blog(client: Client, name: str = "MicroBlog") -> TupleSpace:
    """The blog that the programs have opened."""
    found = client.universe.rdp((name, TupleSpace))
    if found is None:
        pytest.fail(f"In the universe there is no tuple ({name!r}, TupleSpace).")
    blog: TupleSpace = found[1]
    return blog


def await_blocked(client: Client, count: int, program: Service) -> None:
    """Wait until so many are blocked in the space, that program the last of them."""
    waiting = until(client.waiting, lambda waiting: len(waiting) == count, program)
    if len(waiting) != count:
        pytest.fail(f"{program.name} does not wait in the tuple space.")


# Step 7.4


class Members:
    """The processes that coordinate themselves, and the space that they do it in."""

    def __init__(self, topology: Topology, *names: str) -> None:
        self.names = names or ("one", "two", "three")
        self.services = {
            name: topology[f"member-{number}"] for number, name in enumerate(self.names, start=1)
        }
        self.topology = topology
        self.client = connect(topology["space"].address(), timeout_s=PATIENCE_S)
        self.space = self.client.new_space()
        self.asked_before: dict[str, int] = {}
        self.frozen: list[Service] = []

    def __enter__(self) -> Members:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def begins(self, member: str, what: str, *arguments: Any) -> None:
        """Let a member do something."""
        sent(Told(f"to {self.services[member].name}: {what} {' '.join(map(repr, arguments))}"))
        self.asked_before[member] = self._asked(member)
        self.client.universe.out(("order", member, self.space, what, arguments))

    def ends(self, member: str) -> Any:
        """Wait until it has done it; the result."""
        service = self.services[member]
        done = awaited(self.topology, self.client.universe, ("did", member, object), service)
        if done is None:
            pytest.fail(f"{service.name} does not get it done.{who_waits(self.topology)}")
        return done[2]

    def does(self, member: str, what: str, *arguments: Any) -> Any:
        """Let it do something, and wait until it has."""
        self.begins(member, what, *arguments)
        return self.ends(member)

    def take_all(self) -> list[tuple[Any, ...]]:
        """Take all tuples."""
        templates = [(object,) * arity for arity in range(1, 9)]
        return [self.space.in_(every) for every in templates for _ in range(self.space.count(every))]

    def shuffle(self, rng: Random) -> list[tuple[Any, ...]]:
        """Take all tuples, put them back in another order, for a space has none, and give them all."""
        tuples = self.take_all()
        rng.shuffle(tuples)
        self.space.out_all(tuples)
        return tuples

    @contextmanager
    def frozen_for_now(self, member: str) -> Iterator[None]:
        """Let a member stand still, wherever it is."""
        service = self.services[member]
        service.pause()
        self.frozen.append(service)
        try:
            yield
        finally:
            service.resume()
            self.frozen.remove(service)

    def until_idle(self, member: str) -> None:
        """Wait until it waits for an order."""
        order = f"('order', {member!r},"
        until(
            lambda: [waits for waits in self.client.waiting() if waits.template.startswith(order)],
            bool,
            self.services[member],
        )

    def until_asks(self, member: str) -> None:
        """Wait until it has sent a request for what it began."""
        until(partial(self._asked, member), lambda asked: asked > self.asked_before[member])

    def until_settled(self, *members: str) -> None:
        """Wait until these wait in the space, or are done."""
        services = [self.services[member] for member in members]
        until(partial(self._are_settled, members), bool, *services)

    def assert_waiting(self, *members: str) -> None:
        """These wait in the space until they may go on; the others are idle."""
        self.until_settled(*members)
        for member in members:
            if self._has_done(member):
                pytest.fail(f"{self.services[member].name} does not wait.")
            if self._asks_often(member):
                pytest.fail(f"{self.services[member].name} asks again and again, and is not blocked.")
        if (blocked := self._blocked()) != len(members):
            pytest.fail(f"Of {len(members)} that are to wait, {blocked} wait in the space.")

    def _are_settled(self, members: Sequence[str]) -> bool:
        """Whether all of them wait, or one of them does something else."""
        others = any(self._has_done(member) or self._asks_often(member) for member in members)
        return others or self._blocked() == len(members)

    def _blocked(self) -> int:
        """How many of those that are at work wait; none as long as somebody is not blocked at all."""
        waiting = [waits.template for waits in self.client.waiting()]
        if len(waiting) < len(self.names) - len(self.frozen):
            return 0
        return sum(not template.startswith("('order',") for template in waiting)

    def _has_done(self, member: str) -> bool:
        return self.client.universe.rdp(("did", member, object)) is not None

    def _asks_often(self, member: str) -> bool:
        return self._asked(member) > self.asked_before[member] + OFTEN

    def _asked(self, member: str) -> int:
        """How many requests it has sent, about."""
        return self.topology.link(self.services[member].name, "space").stats().forward_pieces


def overtake(topology: Topology, members: Members, name: str, slow: str, fast: str) -> None:
    """The slow one has come to a barrier, and stands still; the fast one goes on to the next round."""
    link = topology.link(members.services[slow].name, "space")
    members.until_idle(slow)
    link.delay(SLOW_S, direction="backward")
    members.begins(slow, "wait", name, 2)
    members.until_asks(slow)
    members.does(fast, "wait", name, 2)
    with members.frozen_for_now(slow):  # it has come, and has not heard so yet
        link.heal()
        members.begins(fast, "wait", name, 2)
        one, other = members.services[fast].name, members.services[slow].name
        sent(Told(f"{one} waits once more; {other} has not left the barrier yet"))
        members.assert_waiting(fast)
    members.ends(slow)
    members.does(slow, "wait", name, 2)
    members.ends(fast)
    assert link.injected > 0


def put_two_at_once(members: Members, name: str, items: Sequence[str]) -> None:
    """Two members put the first two items in the same moment, and each comes out of the empty queue once."""
    *both, last = items
    tuples = members.take_all()  # so that both wait for what they need first
    for member, item in zip(("one", "two"), both, strict=True):
        members.begins(member, "put", name, item)
    members.until_settled("one", "two")
    members.space.out_all(tuples)
    for member in ("one", "two"):
        members.ends(member)
    members.does("one", "put", name, last)
    got = [members.does("two", "get", name) for _ in both]
    if (came := sum(item in got for item in both)) != 2:
        one, other = both
        pytest.fail(
            f"Of {one!r} and {other!r}, which two members put at the same time, {came} came out in its turn."
        )
    assert members.does("two", "get", name) == last


def holds(value: Any, item: Any) -> bool:
    """Whether a tuple holds an item, at any depth."""
    return value == item or (isinstance(value, tuple | list) and any(holds(one, item) for one in value))


# Steps 7.5 and 7.6


def start_master(master: Service, jobs: Sequence[int]) -> Service:
    """A master with those jobs."""
    sent(Told(f"jobs {', '.join(map(str, jobs))}"))
    master.start(JOBS=",".join(map(str, jobs)))
    return master


def take_tasks(topology: Topology, client: Client, master: Service, count: int) -> list[tuple[Any, ...]]:
    """Take as many tasks out of the bag, all of which are there together."""
    there = until(partial(client.universe.count, TASK), lambda there: there == count, master, among=topology)
    if there != count:
        pytest.fail(f"Of {count} tasks, {there} are in the bag.")
    return [client.universe.in_(TASK) for _ in range(count)]


def until_lines(topology: Topology, program: Service, count: int) -> list[str]:
    """What it has printed when there are that many whole lines."""
    logs = until(program.logs, lambda logs: logs.count("\n") >= count, program, among=topology)
    return logs.splitlines()


def answered_in_vain(before: int, stats: LinkStats) -> bool:
    """Whether more has been sent than before, and what the space said to it is held up on the link."""
    return stats.forward_pieces > before and bool(stats.injected)


def start_sturdy(worker: Service) -> None:
    """A worker with the program of step 7.6."""
    worker.start(PROGRAM="sturdy_worker.py")


class Bag:
    """The bag of tasks as a master sees it, and the gates, which decide how long work takes."""

    def __init__(self, topology: Topology, space: Client, gates: Client) -> None:
        self.topology, self.space, self.gates = topology, space, gates

    def put(self, job: int) -> TupleSpace:
        """Put a task; where its result should come."""
        results = self.space.new_space()
        sent(Told(f"out ('task', TupleSpace, {job})"))
        self.space.universe.out(("task", results, job))
        return results

    def tasks(self) -> int:
        """How many tasks are in the bag."""
        return self.space.universe.count(TASK)

    def begun(self, worker: str) -> int:
        """Wait until that worker has begun a job; which."""
        template = ("begun", NAMES[worker], int)
        begun = awaited(self.topology, self.gates.universe, template, self.topology[worker])
        if begun is None:
            pytest.fail(f"{worker} does not begin a task.{who_waits(self.topology)}")
        return int(begun[2])

    def finish(self, job: int, rng: Random) -> int:
        """Let whoever is at that job get it done; the result is the job times the factor that is given."""
        factor = rng.randint(2, 1000)
        self.gates.universe.out(("go", job, factor))
        return factor

    def result(self, results: TupleSpace) -> tuple[Any, ...]:
        """Wait for a result, and take it."""
        result = awaited(self.topology, results, RESULT)
        if result is None:
            pytest.fail(f"The result does not come.{who_waits(self.topology)}")
        return result

    def assert_done(self, worker: str, results: dict[int, TupleSpace], rng: Random) -> None:
        """That worker does a task, and then there is its result."""
        job = self.begun(worker)
        if results[job].count(RESULT):
            pytest.fail("There is a result before the work is done.")
        factor = self.finish(job, rng)
        assert self.result(results[job]) == ("result", job, job * factor)

    def assert_one_result(self, results: TupleSpace, job: int) -> None:
        """There is a result, which is taken."""
        assert self.result(results)[1] == job

    def assert_nothing_left(self, worker: str, results: TupleSpace, rng: Random) -> None:
        """That worker, asked to do another task, has nothing else to do: no result comes once more."""
        last = rng.randint(1000, 2000)
        last_results = self.put(last)
        self.finish(last, rng)
        self.result(last_results)
        if results.count(RESULT):
            pytest.fail("The result has come twice.")
        if until(self.tasks, lambda tasks: not tasks, self.topology[worker], among=self.topology):
            pytest.fail("A task is left, and nobody does it.")


@contextmanager
def a_bag(topology: Topology) -> Iterator[Bag]:
    """The bag of tasks, which is in the universe."""
    with client_of(topology) as space, client_of(topology, "gates") as gates:
        yield Bag(topology, space, gates)


# Step 7.7


def claimed(topology: Topology, claim: str) -> dict[str, bool]:
    """What the table says about one property of each way."""
    program = topology["coupling"]
    sent(Told("python coupling.py"))
    program.start()
    ends_well(topology, program)
    cells = [line.split() for line in program.logs().splitlines()]
    claims = [(cell[0], cell[2] == "True") for cell in cells if len(cell) == 3 and cell[1] == claim]
    assert sorted(way for way, _ in claims) == sorted(WAYS), "The table says one thing about each way."
    return dict(claims)


def assert_true_of(claims: dict[str, bool], true: dict[str, bool], seen: str, got: Sequence[str]) -> None:
    """The table says what is true. If not, tell all that was seen: the student is to find the entry."""
    if claims != true:
        ways = ", ".join(got) or "no way"
        others = ", ".join(way for way in WAYS if way not in got) or "no way"
        pytest.fail(f"The table says something else than was seen: {seen} by {ways}, and not by {others}.")


def send_in_all_ways(topology: Topology, text: str) -> None:
    """A sender sends that text to Bob, and ends."""
    sent(Told(f"{text} in all four ways, to bob"))
    topology["sender"].start(TEXT=text)
    ends_well(topology, topology["sender"])


def receive_until_ready(topology: Topology, receiver: Service, **variables: str) -> None:
    """Start a receiver and wait until it would not miss anything."""
    receiver.start(**variables)
    until_lines(topology, receiver, 1)


def end_all_ways(topology: Topology, receivers: Sequence[str], name: str = "bob") -> None:
    """Send "end" in all ways, so that each receiver gets one: whatever was sent before has come before it."""
    with client_of(topology) as client:
        client.universe.out(("event", "end"), lease_s=0)
        for receiver in receivers:
            client.universe.out(("mail", name, "end"))
            client.universe.out(("news", "end"))
            with socket.create_connection(topology[receiver].address().pair, PATIENCE_S) as connection:
                connection.sendall(b"end")


def arrived(receiver: Service, way: str) -> list[str]:
    """What a receiver has got in one way."""
    lines = [line.partition(" ") for line in receiver.logs().splitlines()]
    return [text for name, _, text in lines if name == way]
