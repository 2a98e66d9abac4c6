"""The page that Prometheus reads of a server, as Prometheus reads it."""

from collections import Counter
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families


def numbers(url: str) -> Counter[str]:
    """The sum of every metric of `url` over its labels."""
    with urlopen(url + "/metrics", timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        page = answer.read().decode()
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found[sample.name] += sample.value
    return found
