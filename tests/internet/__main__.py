"""`python -m tests.internet`: the lab, until it is interrupted."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from tests.internet.lab import HTTP, HTTPS, SSH, Lab

FOLDER = Path("data/lab")
HINT = f"""
The lab is up: corp.example and what belongs to it, at 127.1.0.0/24 (HTTP at {HTTP}, HTTPS at {HTTPS}, SSH at {SSH}).
In another terminal:

    set -a; source {FOLDER}/env; set +a; make run

and then, in a third one:

    API=http://127.0.0.1:5000/api/celery_task
    curl -X POST $API/ -H "Content-Type: application/json" -d '{{"task_type": "domain_task", "data": {{
      "name": "lab", "target": "corp.example", "options": {{"domain_brute": true, "ssl_cert": true,
      "site_identify": true, "site_spider": true, "web_info_hunter": true}}}}}}'
    curl $API/CELERY_ID/                  # SUCCESS, its phases and how much was found
    curl "$API/CELERY_ID/result/?kind=sites"
"""


def main() -> None:
    with Lab(fixed=True) as lab, suppress(KeyboardInterrupt):
        variables = lab.settings(FOLDER / "scope.yaml")
        (FOLDER / "env").write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
        print(HINT, flush=True)
        threading.Event().wait()


main()
