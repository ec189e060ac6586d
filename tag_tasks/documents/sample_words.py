"""What sample documents are made of: sites, countries, and for each language the parts of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """A sentence is one of each: who, does, what, when; any of them fits any other."""

    code: str
    share: int
    """Of a hundred documents."""

    countries: Sequence[str]
    who: Sequence[str]
    does: Sequence[str]
    what: Sequence[str]
    when: Sequence[str]
    names: Sequence[str]
    between: str = " "
    stop: str = ". "


@dataclass(frozen=True, slots=True)
class Site:
    domain: str
    name: str
    types: Sequence[str]
    share: int


LANGUAGES = (
    Language(
        "en",
        34,
        ("US", "GB"),
        ("The new phone", "Café Lumen", "Our neighbour's startup", "Norvia Bank", "The city council", "Everybody here"),
        (
            "really surprised",
            "has let down",
            "cannot stop talking about",
            "is going to replace",
            "sold out on",
            "likes",
        ),
        ("the early reviewers", "the battery", "last year's price", "its customers", "the résumé tool", "free coffee"),
        ("this morning", "after the update", "once again", "since Friday", "in the end", "without any warning"),
        ("Emma Clarke", "Noah O'Brien", "Olivia Hughes", "Liam Walker"),
    ),
    Language(
        "es",
        24,
        ("ES", "MX", "AR"),
        (
            "El nuevo móvil",
            "La cafetería Lumen",
            "Mi compañía",
            "El banco Norvia",
            "El ayuntamiento",
            "Toda la afición",
        ),
        ("sorprendió a", "decepcionó a", "habla otra vez de", "va a cambiar", "agotó", "quiere más que nunca a"),
        (
            "los primeros clientes",
            "la batería",
            "el precio del año pasado",
            "su público",
            "los niños",
            "el café gratis",
        ),
        ("esta mañana", "tras la actualización", "sin avisar", "desde el viernes", "por fin", "después del partido"),
        ("Lucía Fernández", "Mateo Núñez", "Sofía Peña", "Íñigo García"),
    ),
    Language(
        "ru",
        14,
        ("RU", "KZ"),
        ("Новый телефон", "Кофейня «Люмен»", "Наша компания", "Банк Норвия", "Городской совет", "Весь район"),
        ("снова удивил", "подвёл", "обсуждает", "скоро заменит", "раскупил", "всё ещё любит"),
        ("первых покупателей", "аккумулятор", "прошлогодние цены", "своих клиентов", "ёлочные игрушки", "даровой кофе"),
        ("сегодня утром", "после обновления", "без предупреждения", "с пятницы", "наконец-то", "ещё раз"),
        ("Анна Соловьёва", "Пётр Зайцев", "Мария Королёва", "Иван Чёрный"),
    ),
    Language(
        "zh",
        10,
        ("CN", "TW"),
        ("新手机", "流明咖啡馆", "我们公司", "诺维亚银行", "市政府", "所有人"),
        ("再次让人想起", "辜负了", "一直在讨论", "即将取代", "卖光了", "仍然喜欢"),
        ("第一批用户", "电池", "去年的价格", "自己的客户", "孩子们", "免费咖啡"),
        ("今天早上", "更新之后", "毫无预警", "从星期五开始", "终于", "在北京"),
        ("王芳", "李伟", "张敏", "刘洋"),
        between="，",
        stop="。",
    ),
    Language(
        "de",
        9,
        ("DE", "AT", "CH"),
        ("Das neue Handy", "Das Café Lumen", "Unsere Firma", "Die Norvia-Bank", "Der Stadtrat", "Die ganze Straße"),
        ("überraschte", "enttäuschte", "redet über", "ersetzt bald", "vergisst", "schätzt trotzdem"),
        (
            "die ersten Käufer",
            "den Akku",
            "die Preise vom Vorjahr",
            "große Worte",
            "die Übersetzung",
            "den Gratiskaffee",
        ),
        ("heute früh", "nach dem Update", "ohne Vorwarnung", "seit Freitag", "schließlich", "schon wieder"),
        ("Jürgen Groß", "Käthe Möller", "Lena Weiß", "Felix Schäfer"),
    ),
    Language(
        "fr",
        9,
        ("FR", "BE"),
        ("Le nouveau téléphone", "Le café Lumen", "Notre équipe", "La banque Norvia", "La mairie", "Tout le quartier"),
        ("a surpris", "a déçu", "parle encore de", "va bientôt remplacer", "a épuisé", "préfère toujours"),
        ("les premiers clients", "la batterie", "l'été dernier", "ses élèves", "la garçonnière", "le café gratuit"),
        ("ce matin", "après la mise à jour", "sans prévenir", "depuis vendredi", "enfin", "où que l'on aille"),
        ("Chloé Lefèvre", "Gaël François", "Zoé Béranger", "Noël Dubois"),
    ),
)

SITES = (
    Site("twitter.com", "Twitter", ("SOCIALMEDIA", "SOCIALMEDIA_TWITTER"), 30),
    Site("reddit.com", "Reddit", ("MESSAGEBOARD", "MESSAGEBOARD_REDDIT"), 18),
    Site("facebook.com", "Facebook", ("SOCIALMEDIA", "SOCIALMEDIA_FACEBOOK"), 12),
    Site("instagram.com", "Instagram", ("SOCIALMEDIA", "SOCIALMEDIA_INSTAGRAM"), 10),
    Site("youtube.com", "YouTube", ("SOCIALMEDIA", "SOCIALMEDIA_YOUTUBE"), 6),
    Site("daily-planet.example", "The Daily Planet", ("ONLINENEWS", "ONLINENEWS_NEWSPAPER"), 9),
    Site("el-faro.example", "El Faro", ("ONLINENEWS", "ONLINENEWS_MAGAZINE"), 6),
    Site("lumen-notes.example", "Lumen Notes", ("BLOG",), 6),
    Site("press-wire.example", "Press Wire", ("ONLINENEWS", "ONLINENEWS_PRESSRELEASES"), 3),
)

CITIES = {  # latitude and longitude
    "US": ("New York", 40.71, -74.01),
    "GB": ("London", 51.51, -0.13),
    "ES": ("Madrid", 40.42, -3.7),
    "MX": ("Ciudad de México", 19.43, -99.13),
    "AR": ("Córdoba", -31.42, -64.18),
    "RU": ("Москва", 55.76, 37.62),
    "KZ": ("Алматы", 43.24, 76.89),
    "CN": ("北京", 39.9, 116.41),
    "TW": ("台北", 25.03, 121.57),
    "DE": ("Köln", 50.94, 6.96),
    "AT": ("Wien", 48.21, 16.37),
    "CH": ("Zürich", 47.37, 8.54),
    "FR": ("Orléans", 47.9, 1.91),
    "BE": ("Liège", 50.63, 5.58),
}

HASHTAGS = ("#Norvia", "#café", "#CafeLumen", "#новости", "#手机", "#fútbol", "#tech", "#update")
MENTIONS = ("@norvia", "@CafeLumen", "@daily_planet", "@ayuntamiento", "@support")
TAGS = ((), ("press",), ("campaign",), ("campaign", "priority"), ("crisis", "priority"), ("Café",))
POST_TYPES = (("TEXT",), ("TEXT", "IMAGE"), ("TEXT", "VIDEO"), ("LINK",))
GENDERS = ("MALE", "FEMALE", "UNKNOWN")
