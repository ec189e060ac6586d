"""The settings of the account that each stand-in has, as the service takes them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.platforms import fofa, github, google, meta


def settings_for(platform: str, url: str, **more: str) -> Mapping[str, str]:
    """Environment variables for a stand-in at this address."""
    if platform == "meta":
        given = {"BASE_URL": url, "ACCOUNT_ID": meta.ACCOUNT, "PAGE_ID": meta.PAGE, "ACCESS_TOKEN": meta.TOKEN}
    elif platform == "fofa":
        given = {"BASE_URL": url, "EMAIL": fofa.EMAIL, "KEY": fofa.KEY}
    elif platform == "github":
        given = {"BASE_URL": url, "TOKEN": github.TOKEN}
    else:
        given = {
            "BASE_URL": url,
            "DATA_MANAGER_URL": url,
            "TOKEN_URL": f"{url}/token",
            "CUSTOMER_ID": google.CUSTOMER,
            "LOGIN_CUSTOMER_ID": google.MANAGER,
            "DEVELOPER_TOKEN": google.DEVELOPER,
            "CLIENT_ID": google.CLIENT,
            "CLIENT_SECRET": google.SECRET,
            "REFRESH_TOKEN": google.REFRESH,
        }
    return {f"TAGAPI_{platform.upper()}__{name}": value for name, value in {**given, **more}.items()}
