"""The profile as PostgreSQL puts it together: joins over the tables of all product lines."""

from __future__ import annotations

from collections.abc import Mapping

from devstack.bank.schema import CARDS, CORE, Table

_OWNED = ("_owner",)

# As the demo bank has them, but in one database, and lending's dates as they came.
TABLES: Mapping[str, Table] = {
    **CORE,
    "customer": Table(
        CORE["customer"].columns, (*CORE["customer"].indexes, "city"), CORE["customer"].key
    ),
    **CARDS,
    "loan": Table(
        {
            "loan_id": "bigint",
            "account_no": "text",
            "product": "text",
            "principal": "numeric",
            "rate": "numeric",
            "instalments": "int",
            "granted_on": "text",
            "signed_at": "text",
        },
        ("loan_id", "account_no"),
        ("loan_id",),
    ),
    "schedule": Table(
        {
            "loan_id": "bigint",
            "instalment": "int",
            "due_on": "text",
            "amount": "numeric",
            "paid_on": "text",
        },
        ("loan_id",),
        ("loan_id", "instalment"),
    ),
    "preferences": Table(
        {"_owner": "bigint", "theme": "text", "push": "text", "mail": "text", "sms": "text"},
        _OWNED,
        _OWNED,
    ),
    "wish_item": Table(
        {
            "_owner": "bigint",
            "sku": "text",
            "title": "text",
            "category": "text",
            "price_cents": "bigint",
            "added_on": "text",
        },
        ("_owner, category",),
        ("sku",),
    ),
    "devices": Table(
        {
            "_owner": "bigint",
            "device_id": "text",
            "name": "text",
            "platform": "text",
            "trusted": "boolean",
            "last_seen_on": "text",
        },
        _OWNED,
        ("device_id",),
    ),
    "demographics": Table(
        {
            "_owner": "bigint",
            "income_band": "text",
            "occupation": "text",
            "adults": "int",
            "children": "int",
        },
        _OWNED,
        _OWNED,
    ),
    "portfolio": Table(
        {"_owner": "bigint", "risk_profile": "text", "total_cents": "bigint", "positions": "int"},
        _OWNED,
        _OWNED,
    ),
}

_SCHEDULE = """(
SELECT json_build_object('instalments', count(*), 'paid', count(s.paid_on),
    'outstanding', sum(s.amount) FILTER (WHERE s.paid_on IS NULL),
    'next_due', min(s.due_on) FILTER (WHERE s.paid_on IS NULL))
FROM schedule s WHERE s.loan_id = n.loan_id)"""

_LOANS = f"""(
SELECT json_agg(json_build_object('loan_id', n.loan_id, 'product', n.product,
    'principal', n.principal, 'rate', n.rate, 'instalments', n.instalments,
    'granted_on', n.granted_on, 'signed_at', n.signed_at, 'schedule', {_SCHEDULE})
    ORDER BY n.granted_on, n.loan_id)
FROM loan n WHERE n.account_no = a.account_no)"""

_ACCOUNTS = f"""(
SELECT json_agg(json_build_object('account_no', a.account_no, 'role', h.role,
    'product', a.product, 'balance', a.balance, 'currency', a.currency,
    'interest_rate', a.interest_rate, 'opened_on', a.opened_on, 'status', a.status,
    'loans', {_LOANS}) ORDER BY a.opened_on, a.account_no)
FROM account_holder h JOIN account a USING (account_no) WHERE h.customer_id = c.customer_id)"""

_SPENDING = """(
SELECT json_build_object('purchases', count(*), 'total', sum(p.amount),
    'travel', sum(p.amount) FILTER (WHERE p.category = 'travel'), 'largest', max(p.amount),
    'last_category', (array_agg(p.category ORDER BY p.purchased_at DESC))[1])
FROM purchase p WHERE p.holder_ref = k.holder_ref AND p.card_id = k.card_id)"""

_CARDS = f"""(
SELECT json_agg(json_build_object('card_id', k.card_id, 'brand', k.brand, 'kind', k.kind,
    'valid_until', k.valid_until, 'credit_limit', k.credit_limit, 'status', k.status,
    'spending', {_SPENDING}) ORDER BY k.card_id)
FROM card_holder o JOIN card k USING (holder_ref) WHERE o.customer_id = c.customer_id)"""

_RECENT = """(
SELECT json_agg(r) FROM (
    SELECT p.purchased_at AS at, p.merchant, p.category, p.amount
    FROM card_holder o JOIN purchase p USING (holder_ref)
    WHERE o.customer_id = c.customer_id ORDER BY p.purchased_at DESC LIMIT 5) r)"""

_WISHES = """(
SELECT json_agg(w) FROM (
    SELECT title, category, price_cents, added_on FROM wish_item
    WHERE _owner = c.customer_id ORDER BY added_on DESC, sku LIMIT 50) w)"""

_DEVICES = """(
SELECT json_agg(d) FROM (
    SELECT name, platform, trusted, last_seen_on FROM devices
    WHERE _owner = c.customer_id ORDER BY last_seen_on DESC, device_id LIMIT 10) d)"""

_PROFILE = f"""
SELECT json_build_object('user_id', c.customer_id,
    'identity', json_build_object('name', c.name, 'birth_date', c.birth_date, 'email', c.email,
        'phone', c.phone, 'address', json_build_object('street', c.street,
        'postal_code', c.postal_code, 'city', c.city, 'country', c.country),
        'language', c.language, 'segment', c.segment, 'status', c.status,
        'kyc_level', c.kyc_level, 'customer_since', c.customer_since),
    'auth', (SELECT json_build_object('locked', l.locked, 'closed', l.closed,
        'failed_attempts', l.failed_attempts, 'last_login_at', l.last_login_at)
        FROM login l WHERE l.customer_id = c.customer_id LIMIT 1),
    'roles', (SELECT json_agg(r.role ORDER BY r.role)
        FROM customer_role r WHERE r.customer_id = c.customer_id),
    'permissions', (SELECT x.permissions FROM access x WHERE x.customer_id = c.customer_id LIMIT 1),
    'features', (SELECT json_agg(f.flag ORDER BY f.flag)
        FROM feature f WHERE f.customer_id = c.customer_id AND f.enabled = 'true'),
    'accounts', {_ACCOUNTS}, 'cards', {_CARDS}, 'recent_purchases', {_RECENT},
    'preferences', (SELECT row_to_json(e)
        FROM preferences e WHERE e._owner = c.customer_id LIMIT 1),
    'wish_list', {_WISHES}, 'devices', {_DEVICES},
    'demographics', (SELECT row_to_json(g)
        FROM demographics g WHERE g._owner = c.customer_id LIMIT 1),
    'portfolio', (SELECT row_to_json(q) FROM portfolio q WHERE q._owner = c.customer_id LIMIT 1))
FROM customer c"""

BY_ID = f"{_PROFILE} WHERE c.customer_id = %s LIMIT 1"
BY_EMAIL = f"{_PROFILE} WHERE lower(c.email) = lower(%s)"
PERMISSIONS = "SELECT permissions FROM access WHERE customer_id = %s LIMIT 1"
SEARCH = f"""{_PROFILE} WHERE c.customer_id IN (
SELECT DISTINCT x.customer_id FROM customer x WHERE x.city = %s AND EXISTS (
    SELECT FROM wish_item w WHERE w._owner = x.customer_id AND w.category = %s) LIMIT %s)"""
