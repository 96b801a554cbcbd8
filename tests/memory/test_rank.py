"""Ranking alone: fusion, scores over links, the random walk, what fits a budget. No file, no loop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb.memory import rank
from aiomemdb.memory.prompt import cut, estimate_tokens, excerpt, pack
from aiomemdb.memory.questions import Links, Node
from aiomemdb.memory.rank import RandomWalk, Reached


def fact(id: int) -> Node:
    return ("fact", id)


def text(id: int) -> Node:
    return ("episode", id)


def entity(id: int) -> Node:
    return ("entity", id)


# -- fusion


def test_a_leg_alone_is_divided_by_its_best() -> None:
    assert rank.fuse([(1, 8.0), (2, 2.0)], [], 0.4) == {1: 1.0, 2: 0.25}
    assert rank.fuse([], [(1, 0.5), (2, 0.25)], 0.4) == {1: 1.0, 2: 0.5}


def test_two_legs_are_a_convex_combination() -> None:
    fused = rank.fuse([(1, 8.0), (2, 4.0)], [(2, 0.5), (3, 0.25)], 0.4)
    assert fused == {1: pytest.approx(0.6), 2: pytest.approx(0.3 + 0.4), 3: pytest.approx(0.2)}


def test_how_much_better_a_row_is_counts() -> None:
    """By ranks alone 2, second in both, would win: that is why it is not reciprocal rank fusion."""
    fused = rank.fuse([(1, 9.0), (2, 1.0)], [(3, 0.5), (2, 0.05), (1, 0.04)], 0.4)
    assert max(fused, key=lambda id: fused[id]) == 1


def test_a_leg_of_nothing_but_right_angles_has_no_say() -> None:
    assert rank.fuse([(1, 2.0)], [(2, 0.0), (1, 0.0)], 0.4) == {1: 1.0}


@given(
    st.dictionaries(st.integers(0, 20), st.floats(1e-9, 1e3)),
    st.dictionaries(st.integers(0, 20), st.floats(0, 1)),
    st.floats(0, 1),
)
def test_fused_scores_are_from_0_to_1(words: dict[int, float], near: dict[int, float], share: float) -> None:
    assert all(0 <= score <= 1 + 1e-9 for score in rank.fuse(list(words.items()), list(near.items()), share).values())


def test_the_best_of_some_kinds_come_in_one_order() -> None:
    scores = {fact(2): 1.0, fact(1): 1.0, text(3): 2.0, text(1): 0.5}
    assert rank.best(scores, 9) == [text(3), fact(2), fact(1), text(1)]  # of equal ones the newest
    assert rank.best(scores, 1, ["fact"]) == [fact(2)]


# -- links


def test_a_fact_passes_all_to_its_entities_and_is_no_hop_away() -> None:
    reached: dict[Node, Reached] = {}
    rank.walk({fact(1): Reached(0.8, 0)}, rank.to_entities(Links(ends=[(1, 5), (1, 6)])), reached)
    assert reached == {entity(5): Reached(0.8, 0, (fact(1),)), entity(6): Reached(0.8, 0, (fact(1),))}


def test_a_near_name_counts_as_far_as_it_is_near() -> None:
    reached: dict[Node, Reached] = {}
    rank.walk({entity(1): Reached(0.5, 0)}, rank.to_entities(Links(similar=[(1, 2, 0.8)])), reached)
    assert reached == {entity(2): Reached(pytest.approx(0.4), 0, (entity(1),))}


@pytest.mark.parametrize(
    ("links", "source", "target"),
    [
        (Links(evidence=[(1, 2)]), fact(1), text(2)),
        (Links(stated=[(1, 2)]), text(1), fact(2)),
        (Links(mentioned=[(1, 2)]), text(1), entity(2)),
        (Links(mentions=[(1, 2)]), entity(1), text(2)),
        (Links(beside=[(1, 2, 1)]), text(1), text(2)),
        (Links(facts=[(1, 2, None)]), entity(1), fact(2)),
    ],
)
def test_all_other_links_are_a_hop_that_passes_on_a_part(links: Links, source: Node, target: Node) -> None:
    reached: dict[Node, Reached] = {}
    rank.walk({source: Reached(1.0, 2, (fact(9),))}, rank.onward(links), reached)
    assert reached == {target: Reached(rank.DECAY, 3, (fact(9), source))}


def test_of_several_parents_the_best_counts() -> None:
    reached: dict[Node, Reached] = {}
    frontier = {text(1): Reached(0.2, 0), text(2): Reached(1.0, 0), text(3): Reached(0.9, 0)}
    gained = rank.walk(frontier, rank.onward(Links(beside=[(1, 4, 1), (2, 4, 1), (3, 4, 1)])), reached)
    assert reached == gained == {text(4): Reached(rank.DECAY, 1, (text(2),))}


def test_what_is_no_better_gains_nothing_and_no_node_passes_to_itself() -> None:
    reached = {text(4): Reached(0.9, 1, (text(9),))}
    frontier = {text(2): Reached(1.0, 1, (text(3),))}
    assert rank.walk(frontier, rank.onward(Links(beside=[(2, 4, 1), (2, 3, 1), (7, 5, 1)])), reached) == {}
    assert reached == {text(4): Reached(0.9, 1, (text(9),))}


def test_a_turn_passes_on_less_the_farther_away_another_is() -> None:
    reached: dict[Node, Reached] = {}
    rank.walk({text(1): Reached(1.0, 0)}, rank.onward(Links(beside=[(1, 2, 1), (1, 3, 2)])), reached)
    assert reached[text(2)] == Reached(rank.DECAY, 1, (text(1),))
    assert reached[text(3)] == Reached(pytest.approx(rank.DECAY**2), 2, (text(1),))


def test_what_came_over_links_is_added_to_what_was_found() -> None:
    own = {text(1): Reached(0.5, 0), text(2): Reached(0.4, 0)}
    whole = rank.total(own, {text(2): Reached(0.3, 1, (text(1),)), text(3): Reached(0.1, 1)})
    assert whole == {
        text(1): Reached(0.5, 0),
        text(2): Reached(pytest.approx(0.7), 0, (text(1),)),
        text(3): Reached(0.1, 1),
    }
    assert own == {text(1): Reached(0.5, 0), text(2): Reached(0.4, 0)}


def test_what_is_lifted_stands_between_its_source_and_where_it_was() -> None:
    whole = {text(1): Reached(1.0, 0), text(2): Reached(0.5, 0), text(3): Reached(0.99, 0)}
    steps = rank.onward(Links(mentions=[(7, 1), (7, 2), (7, 3), (7, 4)]))
    gained = rank.lift({entity(7): Reached(1.0, 0, (text(1),))}, steps, whole)
    assert {node: each.score for node, each in whole.items()} == {
        text(1): 1.0,  # not by itself
        text(3): pytest.approx(rank.DECAY + (1 - rank.DECAY) * 0.99),
        text(2): pytest.approx(rank.DECAY + (1 - rank.DECAY) * 0.5),
        text(4): pytest.approx(rank.DECAY),
    }
    assert {*gained} == {text(2), text(3), text(4)} and gained[text(4)].via == (text(1), entity(7))


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=20),
    st.dictionaries(st.integers(1, 6), st.floats(0.01, 1), min_size=1),
)
def test_nothing_that_is_lifted_passes_the_best(pairs: list[tuple[int, int]], scores: dict[int, float]) -> None:
    whole = {text(id): Reached(score, 0) for id, score in scores.items()}
    best = max(scores.values())
    for _ in range(3):
        rank.lift(dict(whole), rank.onward(Links(beside=[(one, other, 1) for one, other in pairs])), whole)
    assert max(each.score for each in whole.values()) <= best + 1e-9
    assert all(whole[text(id)].score >= score for id, score in scores.items())


# -- the random walk


def test_a_walk_begins_at_entities_by_how_few_texts_mention_them() -> None:
    begin = rank.restart({1: 1.0, 2: 1.0}, {1: 1, 2: 3}, {7: 1.0})
    assert sum(begin.values()) == pytest.approx(1)
    assert begin[entity(1)] == pytest.approx(3 * begin[entity(2)])
    assert begin[text(7)] == pytest.approx(rank.WALKED_TEXTS * begin[entity(1)])
    assert rank.restart({}, {}, {}) == {}


def test_mass_goes_all_ways_alike_and_a_part_of_it_begins_anew() -> None:
    walk = RandomWalk({entity(1): 1.0})
    assert walk.unknown() == [entity(1)]
    walk.learn([entity(1)], Links(facts=[(1, 11, 2), (1, 12, 2)], mentions=[(1, 5)], similar=[(1, 3, 0.9)]))
    walk.step()
    part = rank.DAMPING / 4
    assert walk.total == {
        entity(1): 1.0,
        entity(2): pytest.approx(2 * part),  # two facts, two ways
        text(5): pytest.approx(part),
        entity(3): pytest.approx(part),
    }
    assert sorted(walk.unknown()) == [entity(2), entity(3), text(5)]


def test_little_mass_stays_where_it_is() -> None:
    walk = RandomWalk({entity(1): rank.LEAST_MASS / 2})
    assert walk.unknown() == []
    walk.learn([entity(1)], Links(mentions=[(1, 5)]))
    walk.step()
    assert text(5) not in walk.total


def test_a_walk_reports_by_where_most_came_to_each_node() -> None:
    walk = RandomWalk({entity(1): 0.7, entity(2): 0.3})
    walk.learn(walk.unknown(), Links(mentions=[(1, 5), (2, 5)]))
    walk.step()
    walk.learn(walk.unknown(), Links(mentioned=[(5, 3), (5, 1), (5, 2)]))
    walk.step()
    assert walk.reached(text(5)) == Reached(walk.total[text(5)], 1, (entity(1),))
    assert walk.reached(entity(3)) == Reached(walk.total[entity(3)], 2, (entity(1), text(5)))
    assert walk.reached(entity(1)) == Reached(walk.total[entity(1)], 0, ())
    assert walk.reached(entity(9)) is None


def test_after_a_walk_the_best_of_each_kind_has_1_and_facts_have_what_they_are_about() -> None:
    walk = RandomWalk({entity(1): 1.0})
    walk.learn(walk.unknown(), Links(facts=[(1, 11, 2), (1, 12, None)], mentions=[(1, 5)]))
    walk.step()
    scores = walk.scores({fact(11): 0.5, fact(99): 0.2, text(8): 1.0})
    assert scores[entity(1)] == scores[text(5)] == scores[fact(11)] == 1.0
    assert scores[fact(12)] == pytest.approx(1 / 1.5) and scores[fact(99)] == pytest.approx(0.2 / 1.5)
    assert text(8) not in scores  # its mass is what counts, and none came to it


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20), st.integers(1, 6))
def test_a_walk_makes_no_mass_and_agrees_with_one_by_matrices(pairs: list[tuple[int, int]], steps: int) -> None:
    """A plain reference: each node's mass over all steps, on undirected links of entities."""
    links = [(a, n, b) for n, (a, b) in enumerate(pairs) if a != b]
    links += [(b, n, a) for a, n, b in links]
    mass = {node: 1.0 if node == 0 else 0.0 for node in range(7)}
    total = dict(mass)
    walk = RandomWalk({entity(0): 1.0})
    for _ in range(steps):
        ways = {node: [b for a, _, b in links if a == node] for node in range(7)}
        moved = dict.fromkeys(range(7), 0.0)
        for node, targets in ways.items():
            for target in targets:
                if mass[node] >= rank.LEAST_MASS:
                    moved[target] += rank.DAMPING * mass[node] / len(targets)
        mass = moved
        total = {node: total[node] + mass[node] for node in range(7)}
        unknown = walk.unknown()
        walk.learn(unknown, Links(facts=[link for link in links if entity(link[0]) in unknown]))
        walk.step()
    assert sum(walk.total.values()) <= 1 / (1 - rank.DAMPING) + 1e-9
    assert walk.total == {entity(node): pytest.approx(amount) for node, amount in total.items() if amount}


# -- what fits


def test_tokens_are_estimated_by_script() -> None:
    assert [estimate_tokens(each) for each in ("", "word", "words", "日本", "naïve")] == [0, 1, 2, 2, 2]


def test_packing_prefers_the_best_and_fills_up_with_what_is_shorter() -> None:
    entries = [("a" * 8,), ("b" * 100, "b" * 12), ("c" * 400,), ("d" * 4,)]
    assert pack(entries, 10**6, len) == [(n, versions[0]) for n, versions in enumerate(entries)]
    assert pack(entries, 30, len) == [(0, "a" * 8), (1, "b" * 12), (3, "d" * 4)]
    assert pack(entries, 0, len) == []


@given(st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=3)), st.integers(0, 200))
def test_what_is_packed_never_exceeds_its_budget(entries: list[list[str]], budget: int) -> None:
    chosen = pack(entries, budget, len)
    assert sum(len(line) + 1 for _, line in chosen) <= budget
    assert [place for place, _ in chosen] == sorted({place for place, _ in chosen})


def test_an_excerpt_shows_where_the_words_of_the_question_are() -> None:
    text = "Filler about nothing. " * 60 + "The harbour of Ostend was dredged by monks. " + "More of the same. " * 60
    part = excerpt(text, "Who dredged the harbour of Ostend?")
    assert "Ostend was dredged by monks" in part and len(part) <= 404
    assert part.startswith("… ") and part.endswith(" …")
    assert excerpt(text, "zebra") == excerpt(text) and excerpt(text).startswith("Filler")
    assert "same." in excerpt(text + "the end okapi", "okapi") and excerpt(text + "okapi", "okapi").endswith("okapi")


@given(st.text(max_size=3000), st.text(max_size=40))
def test_an_excerpt_is_short_whatever_the_text(text: str, question: str) -> None:
    assert len(excerpt(text, question)) <= 404 or len(text) <= 400


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [("abcdef", 6, "abcdef"), ("abcdefg", 6, "abcde…"), ("東京都", 6, "東京都"), ("東京都庁", 6, "東京…"), ("", 3, "")],
)
def test_a_line_is_cut_to_columns(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns) == shown


def test_an_excerpt_ends_with_a_whole_word() -> None:
    assert excerpt("short") == "short"
    long = excerpt("word " * 200)
    assert long.endswith("word …") and len(long) <= 402
