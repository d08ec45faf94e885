"""The texts of the demo bank: pools to pick from, awkward ones among them, and the canary.

Every personal text that the generator makes holds ``CANARY`` (in e-mail addresses in lower
case). Whoever finds it, whatever the case, in a log, a report or a page has found a leak.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

CANARY = "Qxzvkw"

GIVEN = (
    "Ada Agnes Aisha Alba Amir Anil Anna Astrid Bela Bruno Carla Chen Clara Dario Dilara Edda "
    "Elias Emeka Emil Erik Esther Fatima Felix Frida Greta Hana Hugo Ida Ilse Imre Ingrid Ivo "
    "Jana Jonas Jorge Jun Kaspar Katja Kofi Lars Lea Leila Linus Lucia Magda Malik Marta Mats "
    "Mei Mila Nadia Nils Nora Olga Omar Oskar Pia Priya Rafael Rosa Ruth Samir Selma Sven Tara "
    "Theo Uma Vera Viktor Wanda Xenia Yara Yusuf Zoe"
).split()

FAMILY = (
    "Abel Adler Aydin Baker Bauer Berg Blanco Brandt Castro Costa Cruz Dahl Diaz Dubois Eder "
    "Engel Evans Falk Farkas Fischer Fox Garcia Gruber Haas Hahn Hansen Huber Ito Jansen Kaya "
    "Keller Khan Klein Koch Kovacs Kumar Lang Lopez Maier Marin Meyer Moreau Nagy Novak Okafor "
    "Olsen Patel Peeters Perez Peters Reid Rossi Roth Russo Sato Schmid Silva Singh Smit Sousa "
    "Stein Tanaka Torres Urban Vogel Wagner Walsh Weber Winter Wolf Yilmaz Young Zhang Ziegler"
).split()

STREETS = "Station Church Mill Garden School Harbour Castle Bridge Forest Lake Hill Meadow".split()

CITIES: Sequence[tuple[str, str, str]] = (
    ("Berlin", "DE", "de"), ("Hamburg", "DE", "de"), ("Köln", "DE", "de"), ("Wien", "AT", "de"),
    ("Zürich", "CH", "de"), ("Paris", "FR", "fr"), ("Lyon", "FR", "fr"), ("Madrid", "ES", "es"),
    ("Sevilla", "ES", "es"), ("Lisboa", "PT", "pt"), ("Roma", "IT", "it"), ("Milano", "IT", "it"),
    ("Kraków", "PL", "pl"), ("Praha", "CZ", "cs"), ("Dublin", "IE", "en"), ("London", "GB", "en"),
    ("Oslo", "NO", "no"), ("Malmö", "SE", "sv"), ("Αθήνα", "GR", "el"), ("İzmir", "TR", "tr"),
)  # fmt: skip

SEGMENTS = ("retail", "retail plus", "premium", "business", "private", "youth")
STATUSES = ("active", "active", "active", "active", "active", "active", "active", "dormant")

ROLES = ("customer", "trader", "business_owner", "investor", "guardian", "youth", "vip")
PERMISSIONS: dict[str, Sequence[str]] = {
    "customer": ("accounts.read", "cards.read", "payments.create", "payments.read"),
    "trader": ("accounts.read", "portfolio.read", "securities.trade"),
    "business_owner": ("accounts.read", "payments.create", "payments.approve", "payroll.run"),
    "investor": ("portfolio.read", "funds.order"),
    "guardian": ("accounts.read", "limits.set"),
    "youth": ("accounts.read", "cards.read"),
    "vip": ("advisor.chat", "limits.raise"),
}
ROLE_SETS: Sequence[tuple[Sequence[str], float]] = (
    (("customer",), 0.66),
    (("customer", "investor"), 0.10),
    (("customer", "trader"), 0.05),
    (("customer", "business_owner"), 0.05),
    (("customer", "guardian"), 0.04),
    (("customer", "investor", "vip"), 0.03),
    (("customer", "investor", "trader", "vip"), 0.01),
    (("youth",), 0.06),
)
"""Which roles a user has, with the share of users."""

FLAGS = ("instant_payments", "dark_mode", "budget_planner", "voice_login", "crypto", "open_banking")

ACCOUNT_PRODUCTS = ("current", "current", "savings", "joint savings", "fixed term", "business")
CURRENCIES = ("EUR", "EUR", "EUR", "EUR", "USD", "CHF", "GBP")
BRANDS = ("Visa", "Mastercard", "Maestro")
CARD_KINDS = ("debit", "debit", "credit", "prepaid")
CATEGORIES = (
    "groceries restaurants travel fuel clothing electronics health leisure kids garden gifts books"
).split()
MERCHANTS = [
    f"{name} {CANARY} {kind}" for name in FAMILY[::3] for kind in ("Market", "Shop", "Bar")
]
LOAN_PRODUCTS = ("consumer", "car", "mortgage", "education")
THEMES = ("light", "dark", "system")
TOPICS = ("offers", "markets", "security", "events")
DEVICES = ("Phone", "Tablet", "Watch", "Laptop")
PLATFORMS = ("ios", "android", "web")
INCOMES = ("up to 20k", "20k-40k", "40k-60k", "60k-100k", "over 100k")
OCCUPATIONS = [
    f"{name} ({CANARY})"
    for name in "nurse teacher engineer cook clerk farmer pilot painter lawyer student".split()
]
WISHES = [
    (f"{adjective} {thing} {CANARY}", category)
    for thing, category in (
        ("bicycle", "leisure"), ("camera", "electronics"), ("cruise", "travel"), ("sofa", "home"),
        ("piano", "leisure"), ("tent", "travel"), ("oven", "home"), ("violin", "leisure"),
        ("laptop", "electronics"), ("greenhouse", "garden"), ("cot", "kids"), ("watch", "gifts"),
    )
    for adjective in ("small", "large", "red", "second-hand", "new")
]  # fmt: skip
ISINS = [f"XS{n * 7919 % 10**9:09d}{n % 10}" for n in range(1, 41)]
RISKS = ("cautious", "balanced", "bold")

ODD_NAMES = (
    f"Zoë 👩‍🚀🏦 {CANARY}",
    f"שרה {CANARY} لیلا",
    f'O\'{CANARY} "Quote" \\ Backslash',
    f"</script><script>alert('{CANARY}')</script>",
    f"{CANARY}\r\nERROR everything failed",
    f"\x1b[31m{CANARY}\x1b[0m\x07",
    f"{CANARY} e\u0301 \u212b \ufb01 \u200b\ufeff",
    f"{{{{7*7}}}} ${{{CANARY}}} %s %(x)s ; DROP TABLE customer; --",
    f"*{CANARY}* [a](b) | pipe | `code` <b>",
    f"{CANARY} " + "very long " * 2000,
)
"""Names that are good, and that break what does not encode them."""


def pick(pool: Sequence[str], where: np.ndarray) -> pl.Series:
    """The texts of a pool at the given places."""
    return pl.Series(pool, dtype=pl.String).gather(pl.Series(where))
