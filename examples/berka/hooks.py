"""The one thing about Berka that a pipeline file can't say."""

import pandas as pd
import pyarrow as pa


def birth_number(rows: pd.DataFrame) -> pd.DataFrame:
    """Adds ``birth_date`` (ISO text) and ``gender`` (F or M) to clients.

    A birth number is YYMMDD of the 20th century; women have 50 added to the month (the data
    set's own description).
    """
    text = pd.ArrowDtype(pa.string())
    number = rows["birth_number"].str
    month = number.slice(2, 4).astype(pd.ArrowDtype(pa.int64()))
    is_woman = month > 50
    month = (month - 50).where(is_woman, month).astype(text).str.zfill(2)
    birth_date = "19" + number.slice(0, 2) + "-" + month + "-" + number.slice(4, 6)
    gender = pd.Series("M", index=rows.index, dtype=text).mask(is_woman, "F")
    return rows.assign(birth_date=birth_date, gender=gender)
