"""Every tag that there is, by id: the subclasses of TagTask in the modules imported here."""

from __future__ import annotations

from collections.abc import Mapping

from tag_tasks.tags import behavior, demographic, lifecycle, risk, wealth
from tag_tasks.tags.tag import TagTask

DOMAINS = (wealth, behavior, risk, lifecycle, demographic)


def catalogue() -> Mapping[int, TagTask]:
    """The tags of all domains, by ascending id. Raises ValueError where two share an id."""
    tags: dict[int, TagTask] = {}
    for domain in DOMAINS:
        for found in vars(domain).values():
            if isinstance(found, type) and issubclass(found, TagTask) and found.__module__ == domain.__name__:
                tag = found()
                if tag.tag_id in tags:
                    raise ValueError(
                        f"two tags have the id {tag.tag_id}: {tags[tag.tag_id].task_class}, {tag.task_class}"
                    )
                tags[tag.tag_id] = tag
    return dict(sorted(tags.items()))
