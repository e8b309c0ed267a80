"""Naming: what a column's name says of what is in it.

Here: words that companies use for keys, leaving, fees and gender. Not here: whether the values agree (`customers`,
`label_column`, `judging`).
"""

from __future__ import annotations

import re

_BETWEEN = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=[a-zà-ÿ\d])(?=[A-ZÀ-Þ])|(?<=[A-ZÀ-Þ])(?=[A-ZÀ-Þ][a-zà-ÿ])|[\W_]+")

_IDS = {"id", "key", "no", "nr", "number", "num", "nummer", "code", "uuid", "guid", "phone", "msisdn", "kennung"}
_WHOSE = {
    *("customer", "cust", "client", "user", "account", "acct", "member", "subscriber", "policyholder", "person"),
    *("household", "kunde", "kunden", "mitglied", "mitglieds", "clientnum", "userid", "customerid", "memberid"),
}
_PLACES = {"row", "rownumber", "rowid", "index", "unnamed", "line", "record"}
_LEAVING = re.compile(
    r"churn(ed|er)?|exit(ed|s)?|left|leaver|attrition|attrited|cancell?(ed|ation)?|terminated|lapsed|gone|quit|departed"
    r"|defected|unsubscribed|abgang|abgewandert|gek(ü|ue)ndigt|k(ü|ue)ndigung|resiliat(ion|ed)|baja"
)
_MONEY = re.compile(r"fees?|charges?|price|rate|amount|payment|mrr|beitrag|preis|geb(ü|ue)hr|betrag")
_MONTHLY = re.compile(r"month(ly)?|mrr|monats?|monatlich|monatliche[rs]?|monatsbeitrag|monatspreis|monatsgeb(ü|ue)hr")
_PAST = {"total", "sum", "failed", "late", "last", "count", "avg", "average", "mean", "overdue", "paid", "method"}
_AMOUNTS = {"balance", "salary", "income", "revenue", "spend", "spent", "cost", "limit", "hours", "mins", "minutes"}


def words_of(name: str) -> list[str]:
    """A name's words in small letters: `customerID`, `customer_id` and `Customer ID` are customer, id."""
    return [word.lower() for word in _BETWEEN.split(name) if word]


def meaning_of(name: str) -> str:
    """A name as the beginning of a sentence, since nothing else is known of what it means."""
    told = " ".join(words_of(name)) or name
    return f"{told[0].upper()}{told[1:]}."


def names_a_customer(name: str) -> int:
    """How much a name sounds like the key of customers; 0 where it does not, below where it numbers rows."""
    words = set(words_of(name))
    if words & _PLACES:
        return -1
    ids = bool(words & _IDS) or any(word.endswith("id") for word in words)
    return 2 * bool(words & _WHOSE) + ids


def names_an_id(name: str) -> bool:
    """Whether a name sounds like a number that stands for something."""
    return bool(set(words_of(name)) & (_IDS | _PLACES))


def names_a_yes(name: str) -> bool:
    """Whether a name sounds like something that is so or not."""
    return bool({"is", "has", "flag", "hat", "ist"} & set(words_of(name)))


def names_leaving(name: str) -> bool:
    """Whether a name sounds like who left."""
    return any(_LEAVING.fullmatch(word) for word in words_of(name))


def names_a_fee(name: str) -> bool:
    """Whether a name sounds like what a customer pays each month."""
    words = words_of(name)
    monthly, money = any(map(_MONTHLY.fullmatch, words)), any(map(_MONEY.search, words))
    return monthly and money and not set(words) & _PAST


def names_an_amount(name: str) -> bool:
    """Whether a name sounds like something that has fractions, even where none is seen."""
    words = words_of(name)
    return bool(set(words) & _AMOUNTS) or any(map(_MONEY.fullmatch, words))


def names_gender(name: str) -> bool:
    """Whether a name sounds like a gender."""
    return bool(set(words_of(name)) & {"gender", "sex", "geschlecht"})
