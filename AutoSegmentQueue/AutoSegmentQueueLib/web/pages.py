"""The pages: the queue with its upload area, the login, and what is said when something cannot be shown. A job's page is in `pages_job`."""

from __future__ import annotations

from AutoSegmentQueueLib.web.markup import Child, Markup, tag
from AutoSegmentQueueLib.web.pages_frame import PRODUCT, View, icon, page
from AutoSegmentQueueLib.web.pages_job import job
from AutoSegmentQueueLib.web.pages_list import jobs_section
from AutoSegmentQueueLib.web.pages_pull import pull_section
from AutoSegmentQueueLib.web.pages_sending import undelivered_notice
from AutoSegmentQueueLib.web.pages_upload import upload_section

__all__ = ["index", "job", "login", "problem"]

# Status -> (heading, what to do)
_PROBLEMS = {
    400: ("That request cannot be understood", "Go back and try again."),
    401: ("You are not signed in", "Sign in, and you come back to where you were."),
    403: ("You may not see this", "Sign in as somebody who may, or ask whoever runs this queue."),
    404: ("There is nothing here", "The job may have been deleted, or the address is mistyped."),
    413: ("That is too large", "Ask whoever runs this queue for more room, or upload a smaller scan."),
    421: ("This server has another name", "Use the address that was printed when the queue was started."),
    429: ("Too many attempts", "Wait a minute, then try again."),
    500: (
        "Something went wrong here",
        "Nothing of yours is lost. Try again; if it happens again, tell whoever runs this queue.",
    ),
    503: ("The queue is being restarted", "It comes back by itself; reload in a few seconds."),
    507: (
        "The disk is full",
        "Nothing is taken in until there is room again. What is queued already goes on. Try again later.",
    ),
}


def index(view: View) -> str:
    """Return the page with upload area and jobs."""
    me = view["me"]
    may_submit = me.get("can_submit", me.get("role") in ("submitter", "admin"))
    main = [
        tag("h1", PRODUCT, class_="sr"),
        undelivered_notice(view.get("undelivered") or []),
        upload_section(view) if may_submit else None,
        pull_section(view) if may_submit else None,
        jobs_section(view, may_submit),
    ]
    scripts = ("upload.js", "pull.js", "jobs.js") if may_submit else ("jobs.js",)
    return page(PRODUCT, main, me=me, scripts=scripts, kind="index")


def login(view: View) -> str:
    """Return the page to sign in on."""
    error = str(view.get("error") or "")
    said = tag("p", icon("alert"), tag("span", error), class_="notice bad", role="alert") if error else None
    if view.get("needs_token"):
        text = (
            "This queue has no users yet. Open the address that was printed when it was started: "
            "it carries a key that works once, in one browser."
        )
        main = [tag("h1", "Open the printed address"), said, tag("p", text), _printed()]
        return page("Sign in", tag("section", main, class_="card narrow"), kind="login")
    fields = [
        tag("input", type="hidden", name="csrf", value=str(view.get("csrf") or "")),
        tag("input", type="hidden", name="next", value=str(view.get("next") or "/")),
        _field("Name", "name", "text", "username", autofocus=True),
        _field("Password", "password", "password", "current-password"),
        tag("button", "Sign in", class_="primary wide", type="submit"),
    ]
    main = [tag("h1", "Sign in"), tag("p", "to bring a scan and take a 3D model home", class_="soft"), said]
    form = tag("form", fields, method="post", action="/login", class_="stack")
    return page("Sign in", tag("section", main, form, _provider(view), class_="card narrow"), kind="login")


def _printed() -> Markup:
    return tag("p", tag("code", "http://127.0.0.1:8080/?token=…"))


def _field(label: str, name: str, kind: str, complete: str, *, autofocus: bool = False) -> Markup:
    box = tag(
        "input",
        id=name,
        name=name,
        type=kind,
        autocomplete=complete,
        required=True,
        autocapitalize="none",
        autofocus=autofocus,
    )
    return tag("div", tag("label", label, for_=name), box, class_="field")


def _provider(view: View) -> Child:
    title = view.get("oidc")
    if not title:
        return None
    from urllib.parse import quote

    address = f"/login/oidc?next={quote(str(view.get('next') or '/'), safe='')}"
    return [tag("p", "or", class_="or"), tag("a", f"Sign in with {title}", class_="button wide", href=address)]


def problem(view: View) -> str:
    """Return the page that says why something cannot be shown, and what to do."""
    status = int(view.get("status") or 500)
    heading, advice = _PROBLEMS.get(status, _PROBLEMS[500 if status >= 500 else 400])
    error = str(view.get("error") or "")
    me = view.get("me")
    back = tag("a", "To the queue", class_="button primary", href="/")
    sign_in = tag("a", "Sign in", class_="button primary" if status == 401 else "button", href="/login")
    links = [sign_in] if status == 401 else [back, sign_in] if status == 403 and not me else [back]
    main = [
        tag("p", str(status), class_="code"),
        tag("h1", heading),
        tag("p", error) if error else None,
        tag("p", advice, class_="soft"),
        tag("p", links, class_="actions"),
    ]
    return page(heading, tag("section", main, class_="card narrow problem"), me=me, kind="problem")
