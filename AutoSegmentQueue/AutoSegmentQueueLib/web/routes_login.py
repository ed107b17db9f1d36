"""Logging in and out: the printed address, name and password; a provider's login is in `oidc`."""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import quote

from DicomWorkbenchLib.web_problems import Problem
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from AutoSegmentQueueLib.web.bodies import form_body
from AutoSegmentQueueLib.web.context import Web, client_of, web_of
from AutoSegmentQueueLib.web.people import LOCAL_USER
from AutoSegmentQueueLib.web.security import cookie_name
from AutoSegmentQueueLib.web.sessions import csrf_of

_FORM_SECONDS = 3600


async def take_token(request: Request) -> Response:
    """Log the browser in that opens the printed address first; everybody after it is refused."""
    web, given = web_of(request), request.query_params["token"]
    right = bool(web.place.token) and hmac.compare_digest(given.encode(), web.place.token.encode())
    if not right or web.people.any or not await web.ask(web.sessions.use_once, given):
        if request.scope.get("principal"):  # the browser that has used it: a bookmark, the back button
            return RedirectResponse("/", 303)
        await web.note(request, "login.token", status=403, who="unknown")
        raise Problem(
            403,
            "this address has been used already or is not the one of this server; stop the queue and start it again for a new one",
        )
    return await log_in(request, LOCAL_USER, "local", "/")


async def log_in(request: Request, user: str, kind: str, goal: str) -> Response:
    """Begin a session and go on."""
    web = web_of(request)
    secret = await web.ask(web.sessions.begin, user, kind)
    await web.note(request, f"login.{kind}", who=user)
    answer = RedirectResponse(goal, 303)
    set_cookie(web, answer, cookie_name(web), secret, int(web.web.session_hours * 3600))
    return answer


def set_cookie(web: Web, answer: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie no script reads and no other site's form sends."""
    secure = web.place.scheme == "https"
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")


async def form(request: Request) -> Response:
    """Show the login."""
    return _shown(request, goal_of(request.query_params.get("next", "/")), "")


async def login(request: Request) -> Response:
    """Take name and password."""
    web, fields = web_of(request), await form_body(request)
    goal, name, client = goal_of(fields.get("next", "/")), fields.get("name", ""), client_of(request)
    held = request.cookies.get(form_cookie(web), "")
    if not held or not hmac.compare_digest(csrf_of(held).encode(), fields.get("csrf", "").encode()):
        return _shown(request, goal, "This form is out of date; try again.", 403)
    wait = max(web.logins.take(f"address:{client}"), web.logins.take(f"name:{name[:64]}"))
    if wait:
        await web.note(request, "login.password", status=429, who="unknown")
        answer = _shown(request, goal, f"Too many attempts; wait {wait:.0f} s.", 429)
        answer.headers["Retry-After"] = str(int(wait) + 1)
        return answer
    if not await web.guard(web.people.check_password, name, fields.get("password", "")):
        known = await web.ask(
            web.people.get, name
        )  # what was typed as a name may be a password: it is not written down
        await web.note(request, "login.password", status=401, who=name if known else "unknown")
        return _shown(request, goal, "Name or password is wrong.", 401)
    for key in (f"address:{client}", f"name:{name[:64]}"):
        web.logins.give_back(key)  # a lab behind one router may log in all at once
    return await log_in(request, name, "password", goal)


async def logout(request: Request) -> Response:
    """End the session."""
    web, principal = web_of(request), request.scope["principal"]
    if not request.headers.get("x-csrf-token"):
        given = (await form_body(request)).get("csrf", "")
        if not hmac.compare_digest(given.encode(), principal.csrf.encode()):
            raise Problem(403, "this form is out of date; reload the page and try again", code="csrf")
    if principal.session:
        await web.ask(web.sessions.end, principal.session)
    await web.note(request, "logout")
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(web), path="/", secure=web.place.scheme == "https", httponly=True, samesite="lax")
    return answer


def _shown(request: Request, goal: str, error: str, status: int = 200) -> HTMLResponse:
    from AutoSegmentQueueLib.web import pages

    web = web_of(request)
    held = request.cookies.get(form_cookie(web), "") or secrets.token_urlsafe(24)
    oidc = web.oidc.title if web.oidc else ""
    view = {"csrf": csrf_of(held), "error": error, "next": goal, "oidc": oidc}
    view["needs_token"] = not web.people.any and not oidc
    answer = HTMLResponse(pages.login(view), status)
    set_cookie(web, answer, form_cookie(web), held, _FORM_SECONDS)
    return answer


def form_cookie(web: Web) -> str:
    """Return the name of the cookie that ties a login to the browser it was begun in."""
    return f"{cookie_name(web)}_form"


def goal_of(text: str) -> str:
    """Return where to go after the login: a path of this server and never another one."""
    if not text.startswith("/") or text.startswith(("//", "/\\", "/login")) or not text.isprintable():
        return "/"
    return quote(text, safe="/?=&%-._~")
