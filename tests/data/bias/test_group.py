"""Groups of customers: what is told, and the proxy of accent."""

from __future__ import annotations

from headset.data.bias.group import Customer, accent_proxy, group_by, read_customers


def caller(name, channel="voice"):
    return Customer(name, "en", channel, {})


def test_attributes_of_an_imported_conversation_are_groups(import_as, write, log):
    line = '{{"conversation_id": "c{0}", "language": "{1}", "attributes": {{"region": "{2}"}}, "turns": [{{"speaker":'
    turn = ' "customer", "text": "hello {0}", "intent": "greeting"}}]}}\n'
    content = "".join((line + turn).format(n, *told) for n, told in enumerate([("en", "north"), ("es", "south")]))
    import_as("jsonl", write(content))
    found = read_customers(log, ["bank:c0", "bank:c1", "bank:none"])
    customers = [found.get(each) for each in ("bank:c0", "bank:c1", "bank:none")]
    assert group_by(["language+region", "region", "tenure"], customers, ["", "", ""]) == {
        "language+region": ["en, north", "es, south", ""],
        "region": ["north", "south", ""],
        "tenure": ["", "", ""],
    }


def test_callers_whose_words_nobody_else_says_are_noisy():
    customers = [caller(name) for name in "abcd"] + [caller("e", "chat"), None]
    texts = ["my bill is high"] * 3 + ["mai pill ees high"] + ["my bill"] * 2
    assert accent_proxy(customers, texts) == ["clear", "clear", "clear", "noisy", "", ""]


def test_all_calls_of_a_customer_count_together():
    customers = [caller("a"), caller("a"), *[caller(name) for name in "bcdefgh"]]
    texts = ["mai pill", "hello", *["hello"] * 7]
    assert accent_proxy(customers, texts)[:3] == ["noisy", "noisy", "clear"]


def test_without_calls_nobody_has_a_group():
    assert accent_proxy([caller("a", "chat")], ["hello"]) == [""]
