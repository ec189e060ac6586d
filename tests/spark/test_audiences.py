"""Audiences: what a platform has is what the definition says, hash by hash, and nothing is sent twice for nothing."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tag_tasks.audiences.accounts import Accounts
from tag_tasks.audiences.members import tags_in
from tag_tasks.audiences.preview import preview
from tag_tasks.audiences.sent import NOBODYS, SENT, SentTable, Step
from tag_tasks.audiences.sync import AudienceSync
from tag_tasks.platforms.model import name_for
from tag_tasks.spark.session import Spark
from tag_tasks.tags.table import MembershipTable
from tagapi.jobs import changes
from tagapi.jobs.errors import Contended, JobCancelled, NotFoundInData, TaskFailed, Transient
from tagapi.jobs.model import Json, Request
from tests.platforms import faults as kinds
from tests.platforms.faults import Fault
from tests.spark.audience_world import NAME, AudienceWorld, audience_world
from tests.spark.world import BASIC, EVERY_TAG, NO_TAG, NOON
from tests.unit.outside import Context, Killed

PLATFORMS = ("meta", "google")


@pytest.fixture
def there(spark: Spark, tmp_path: Path) -> Iterator[AudienceWorld]:
    """Twelve users with identifiers, of whom the even ones carry every tag."""
    with audience_world(spark, tmp_path) as made:
        for number in range(12):
            made.world.data.put(
                f"user{number:02}",
                **(EVERY_TAG if number % 2 == 0 else NO_TAG),
                email=f"User.{number:02}@Gmail.com ",
                phone=f"+57 300-{number:07}",
            )
        made.world.data.save()
        made.world.result()
        yield made


def carry(there: AudienceWorld, *users: str, all_tags: bool = True) -> None:
    for user in users:
        there.world.data.put(user, **(EVERY_TAG if all_tags else NO_TAG))
    there.world.data.save()
    there.world.result()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_audience_is_what_its_expression_says_hash_by_hash(there: AudienceWorld, platform: str) -> None:
    result = there.sync(platform)
    assert there.there(platform) == there.wanted(platform, "list_contains(tags, 1)")
    assert len(there.there(platform)) == 6
    told = {key: result[key] for key in ("success", "members", "added", "removed", "without_identifier", "invalid")}
    assert told == {
        "success": True,
        "members": 6,
        "added": 6,
        "removed": 0,
        "without_identifier": 0,
        "invalid": 0,
    }
    assert result["message"] == "Audiencia sincronizada con éxito"
    assert result["table_version"] == there.world.version()
    assert [*there.books(platform).members] == [result["audience_id"]]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_repeated_sync_sends_nothing(there: AudienceWorld, platform: str) -> None:
    first = there.sync(platform)
    before = len(there.requests(platform))
    again = there.sync(platform)
    assert there.sent_since(platform, before) == []
    assert (again["added"], again["removed"], again["members"]) == (0, 0, 6)
    assert again["audience_id"] == first["audience_id"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_only_differences_are_sent(there: AudienceWorld, platform: str) -> None:
    there.sync(platform)
    carry(there, "user01", "user03")
    carry(there, "user00", all_tags=False)
    result = there.sync(platform)
    assert (result["added"], result["removed"], result["members"]) == (2, 1, 7)
    assert there.there(platform) == there.wanted(platform, "list_contains(tags, 1)")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_changed_identifier_is_a_removal_and_an_addition(there: AudienceWorld, platform: str) -> None:
    there.sync(platform)
    there.world.data.put("user02", email="neu@example.org")
    there.world.data.save()
    result = there.sync(platform)
    assert (result["added"], result["removed"]) == (1, 1)
    assert there.there(platform) == there.wanted(platform, "list_contains(tags, 1)")


def test_hashes_of_somebody_else_are_not_taken_away(there: AudienceWorld) -> None:
    """Two users with one address and one number: when one of them goes, the other stays at the platform."""
    for user in ("user00", "user02"):
        there.world.data.put(user, email="both@example.org", phone="+573001112233")
    there.world.data.save()
    there.sync()
    carry(there, "user00", all_tags=False)
    result = there.sync()
    assert (result["members"], result["removed"]) == (5, 1)
    assert there.there("meta") == there.wanted("meta", "list_contains(tags, 1)")


@pytest.mark.parametrize(
    ("email", "phone", "counted"),
    [
        (None, None, (1, 0)),
        ("", "  ", (1, 0)),
        ("no address", "300 123 4567", (1, 2)),
        ("a@b", "+12", (1, 2)),
        ("a@example.org", "12", (0, 1)),
        ("a@example.org", "+57 300 123 4567 ext 8", (0, 1)),
        (" Ü.Ñ@EXAMPLE.org", "0057 (300) 123 4567", (0, 0)),
    ],
)
def test_what_cannot_be_sent_is_counted(
    there: AudienceWorld, email: str | None, phone: str | None, counted: tuple[int, int]
) -> None:
    there.world.data.put("user00", email=email, phone=phone)
    there.world.data.save()
    result = there.sync()
    assert (result["without_identifier"], result["invalid"]) == counted
    assert result["members"] == 6 - counted[0]
    assert there.there("meta") == there.wanted("meta", "list_contains(tags, 1)")


def test_a_dry_run_counts_the_same_and_sends_nothing(there: AudienceWorld) -> None:
    before = len(there.requests("meta"))
    counted = there.sync(dry_run=True)
    assert len(there.requests("meta")) == before
    assert (counted["members"], counted["added"], counted["removed"]) == (6, 6, 0)
    assert counted["audience_id"] is None and counted["dry_run"] is True
    sent = there.sync()
    same = ("members", "added", "removed", "without_identifier", "invalid", "table_version")
    assert {key: counted[key] for key in same} == {key: sent[key] for key in same}


def test_a_simulated_sync_reaches_nobody(there: AudienceWorld) -> None:
    result = there.sync(simulate=True)
    assert result["simulated"] is True and str(result["audience_id"]).startswith("SIM-")
    assert (result["members"], result["added"]) == (6, 6)
    assert there.sync(simulate=True)["added"] == 0
    assert there.requests("meta") == []
    assert there.sync()["added"] == 6


def with_consent(there: AudienceWorld, consents: Mapping[str, bool | None]) -> None:
    rows = list(there.world.data.rows[BASIC].values())
    schema = pa.schema([*pq.read_schema(next((there.world.data.folder / BASIC).glob("*.parquet")))])
    told = pa.Table.from_pylist(rows, schema)
    column = pa.array([consents.get(row["user_id"]) for row in rows], pa.bool_())
    there.world.data.write(BASIC, told.append_column("ads_consent", column))


def test_where_consents_are_kept_those_alone_are_sent_who_gave_theirs(there: AudienceWorld) -> None:
    with_consent(there, {"user00": True, "user02": False, "user04": True})
    result = there.sync(consent=None)
    assert result["members"] == 2
    assert there.there("meta") == there.wanted("meta", "list_contains(tags, 1)", consent="ads_consent")


def test_without_any_consent_nothing_is_sent(there: AudienceWorld) -> None:
    with pytest.raises(TaskFailed, match="ads_consent"):
        there.sync(consent=None)
    assert there.requests("meta") == []


def test_a_tag_that_was_never_computed_is_nobody_s_audience(there: AudienceWorld) -> None:
    there.sync()
    with pytest.raises(TaskFailed, match="La etiqueta 9 todavía no se ha calculado"):
        there.sync(tags={"any": [1, 9]})
    assert len(there.there("meta")) == 6


def test_a_preview_counts_what_a_sync_would_send(there: AudienceWorld) -> None:
    """Half of the users carry every tag; two more carry some of them."""
    carry(there, "user01", "user03")
    expression = {"all": [1], "any": [2, {"all": [5], "none": [3]}], "none": [7]}
    for asked in (expression, {"all": [1, 2]}, {"any": [4]}):
        with there.world.spark.session() as session:
            told = preview(session, there.world.table, asked)
        tags = sorted(set(tags_in(asked)))
        carried = {tag: set(there.world.members(tag)) for tag in tags}
        assert told["tags"] == [{"tag_id": tag, "users": len(carried[tag])} for tag in tags]
        assert told["overlaps"] == [
            {"tag_ids": [one, other], "users": len(carried[one] & carried[other])}
            for one, other in itertools.combinations(tags, 2)
        ]
        assert told["table_version"] == there.world.version()
    assert told["size"] == len(carried[4]) == 8
    with there.world.spark.session() as session:
        assert preview(session, there.world.table, {"all": [1], "none": [2]})["size"] == 0
        assert preview(session, there.world.table, {"all": [1, 2]})["size"] == 8


def test_a_preview_of_a_tag_that_was_never_computed_is_refused(spark: Spark, tmp_path: Path) -> None:
    with spark.session() as session, pytest.raises(NotFoundInData, match="computed tag 1"):
        preview(session, MembershipTable(str(tmp_path / "none")), {"all": [1]})


def test_an_audience_may_be_a_segment(there: AudienceWorld) -> None:
    definition = {"name": NAME, "tags": None, "segment": {"model": "clientes", "segment": 1}}
    with pytest.raises(TaskFailed, match="no se ha predicho"):
        there.sync(audience=definition)
    there.trained(segments=2)
    there.predicted(1, 1, "user01", "user04", "user07")
    assert there.sync(audience=definition)["members"] == 3
    addresses = {f"user.{number:02}@gmail.com" for number in (1, 4, 7)}
    hashes = {hashlib.sha256(address.encode()).hexdigest() for address in addresses}
    assert {value for row in there.there("meta") for value in row} >= hashes and len(there.there("meta")) == 3


def test_a_segment_that_the_model_in_use_has_not_empties_no_audience(there: AudienceWorld) -> None:
    there.trained(segments=2)
    there.trained(segments=6)
    there.predicted(1, 1, "user01", "user04", "user07")
    segment = {"model": "clientes", "segment": 1}
    definition: dict[str, Any] = {"name": NAME, "tags": None, "segment": segment}
    assert there.sync(audience=definition)["members"] == 3
    with pytest.raises(TaskFailed, match="no tiene segmento 5"):
        there.sync(audience={**definition, "segment": {**segment, "segment": 5}})
    there.predicted(2, 1, "user09")  # one user alone, by a newer version whose segments mean something else
    assert there.sync(audience=definition)["members"] == 3
    assert len(there.there("meta")) == 3


# -- interruptions -------------------------------------------------------------------------


class Mortal(SentTable):
    """The table of a process that dies before, or after, its so-manieth commit."""

    def __init__(self, path: str, dies_at: int) -> None:
        super().__init__(path)
        self.left = dies_at

    def change(self, *what: Any) -> Any:
        self._step()
        held = super().change(*what)
        self._step()
        return held

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_upload_that_is_killed_at_any_step_ends_complete(there: AudienceWorld, platform: str) -> None:
    """Each round most of those who are there go, and others come; a process dies one step later than in the last."""
    there.sync(platform)
    for step in itertools.count():
        halves = [[f"user{number:02}" for number in range(half, 12, 2)] for half in (step % 2, 1 - step % 2)]
        carry(there, *halves[0][1:], all_tags=False)
        carry(there, *halves[1])
        context, died = there.context(platform), False
        try:
            result = there.attempt(context, Mortal(there.table.path, step))
        except Killed:
            died = True
            result = there.attempt(context)
        assert there.there(platform) == there.wanted(platform, "list_contains(tags, 1)")
        assert result["members"] == 7
        before = len(there.requests(platform))
        there.sync(platform)
        assert there.sent_since(platform, before) == []
        if not died:
            break
    assert step > 10


@pytest.mark.parametrize(
    "kind", [kinds.LOST_BEFORE, kinds.LOST_AFTER, kinds.FAILS_BEFORE, kinds.FAILS_AFTER, kinds.LIMITED]
)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_upload_survives_faults_at_each_request(there: AudienceWorld, platform: str, kind: str) -> None:
    there.sync(platform)
    carry(there, *(f"user{number:02}" for number in (1, 3, 5, 7, 9)))
    carry(there, "user00", "user02", all_tags=False)
    context, failures = there.context(platform), 0
    there.servers[platform].platform.faults.set(Fault(kind, "users|ingest|remove|userLists", chance=0.5), seed=7)
    for _ in range(100):
        try:
            there.attempt(context)
            break
        except Transient:
            failures += 1
    assert failures > 1
    assert there.there(platform) == there.wanted(platform, "list_contains(tags, 1)")


def test_a_lost_answer_makes_no_second_audience(there: AudienceWorld) -> None:
    there.meta.faults.set(Fault(kinds.LOST_AFTER, "POST .*customaudiences", nth=1))
    context = there.context()
    with pytest.raises(Transient):
        there.attempt(context)
    there.attempt(context)
    assert len(there.meta.members) == 1
    assert there.there("meta") == there.wanted("meta", "list_contains(tags, 1)")


def test_a_sync_that_is_stopped_says_what_was_sent(there: AudienceWorld) -> None:
    there.meta.faults.set(Fault(kinds.LIMITED, "POST .*/users", nth=2))
    context = there.context()
    with pytest.raises(Transient):
        there.attempt(context)
    context.cancelled = True
    with pytest.raises(JobCancelled):
        there.attempt(context)
    context.cancelled = False  # as an attempt to undo, which no cancel interrupts
    assert there.task().undo(context) == "se enviaron 3 altas y 0 bajas"
    assert len(there.meta.members) == 1
    there.sync()
    assert there.there("meta") == there.wanted("meta", "list_contains(tags, 1)")


def test_an_audience_that_nobody_knows_of_is_deleted(there: AudienceWorld) -> None:
    there.meta.faults.set(Fault(kinds.LOST_AFTER, "POST .*customaudiences", nth=1))
    context = there.context()
    with pytest.raises(Transient):
        there.attempt(context)
    assert there.task().undo(context) is None
    assert there.meta.members == {} or not any(
        thing["kind"] == "customaudiences" for thing in there.meta.things.values()
    )


def test_an_attempt_that_stood_still_records_no_audience_that_is_gone(there: AudienceWorld) -> None:
    """It was undone between the answer that made the audience and the commit that says so."""
    context = there.context()

    class Frozen(SentTable):
        def write_about(self, *what: Any) -> Any:
            there.task().undo(context)
            return super().write_about(*what)

    with pytest.raises(Contended):
        there.attempt(context, Frozen(there.table.path))
    assert there.table.abouts() == []
    assert there.sync()["added"] == 6


def test_an_audience_that_appears_late_is_deleted_later(there: AudienceWorld) -> None:
    context = there.context()
    there.attempt(context)
    request = Request(job_id=context.job_id, task=AudienceSync.name, owner="ana", arguments=context.arguments)
    accepted = replace(changes.accept(request, NOON), journal=tuple(context.entries))
    account = there.accounts.real["meta"]
    late = account.create(name_for(NAME, context.job_id))
    copied = account.create(f"{name_for(NAME, context.job_id)} - Copy")
    assert late in str(there.task().look_again(accepted))
    assert there.task().look_again(accepted) is None
    assert late not in there.meta.things and copied in there.meta.things
    assert len(there.there("meta", copied)) == 6


def test_a_refused_token_is_told_at_once(there: AudienceWorld) -> None:
    """Nothing was made, so nothing has to be asked of a platform that does not answer."""
    there.meta.faults.set(Fault(kinds.EXPIRED, "customaudiences"))
    context = there.context()
    with pytest.raises(TaskFailed):
        there.attempt(context)
    assert there.task().undo(context) is None


def test_what_google_could_not_process_is_sent_again(there: AudienceWorld) -> None:
    there.google.processed_after = 10_000  # it never says that it has it
    result = there.sync("google")
    assert result["unconfirmed"] == 6 and result["added"] == 0
    there.google.processed_after = 1
    again = there.sync("google")
    assert (again["added"], "unconfirmed" in again) == (6, False)
    assert there.there("google") == there.wanted("google", "list_contains(tags, 1)")


# -- removal -------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_audience_is_removed_here_and_there(there: AudienceWorld, platform: str) -> None:
    audience_id = there.sync(platform)["audience_id"]
    (about,) = there.table.abouts()
    assert there.remove(about)["removed"][0]["audience_id"] == audience_id
    assert there.table.abouts() == []
    assert audience_id not in there.books(platform).things
    assert there.remove(about)["removed"] == []
    assert there.sync(platform)["added"] == 6


def test_an_audience_of_another_account_is_not_said_to_be_removed(there: AudienceWorld) -> None:
    there.sync()
    (about,) = there.table.abouts()
    with pytest.raises(TaskFailed, match=NAME):
        there.remove({**about, "key": "meta-of-another-account"})
    assert there.table.abouts() == [about]


def test_a_person_goes_out_of_every_audience_and_stays_out(there: AudienceWorld) -> None:
    for platform in PLATFORMS:
        there.sync(platform)
    result = there.remove_person("user02")
    assert {one["platform"] for one in result["removed"]} == set(PLATFORMS)
    for platform in PLATFORMS:
        rest = there.wanted(platform, "list_contains(tags, 1) AND user_id != 'user02'")
        assert there.there(platform) == rest and len(rest) == 5
        assert (there.sync(platform)["added"], there.there(platform)) == (0, rest)
    assert there.remove_person("user02")["removed"] == []


def test_a_person_whose_removal_is_killed_at_any_step_goes_out_of_every_audience(there: AudienceWorld) -> None:
    for step in itertools.count():
        person = f"user{2 * (step % 6):02}"
        there.table.change(NOBODYS, "", held := there.table.held(NOBODYS), Step(go=held.files))  # nobody is out
        for platform in PLATFORMS:
            there.sync(platform)
        context = Context({"user_id": person}, dies_at=step if step % 2 else None)
        died = False
        try:
            there.person_removal(Mortal(there.table.path, 99 if step % 2 else step // 2)).run(context)
        except Killed:
            died = True
        context.dies_at, context.epoch = None, 2
        result = there.person_removal().run(context)
        assert {one["platform"] for one in result["removed"]} == set(PLATFORMS), step
        for platform in PLATFORMS:
            assert there.there(platform) == there.wanted(platform, f"list_contains(tags, 1) AND user_id != '{person}'")
        if not died and step % 2 == 0:
            break
    assert step > 10


def test_a_person_goes_out_of_all_other_audiences_where_one_cannot_be_reached(there: AudienceWorld) -> None:
    for platform in PLATFORMS:
        there.sync(platform)
    real = there.accounts.real
    there.accounts = Accounts({"google": real["google"]})
    context = Context({"user_id": "user02"})
    with pytest.raises(TaskFailed, match="Meta no está configurado"):
        there.person_removal().run(context)
    said = there.person_removal().undo(context)
    assert said is not None and "Google Ads" in said and "Meta" not in said
    assert len(there.there("google")) == 5
    there.accounts = Accounts(real)
    assert there.person_removal().run(context)["removed"][0]["platform"] == "google"
    assert len(there.there("meta")) == 5


def test_a_removal_that_google_does_not_confirm_is_not_taken_for_done(there: AudienceWorld) -> None:
    there.sync("google")
    carry(there, "user00", "user02", all_tags=False)
    there.google.processed_after = 10_000
    result = there.sync("google")
    assert (result["removed"], result["unconfirmed"]) == (0, 2)
    with pytest.raises(Transient, match="Google"):
        there.remove_person("user04")
    there.google.processed_after = 1
    assert there.sync("google")["removed"] == 3
    assert there.there("google") == there.wanted("google", "list_contains(tags, 1) AND user_id != 'user04'")


def test_a_person_who_is_removed_while_an_audience_is_computed_is_not_sent(there: AudienceWorld) -> None:
    """The computing took so long that the audience was no longer held."""
    there.sync()
    carry(there, "user01")

    class Slow(Context):
        def phase(self, name: str, total: int | None = None) -> None:
            if name == "comparar":
                there.remove_person("user01")

    context = there.context()
    with pytest.raises(Contended):
        there.task().run(Slow(context.arguments))
    there.sync()
    assert there.there("meta") == there.wanted("meta", "list_contains(tags, 1) AND user_id != 'user01'")


# -- a random history ----------------------------------------------------------------------

EXPRESSIONS: list[tuple[dict[str, Any], str]] = [
    ({"all": [1]}, "list_contains(tags, 1)"),
    ({"any": [1, 3, 7]}, "list_has_any(tags, [1, 3, 7])"),
    ({"all": [1, 3], "none": [7]}, "list_has_all(tags, [1, 3]) AND NOT list_contains(tags, 7)"),
    (
        {"any": [{"all": [1, 5]}, {"all": [3], "none": [2]}], "none": [{"all": [6, 8]}]},
        """(list_has_all(tags, [1, 5]) OR (list_contains(tags, 3) AND NOT list_contains(tags, 2)))
           AND NOT list_has_all(tags, [6, 8])""",
    ),
]


@pytest.mark.parametrize("seed", range(4))
def test_a_random_history(there: AudienceWorld, seed: int) -> None:
    chance = random.Random(seed)
    data = there.world.data
    for _ in range(8):
        for user in chance.sample(data.users(), 5):
            facts = {name: chance.choice((EVERY_TAG[name], NO_TAG[name])) for name in EVERY_TAG}
            email = chance.choice([None, "bad", f"{user}@example.org", f" {user}.X@gmail.com", "shared@example.org"])
            data.put(
                user, **facts, email=email, phone=chance.choice([None, "+573000000001", f"00 57 {user[4:]} 7654321"])
            )
        data.save()
        there.world.result()
        platform = chance.choice(PLATFORMS)
        tags, said = chance.choice(EXPRESSIONS)
        there.sync(platform, tags)
        assert there.there(platform) == there.wanted(platform, said)


def test_no_raw_identifier_is_anywhere(there: AudienceWorld, caplog: pytest.LogCaptureFixture) -> None:
    """In no request, no file of the table, no log and no result."""
    caplog.set_level("DEBUG")
    told: list[Json] = [there.sync(platform) for platform in PLATFORMS]
    secrets = [f"{number:02}@" for number in range(12)] + [f"300-{number:07}" for number in range(12)]
    secrets += [f"57300{number:07}" for number in range(12)]
    places = [str(told), caplog.text]
    places += [str((one.path, one.query, one.body)) for platform in PLATFORMS for one in there.requests(platform)]
    folder = Path(there.table.path)
    for file in folder.rglob("*"):
        if file.suffix == ".parquet" and "_delta_log" not in file.parts:
            places.append(str(pq.ParquetFile(file).read().to_pylist()))
        elif file.is_file():
            places.append(file.read_bytes().decode(errors="replace"))
    assert len(places) > 10
    for place in places:
        for secret in secrets:
            assert secret.lower() not in place.lower(), secret


def test_who_is_in_an_audience_is_kept_as_any_reader_of_delta_sees_it(there: AudienceWorld) -> None:
    there.sync()
    held = there.table.abouts()
    assert [(about["name"], about["members"], about["maybe"]) for about in held] == [(NAME, 6, 0)]
    (about,) = held
    rows = [
        row
        for row in there.table.use(lambda table: table.to_pyarrow_table()).to_pylist()
        if row["state"] == SENT and row["audience"] == about["key"]
    ]
    assert sorted(row["user_id"] for row in rows) == [f"user{number:02}" for number in range(0, 12, 2)]


def test_another_job_on_the_same_audience_waits(there: AudienceWorld) -> None:
    """The lock is the registry's; what is tested here is that a sync asks for it before anything else."""
    context = there.context()
    held: list[str] = []

    class Refusing(Context):
        def hold(self, name: str, seconds: float) -> None:
            held.append(name)
            raise Transient(reason="another job holds it")

    with pytest.raises(Transient):
        there.task().run(Refusing(context.arguments))
    assert len(held) == 1 and held[0].startswith("audience meta-")
    assert there.requests("meta") == []
