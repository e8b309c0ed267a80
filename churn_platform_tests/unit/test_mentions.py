"""Mentions: every way in which a text names a customer, and all that only looks like it."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_platform.assets.metadata import Words, markdown_table
from churn_platform.erasure.mentions import Mentions
from churn_platform.intake.landing import RAGGED, Violation
from churn_platform.online.publishing import Encoded
from churn_platform.online.types import OnlineStoreError
from churn_platform.shown import inert
from churn_platform_tests.streamflow import STREAMFLOW
from serving.problems import no_features

KEY = "user_id"
IDS = [
    "7590-VHVEG",
    "user_000123",
    "jo <jo@b.org> & co",
    'quo"te\\d',
    "Zo\u00eb/Ma\u00efs",
    "c4" * 45,
    "a_very|odd\tone",
]
NUMBERS = ["7", "00012", "1234567890", "ab", "-3.5", "1.5e-07", "2024-01", "metadata", "Some_Name", "landed/users"]


@pytest.mark.parametrize("customer", IDS)
@pytest.mark.parametrize(
    "write",
    [
        str,
        inert,
        html.escape,
        lambda id_: html.escape(inert(id_)),
        lambda id_: repr(id_),
        lambda id_: quote(id_, safe=""),
        lambda id_: json.dumps(id_),
        lambda id_: json.dumps({"said": f"{inert(id_)}\n{id_}"}),
        lambda id_: json.dumps({"said": f"\u00e9\n{id_}"}, ensure_ascii=False),
        lambda id_: json.dumps([json.dumps({"message": f"line 3: '{id_}'\t{id_}"})]),
    ],
)
def test_every_form_is_a_mention(customer: str, write: object) -> None:
    mentions = Mentions([customer], KEY)
    text = f"says {write(customer)}."  # type: ignore[operator]
    assert mentions.found(text)
    assert mentions.in_bytes(text.encode())
    without = mentions.without(text)
    assert "erased" in without
    assert not mentions.found(without)
    assert mentions.without(without) == without
    for part in re.findall(r"\w{5,}", customer):
        assert part not in without


@pytest.mark.parametrize(
    "text",
    [
        "17590-VHVEG",
        "7590-VHVEGA",
        "x7590-VHVEG",
        "7590-VHVEG-2",
        "7590-VHVEG_2",
        "a-7590-VHVEG",
        "\u00e97590-VHVEG",
        "7590-VHVE",
        "7590",
    ],
)
def test_a_part_of_a_longer_word_is_none(text: str) -> None:
    mentions = Mentions(["7590-VHVEG"], KEY)
    assert not mentions.found(text)
    assert mentions.without(text) == text
    assert mentions.touched(text.encode()) == ("7590-VHVEG" in text)


@pytest.mark.parametrize(
    "before", ["\\n", "\\\\n", "\\t", "\\u00e9", "\\x1b", "\\U0001f600", "%2F", "\x1b[34m", "'", "("]
)
def test_an_escape_may_stand_before_it(before: str) -> None:
    assert Mentions(["7590-VHVEG"], KEY).without(f"{before}7590-VHVEG,") == f"{before}erased,"


def test_a_match_that_is_none_hides_no_other() -> None:
    assert Mentions(["ab1ab1"], KEY).without("xab1ab1ab1 ab1ab1") == "xab1ab1ab1 erased"
    assert Mentions(["abc abc"], KEY).without("xabc abc abc") == "xabc erased"
    assert Mentions(["user_1", "user_12"], KEY).without("user_12 user_1 user_123") == "erased erased user_123"


@pytest.mark.parametrize("customer", ["n12345", "u00e912", "b_000001", "end123\\", "\\begin1", 'a"b"c"d'])
@pytest.mark.parametrize(
    "said", ["\n12345 {}", "\u00e912 {}", "{}\n", '{}"', "\\{}", "a\\{}\\", "\b{}", "\x08_000001 {}"]
)
def test_json_stays_json(customer: str, said: str) -> None:
    mentions = Mentions([customer], KEY)
    text = {"said": said.format(customer), "more": [customer, 7, None]}
    for written in (json.dumps(text), json.dumps(text, ensure_ascii=False), json.dumps(json.dumps(text))):
        found = json.loads(mentions.without(written))
        found = json.loads(found) if isinstance(found, str) else found
        assert found["more"] == ["erased" + "\\" * (customer[-1] == "\\"), 7, None]
        assert customer not in found["said"]


def broken_values(*values: str) -> str:
    """The table of broken rows as the UI shows it."""
    rows = [(number, KEY, value, Words("is a | b")) for number, value in enumerate(values, start=2)]
    shown = markdown_table(("line", "column", "value", "rule"), [*rows, (7, "tickets", "7", Words("is above 6"))])
    return str(shown.value)


@pytest.mark.parametrize("customer", NUMBERS)
def test_a_number_is_a_mention_where_a_value_is_quoted(customer: str) -> None:
    mentions = Mentions([customer], KEY)
    unknown = Violation(3, KEY, customer, "is an unknown customer")
    ragged = Violation(3, "", f"{customer},Male,yes,no", f"{RAGGED}: 4 fields")
    preview = markdown_table(("month", KEY), [("2024-01", customer), ("2024-01", "88")])
    cell = f'<tr>\n  <td id="cell-1-1" ><div class="shown">{html.escape(customer)}</div></td><td><div>2</div></td></tr>'
    with pytest.raises(OnlineStoreError) as raised:
        list(Encoded({"age": "number"}, [(customer, (1, 2))]))
    for text in (
        str(unknown),
        str(ragged),
        f"users.csv: {unknown}; {ragged}",
        html.escape(str(unknown)),
        str(preview.value),
        broken_values("00099", customer, "88"),
        cell,
        f'it\'s the customer "{customer}" again',
        no_features(customer),
        str(raised.value),
        f"Key (publication, customer)=(8, {customer}) already exists.",
        f'{{"{KEY}": "{customer}", "version": 3}}',
    ):
        for written in (text, json.dumps({"said": text}), json.dumps(json.dumps({"said": text}))):
            if written is not text and "<tr>" in text:
                continue  # pages are no JSON
            without = mentions.without(written)
            assert mentions.found(written), written
            assert without.count("erased") == 1 + ("; line 3" in text), without
            assert not mentions.found(without)
            if written is not text:
                json.loads(without)


@pytest.mark.parametrize(
    "text",
    [
        "7 of 60 rows, 0.7, 2024-07-07, '77', 7%, -7",
        '{"rows": 7, "attempt": "7", "of": ["7", "8"], "7": 1}',
        json.dumps(json.dumps({"attempt": "7", "months": ["6", "7"]})),
        "| month | rows |\n| --- | --- |\n| 2024-01 | 7 |\n| 2024-02 | 8 |",
        "| user_id | tickets |\n| --- | --- |\n| 8 | 7 |\n| 9 | 7 |",
        "| line | column | value | rule |\n| --- | --- | --- | --- |\n| 7 | tickets | 7 | is above 6 |",
        "<tr class='7'><td>missing</td><td colspan=\"7\">7</td></tr>",
        "<script>case'7':x=\"7\"+y;</script>",
        "line 7, column tickets: '17' is above 7",
        "line 7: '8,17,7.5,2024-07' ragged line: 4 fields",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    mentions = Mentions(["7"], KEY)
    assert mentions.without(text) == text
    assert not mentions.found(text)


def test_many_cost_little_more_than_one() -> None:
    text = " ".join(f"user_{number:06d}" for number in range(200_000, 300_000))
    ids = [f"user_{number:06d}" for number in range(0, 250_000, 50)]
    began = time.perf_counter()
    found = Mentions(ids, KEY).without(text)
    assert found.count("erased") == 1_000
    assert time.perf_counter() - began < 10  # one by one they take minutes


def test_ids_that_begin_each_other_are_all_found() -> None:
    ids = ["1" + "a" * length for length in range(6, 250)]
    mentions = Mentions(ids, KEY)
    assert mentions.without(" ".join(ids)).split() == ["erased"] * len(ids)
    assert not mentions.found("1" + "a" * 300)


def test_nobody_is_mentioned_nowhere() -> None:
    for nobody in (Mentions([], KEY), Mentions([""], KEY)):
        assert nobody.without("'' \"\" | | 7590-VHVEG") == "'' \"\" | | 7590-VHVEG"
        assert not nobody.touched(b"7590-VHVEG")


def test_a_key_of_any_name_is_known() -> None:
    mentions = Mentions(["7"], "Member_No.")
    table = markdown_table(
        ("line", "column", "value", "rule"), [(7, "Member_No.", "7", "is blank"), (8, "", "7;7", "")]
    )
    assert mentions.without(str(table.value)).count("erased") == 3
    assert mentions.without('{"Member_No.": "7", "at": "7"}') == '{"Member_No.": "erased", "at": "7"}'


HOSTILE = [
    *("EventLogEntry", "2024-01-31", "1e-100", "payments_agg_90d", "landed/users", "sha256"),
    *(', "pid": 1', '", "a1": "', "}"),
]
EVENT = {
    "__class__": "EventLogEntry",
    "path": ["landed", "payments_agg_90d", "landed/users"],
    "pid": 1,
    "sha256": 1e-100,
    "a0": "x",
    "a1": "y",
    "partition": "2024-01-31",
    "inner": json.dumps({"metadata": {"payments_agg_90d": 1e-100}, "pid": 1}),
}


@pytest.mark.parametrize("dump", [json.dumps, msgspec.json.encode])
def test_no_id_takes_other_texts_apart(dump: Callable[[object], str | bytes]) -> None:
    """Whoever chooses ids must not be able to break Dagster's storage by asking to be erased."""
    mentions = Mentions.of(STREAMFLOW, HOSTILE)
    written = dump(EVENT)
    text = written if isinstance(written, str) else written.decode()
    assert mentions.without(text) == text
    assert not mentions.found(text)
    for customer in HOSTILE:
        told = json.dumps({**EVENT, "said": str(Violation(3, KEY, customer, "is an unknown customer"))})
        found = json.loads(mentions.without(told))
        assert found.pop("said") == "line 3, column user_id: 'erased' is an unknown customer"
        assert found == EVENT


@given(st.data())
def test_any_id_leaves_json_and_is_gone_for_good(data: st.DataObject) -> None:
    texts = st.text("ab7-_ \\\"'n\nu0\u00e9<>|/&;%\t{}[]:,x", max_size=11)
    ids = data.draw(st.lists(texts.filter(bool), min_size=1, max_size=3))
    mentions, customer = Mentions(ids, KEY), ids[0]
    said = f"{data.draw(texts)}'{inert(customer)}'{data.draw(texts)}{customer}"
    inner = {"said": said, "others": [customer, 7, data.draw(texts)], KEY: customer, "shown": broken_values(customer)}
    text = json.dumps({"inner": json.dumps(inner)} if data.draw(st.booleans()) else inner)
    without = mentions.without(text)
    found = json.loads(without)
    found = json.loads(found["inner"]) if "inner" in found else found
    assert found[KEY] != customer
    assert found.keys() == inner.keys()
    assert len(found["others"]) == 3
    assert mentions.without(without) == without
    assert mentions.found(text) == (text != without)
    assert len(mentions.masked(text.encode())) == len(text.encode())
