"""What a first run must find in a block: the users, the held ones, and each dataset's ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from devstack.bank.core_rows import OWNER, Frames
from devstack.bank.ends import USER, Ends, Way, crosswalk, way_of, with_bad
from devstack.bank.planting import MESS, STRANGERS

RECENT, WISHES, DEVICES = 5, 50, 10
"""The limits of the lists in examples/demo_bank/pipeline.yaml."""

BROUGHT = "account_holder.role"
"""What the link brings along to an account."""

_NO_KEY = ("no number", "number blank", "number padded with zeros", "number a double",
           "number with a command", "number beyond 2^53")  # fmt: skip


@dataclass
class Expected:
    """What must come of the rows.

    Attributes:
        users: the ids of those who get a profile.
        held: user id to reason, of those who get none.
        datasets: by the names of the pipeline file.
        placed: the rows in profiles, by dataset, each with its user.
    """

    users: pl.Series
    held: dict[int, str] = field(default_factory=dict)
    datasets: dict[str, Ends] = field(default_factory=dict)
    placed: dict[str, pl.DataFrame] = field(default_factory=dict)


def expected_of(frames: Frames) -> Expected:
    """What a run must make of a block."""
    ways = _own_ways(frames) | _linked_ways(frames)
    customers = ways["core.customer"].left
    everyone = customers[USER].unique()
    for name, way in ways.items():
        way.settle(everyone, _UNIQUE.get(name, ((),)))
    held = _held(everyone, ways)
    for way in ways.values():
        way.withhold(held[USER])
    _into_elements(ways)
    ways["cards.recent"].limit(("purchased_at", "purchase_id"), (True, False), RECENT)
    ways["engagement.wish_list"].limit(("added_on", "sku"), (True, False), WISHES)
    ways["engagement.devices"].limit(("last_seen_on", "device_id"), (True, False), DEVICES)
    for way in ways.values():
        way.place()
    expected = Expected(everyone.filter(~everyone.is_in(held[USER].implode())).sort())
    expected.held = dict(zip(held[USER].to_list(), held["why"].to_list(), strict=True))
    expected.datasets = {name: way.ends for name, way in ways.items()}
    expected.placed = {name: way.left for name, way in ways.items()}
    for name, table, keys in (
        ("core.account_holder", "account_holder", ("account_no", "customer_id")),
        ("cards.card_holder", "card_holder", ("holder_ref",)),
    ):
        reference = way_of(frames, table, keys)
        reference.refer()
        expected.datasets[name] = reference.ends
    return expected


def _own_ways(frames: Frames) -> dict[str, Way]:
    """The datasets whose rows carry their user."""
    ways: dict[str, Way] = {}
    for table in ("customer", "login", "access", "customer_role", "feature"):
        way = ways[f"core.{table}"] = way_of(frames, table, _KEYS[table])
        way.left = way.left.with_columns(pl.col("customer_id").alias(USER))
    ways["core.customer"].orphan(
        (pl.col(USER).is_null()) | (pl.col(MESS) == "id beyond 2^53"), "no_user_id (customer_id)"
    )
    ways["core.login"].drop(pl.col("password_hash").is_null(), "where")
    ways["core.access"].drop(pl.col("permissions").is_null(), "where")
    ways["core.feature"].drop(pl.col("enabled") == "false", "where")
    for table in ("contact", "demographics", "portfolio", "devices"):
        way = ways[f"engagement.{table}"] = way_of(frames, table, _KEYS[table])
        strange = pl.col(MESS).eq_missing("device of nobody")
        way.left = way.left.with_columns(
            pl.when(strange).then(pl.col(OWNER) + STRANGERS).otherwise(pl.col(OWNER)).alias(USER)
        )
    ways["engagement.contact"].quarantine(pl.col(MESS).is_in(_NO_KEY))
    ways["engagement.wish_list"] = _wishes(frames)
    return ways


def _wishes(frames: Frames) -> Way:
    """Wish lists, item by item: a list without any is a row too, and so is one that is no list."""
    lists = with_bad(frames["wish_list"], "wish_list")
    items = with_bad(frames["wish_item"], "wish_item")
    good = lists.filter(pl.col(MESS).is_null())
    items = items.filter(pl.col("_list").is_in(good["_id"].implode()))
    full = items["_list"].unique().implode()
    empty = lists.filter(~pl.col("_id").is_in(full))
    rows = pl.concat([items, empty], how="diagonal").with_columns(pl.col(OWNER).alias(USER))
    way = Way(rows, ("_list", "_id", "sku"))
    way.drop(pl.col("sku").is_null() & pl.col("_bad").is_null(), "empty")
    return way


def _linked_ways(frames: Frames) -> dict[str, Way]:
    """The datasets whose rows are led to their user by links."""
    holders = with_bad(frames["account_holder"], "account_holder")
    customer, number = pl.col("customer_id"), pl.col("account_no")
    holds = crosswalk(holders, number, **{USER: customer, BROUGHT: pl.col("role")})
    owns = crosswalk(holders.filter(pl.col("role") == "OWNER"), number, **{USER: customer})
    loans = crosswalk(with_bad(frames["loan"], "loan"), pl.col("loan_id"), account_no=number)
    bearers = with_bad(frames["card_holder"], "card_holder")
    bears = crosswalk(bearers, pl.col("holder_ref"), **{USER: customer})
    account = way_of(frames, "account", ("account_no",))
    account.follow("account_holder", holds, "account_no", USER, many=True)
    loan = way_of(frames, "loan", ("loan_id",))
    loan.follow("account_owner", owns, "account_no", USER)
    schedule = way_of(frames, "schedule", ("loan_id", "instalment"))
    schedule.follow("loan_account", loans, "loan_id", "account_no")
    schedule.follow_on("account_owner", owns, "account_no", USER)
    ways = {"core.account": account, "lending.loan": loan, "lending.schedule": schedule}
    for name, table in (
        ("cards.card", "card"),
        ("cards.spending", "purchase"),
        ("cards.recent", "purchase"),
    ):
        ways[name] = way_of(frames, table, _KEYS[table])
        ways[name].follow("card_owner", bears, "holder_ref", USER)
    ways["engagement.preferences"] = _preferences(frames)
    return ways


def _preferences(frames: Frames) -> Way:
    way = way_of(frames, "preferences", ("_id",))
    folded = pl.col("email").str.strip_chars().str.to_lowercase()
    keyless = ("no e-mail", "e-mail is a document")
    lost = pl.col(MESS) == "e-mail of nobody"
    email = pl.when(lost).then("nobody-" + folded).otherwise(folded)
    way.left = way.left.with_columns(
        pl.when(~pl.col(MESS).is_in(keyless).fill_null(value=False)).then(email).alias("email")
    )
    customers = with_bad(frames["customer"], "customer")
    known = crosswalk(customers, folded, **{USER: pl.col("customer_id")})
    way.follow("customer_email", known, "email", USER)
    return way


def _held(everyone: pl.Series, ways: Mapping[str, Way]) -> pl.DataFrame:
    """The held users, each with the first of the reasons by alphabet."""
    reasons = []
    for name in ("core.customer", "core.login", "core.access"):
        way = ways[name]
        bare = pl.col("why").str.replace(r" \(.*\)$", "")
        lost = pl.concat([way.left.select(USER, pl.lit("").alias("why")), *way.lost])
        missing = pl.DataFrame({USER: everyone}).join(lost, on=USER, how="anti")
        reasons += [each.select(USER, f"{name}: " + bare) for each in way.lost]
        reasons.append(missing.select(USER, pl.lit(f"{name}: missing").alias("why")))
    found = pl.concat([each.rename({each.columns[1]: "why"}) for each in reasons])
    return found.group_by(USER).agg(pl.col("why").min()).sort(USER)


def _into_elements(ways: Mapping[str, Way]) -> None:
    for child, parent, key in (
        ("lending.loan", "core.account", "account_no"),
        ("lending.schedule", "lending.loan", "loan_id"),
        ("cards.spending", "cards.card", "card_id"),
    ):
        ways[child].in_element(ways[parent].left, key)


_KEYS: Mapping[str, Sequence[str]] = {
    "customer": ("customer_id", OWNER),
    "login": ("customer_id",),
    "access": ("customer_id",),
    "customer_role": ("customer_id", "role"),
    "feature": ("customer_id", "flag"),
    "card": ("card_id",),
    "purchase": ("purchase_id",),
    "contact": ("_id",),
    "demographics": ("_id",),
    "portfolio": ("_id",),
    "devices": ("_id",),
}

_UNIQUE: Mapping[str, Sequence[Sequence[str]]] = {
    "core.customer": (("customer_id",), ()),
    "core.login": (("customer_id",), ()),
    "core.customer_role": (("role",),),
    "core.feature": (("flag",),),
    "core.account": (("account_no", BROUGHT),),
    "cards.card": (("card_id",),),
    "cards.spending": (("purchase_id",),),
    "cards.recent": (("purchase_id",),),
    "lending.loan": (("loan_id",),),
    "lending.schedule": (("loan_id", "instalment"),),
    "engagement.contact": (("_id",), ()),
    "engagement.preferences": (("_id",), ()),
    "engagement.wish_list": (("sku",),),
    "engagement.devices": (("device_id",),),
}
"""Columns that may not repeat for a user, in the order of judgement; ``()``: one row a user."""
