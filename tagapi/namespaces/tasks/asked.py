"""What starts a job of the tasks API: the shapes that validate, with what is wrong in Spanish."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate, validates_schema

from tagapi.namespaces.fields import (
    Input,
    Query,
    QueryBoolean,
    QueryInteger,
    StrictBoolean,
    StrictInteger,
    StrictList,
    StrictText,
)

MODEL = re.compile(r"[a-z][a-z0-9_-]{0,63}")
AUDIENCE = re.compile(r"[\w][\w .()+-]{0,99}")
AMOUNT = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,2})?")
COUNTRY = re.compile(r"[A-Z]{2}")
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\u2028\u2029]*")
PARAGRAPHS = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*")
KEYWORD = re.compile(r"[^!@%,*()={};~`<>?\\|]*")
"""Without what Google takes in no keyword: https://support.google.com/google-ads/answer/7476658."""
MOST_WORDS = 10  # of a keyword
OBJECTIVES = ("traffic", "awareness", "engagement", "leads", "sales")
SPECIAL = (
    *("HOUSING", "EMPLOYMENT", "FINANCIAL_PRODUCTS_SERVICES"),
    *("ISSUES_ELECTIONS_POLITICS", "ONLINE_GAMBLING_AND_GAMING"),
)
FEATURES = (
    *("age", "risk_score", "days_since_registration", "total_asset_value", "cash_balance"),
    *("trade_count_30d", "trade_amount_30d", "login_count_30d", "days_since_login"),
)
MOST_TAGS, DEEPEST = 50, 5
MOST_USERS = 100_000
LONGEST_ID = 255  # characters of a user's id


def _length(least: int, most: int) -> validate.Length:
    return validate.Length(least, most, error=f"debe tener de {least} a {most} caracteres")


def _items(least: int, most: int) -> validate.Length:
    return validate.Length(least, most, error=f"debe tener de {least} a {most} elementos")


def _like(pattern: re.Pattern[str], error: str) -> Callable[[str], None]:
    """The whole text has to be like this. (Not `validate.Regexp`: the specification has patterns of JavaScript.)"""

    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise ValidationError(error)

    return check


def _text(most: int, like: re.Pattern[str] = PARAGRAPHS, **more: Any) -> StrictText:
    """Text that says something."""
    plain = _like(like, "no puede tener caracteres de control")
    return StrictText(validate=[_length(1, most), plain, _not_blank], **more)


def _line(most: int, *more_checks: Callable[[str], None], **more: Any) -> StrictText:
    """Text in one line."""
    field = _text(most, PRINTABLE, **more)
    field.validators += more_checks
    return field


def _not_blank(text: str) -> None:
    if not text.strip():
        raise ValidationError("no puede estar en blanco")


def _width(most: int) -> Callable[[str], None]:
    """Google counts a character of double width twice."""

    def check(text: str) -> None:
        width = sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
        if width > most:
            raise ValidationError(f"ocupa {width} caracteres, y caben {most}")

    return check


def _keyword(text: str) -> None:
    if not KEYWORD.fullmatch(text):
        raise ValidationError("tiene un símbolo que Google no admite")
    if len(text.split()) > MOST_WORDS:
        raise ValidationError(f"tiene más de {MOST_WORDS} palabras")


def _different(values: Sequence[str]) -> None:
    if len(set(values)) < len(values):
        raise ValidationError("nombra algo dos veces")


def _one_of(*values: str) -> validate.OneOf:
    return validate.OneOf(values, error=f"debe ser uno de: {', '.join(values)}")


def _https(**more: Any) -> StrictText:
    secure = validate.URL(schemes={"https"}, require_tld=False, error="debe ser una dirección https")
    return StrictText(validate=[secure, _length(1, 2000), _public], **more)


def _public(address: str) -> None:
    """It goes into an ad."""
    try:
        split = urlsplit(address)
        known = split.port is None or split.port > 0
    except ValueError:
        known = False
    if not known:
        raise ValidationError("no tiene un puerto válido")
    if split.username is not None or split.password is not None:
        raise ValidationError("no puede llevar usuario ni contraseña")


class Day(StrictText):
    """A date, ISO 8601, kept as it was written."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise ValidationError("debe ser una fecha AAAA-MM-DD") from None


class CampaignRequest(Input):
    name = _line(200, required=True)
    objective = StrictText(load_default="traffic", validate=_one_of(*OBJECTIVES))
    daily_budget = StrictText(
        required=True,
        validate=_like(AMOUNT, "debe ser un importe como 12.50"),
        metadata={"description": "en la moneda de la cuenta, 1.00 como mínimo", "example": "25.00"},
    )
    landing_url = _https(required=True)
    countries = StrictList(
        StrictText(validate=_like(COUNTRY, "debe ser un código ISO 3166 alfa-2")),
        load_default=lambda: ["CO"],
        validate=[_items(1, 50), _different],
    )
    age_min = StrictInteger(load_default=18, validate=validate.Range(18, 65, error="debe estar entre 18 y 65"))
    age_max = StrictInteger(load_default=65, validate=validate.Range(18, 65, error="debe estar entre 18 y 65"))
    starts_on = Day(load_default=None, allow_none=True)
    ends_on = Day(load_default=None, allow_none=True)

    @validates_schema
    def _together(self, data: dict[str, Any], **_: Any) -> None:
        if Decimal(data["daily_budget"]) < 1:
            raise ValidationError("debe ser al menos 1.00", "daily_budget")
        if data["age_min"] > data["age_max"]:
            raise ValidationError("no puede ser mayor que age_max", "age_min")
        if data["starts_on"] and data["ends_on"] and data["starts_on"] > data["ends_on"]:
            raise ValidationError("no puede ser anterior a starts_on", "ends_on")
        if data["ends_on"] and data["ends_on"] < datetime.now(UTC).date().isoformat():
            raise ValidationError("ya ha pasado", "ends_on")


class MetaCampaign(CampaignRequest):
    headline = _line(255, required=True)
    text = _text(2000, required=True)
    image_url = _https(load_default=None, allow_none=True)
    special_ad_categories = StrictList(
        StrictText(validate=_one_of(*SPECIAL)),
        required=True,
        metadata={"description": "obligatorio; puede estar vacío"},
    )

    example = {
        "name": "Verano",
        "objective": "traffic",
        "daily_budget": "25.00",
        "landing_url": "https://example.org/verano",
        "headline": "Llega el verano",
        "text": "Todo a mitad de precio",
        "countries": ["CO"],
        "special_ad_categories": [],
    }


class GoogleCampaign(CampaignRequest):
    headline = _line(30, load_default=None, allow_none=True)
    text = _text(2000, load_default=None, allow_none=True)
    keywords = StrictList(_line(80, _keyword), load_default=list, validate=[_items(0, 100), _different])
    headlines = StrictList(_line(30, _width(30)), required=True, validate=[_items(3, 15), _different])
    descriptions = StrictList(_line(90, _width(90)), required=True, validate=[_items(2, 4), _different])

    example = {
        "name": "Verano",
        "daily_budget": "25.00",
        "landing_url": "https://example.org/verano",
        "countries": ["CO"],
        "keywords": ["ropa de verano"],
        "headlines": ["Llega el verano", "Ofertas de verano", "Rebajas"],
        "descriptions": ["Todo a mitad de precio", "Solo este mes"],
    }


SIMULATE = {"description": "los mismos pasos contra un simulador; nada sale del servicio"}


def composed(name: str) -> str:
    """The same text in the form in which accents are part of their letters."""
    return unicodedata.normalize("NFC", name)


class AudienceName(StrictText):
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return composed(super()._deserialize(value, attr, data, **kwargs))


class PublishMetaRequest(Input):
    campaign = fields.Nested(MetaCampaign, required=True)
    audience = AudienceName(
        load_default=None,
        allow_none=True,
        validate=_like(AUDIENCE, "no es el nombre de una audiencia"),
        metadata={"description": "el nombre de una audiencia ya sincronizada con Meta"},
    )
    simulate = StrictBoolean(load_default=False, metadata=SIMULATE)

    example = {"campaign": MetaCampaign.example, "simulate": True}


class PublishGoogleRequest(Input):
    campaign = fields.Nested(GoogleCampaign, required=True)
    simulate = StrictBoolean(load_default=False, metadata=SIMULATE)

    example = {"campaign": GoogleCampaign.example, "simulate": True}


class TagExpression(fields.Dict):
    """`{"all": […], "any": […], "none": […]}`; a member is a tag's number or such an expression again."""

    default_error_messages = {"invalid": "debe ser un objeto con all, any o none"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        self._check(value, 1)
        if (tags := len(list(tags_in(value)))) > MOST_TAGS:
            raise ValidationError(f"nombra {tags} etiquetas; pueden ser {MOST_TAGS}")
        return value

    def _check(self, value: Any, depth: int) -> None:
        if not isinstance(value, dict) or not value or value.keys() - {"all", "any", "none"}:
            raise self.make_error("invalid")
        if depth > DEEPEST:
            raise ValidationError(f"tiene más de {DEEPEST} niveles")
        if not value.get("all") and not value.get("any"):
            raise ValidationError("all o any debe nombrar a alguien: solo con none serían casi todos")
        for members in value.values():
            if not isinstance(members, list) or not members:
                raise ValidationError("all, any y none deben ser listas no vacías")
            for member in members:
                if isinstance(member, dict):
                    self._check(member, depth + 1)
                elif isinstance(member, bool) or not isinstance(member, int):
                    raise ValidationError("cada miembro debe ser el número de una etiqueta u otra expresión")


def tags_in(expression: Mapping[str, Any]) -> list[int]:
    """Every tag that an expression names."""
    return [
        tag
        for members in expression.values()
        for member in members
        for tag in (tags_in(member) if isinstance(member, dict) else [member])
    ]


def _model(**more: Any) -> StrictText:
    named = _like(MODEL, "debe ser como clientes_2026: minúsculas, cifras, _ y -")
    return StrictText(required=True, validate=named, **more)


class SegmentOf(Input):
    model = _model()
    segment = StrictInteger(required=True, validate=validate.Range(0, 99, error="debe ser el número de un segmento"))


class AudienceDefinition(Input):
    name = AudienceName(
        required=True,
        validate=_like(
            AUDIENCE, "debe tener de 1 a 100 letras, cifras, espacios y . ( ) + - _, y no empezar por signos"
        ),
        metadata={"description": "neutro: llega a la plataforma, y nada debe decir de las personas"},
    )
    tags = TagExpression(load_default=None, allow_none=True)
    segment = fields.Nested(SegmentOf, load_default=None, allow_none=True)

    @validates_schema
    def _one(self, data: dict[str, Any], **_: Any) -> None:
        if (data["tags"] is None) == (data["segment"] is None):
            raise ValidationError("hace falta tags o segment, y no los dos", "tags")


class SyncRequest(Input):
    platform = StrictText(required=True, validate=_one_of("meta", "google"))
    audience = fields.Nested(AudienceDefinition, required=True)
    dry_run = StrictBoolean(load_default=False, metadata={"description": "cuenta lo mismo y no envía nada"})
    simulate = StrictBoolean(load_default=False, metadata=SIMULATE)
    consent = StrictText(
        load_default=None,
        allow_none=True,
        validate=_one_of("granted"),
        metadata={"description": "obligatorio donde user_basic_info no tiene la columna ads_consent"},
    )

    example = {
        "platform": "meta",
        "audience": {"name": "Clientes A", "tags": {"all": [1, 5], "none": [3]}},
        "consent": "granted",
        "simulate": True,
    }


class RemovalQuery(Query):
    platform = fields.String(
        load_default=None, validate=_one_of("meta", "google"), metadata={"description": "solo en esta plataforma"}
    )
    simulated = QueryBoolean(load_default=None, metadata={"description": "solo la simulada, o solo la real"})


class VersionQuery(Query):
    version = QueryInteger(
        load_default=None,
        validate=validate.Range(1, 10**9, error="debe estar entre 1 y 1000000000"),
        metadata={"description": "la más nueva si no se dice"},
    )


class Segments(fields.Field[Any]):
    """2..20, or `auto`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= 20):
            return value
        raise ValidationError('debe ser un número de 2 a 20, o "auto"')


class TrainRequest(Input):
    model = _model()
    segments = Segments(load_default="auto", metadata={"description": '2..20 o "auto"', "type": "string"})
    features = StrictList(
        StrictText(validate=_one_of(*FEATURES)),
        load_default=lambda: [*FEATURES],
        validate=[_items(1, len(FEATURES)), _different],
    )

    example = {"model": "clientes", "segments": 4}


class PredictRequest(Input):
    model = _model()
    version = StrictInteger(
        load_default=None, allow_none=True, validate=validate.Range(1, 10**9, error="debe estar entre 1 y 1000000000")
    )
    user_ids = StrictList(
        StrictText(validate=_length(1, LONGEST_ID)), load_default=None, allow_none=True, validate=_items(1, MOST_USERS)
    )

    example = {"model": "clientes"}
