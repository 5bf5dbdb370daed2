"""From the body of a search to the query that is dispatched."""

import time
from pathlib import Path

from app.api.house import House
from app.api.querying import query_of
from app.api.schemas.search import SearchBody
from app.settings import REPOSITORY, Settings
from compose.planning import load_plan


def test_all_that_is_done_for_a_query_shares_one_deadline(tmp_path: Path) -> None:
    """Looking up the document it names, or fetching its picture, takes from the time to search."""
    house = House(Settings(data_dir=tmp_path), load_plan(REPOSITORY / "flows" / "text.yml"))
    body = SearchBody.read({"query": {"text": "bread"}, "timeout_ms": 1_500})

    before = time.time()
    query = query_of(body, house)
    after = time.time()

    assert before + 1.5 <= query.deadline <= after + 1.5
    first, second = query.left_s, query.left_s
    assert second <= first <= query.deadline - after
