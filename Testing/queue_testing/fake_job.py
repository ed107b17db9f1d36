# ruff: noqa: PTH102, PTH104, PTH113
"""A job that only tests know: light, and it does what the NIfTI header's ``descrip`` field of its input says.

ok | sleep:SECONDS | crash[:TIMES] | oom[:TIMES] | bad | engine | hang | stubborn | child | torn | empty | changed
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    content = b""
    if os.path.isfile(job["inputs"][0]):
        with open(job["inputs"][0], "rb") as file:
            content = file.read()
    verb, _, value = content[148:228].rstrip(b"\0").decode("ascii", "replace").partition(":")
    print(json.dumps({"stage": "working", "done": 1, "total": 4}), flush=True)
    act(verb or "ok", value, job)
    if verb == "changed":
        with open(job["inputs"][0], "ab") as file:
            file.write(b"more")
    write(job, hashlib.sha256(content).hexdigest(), torn=verb == "torn", empty=verb == "empty")


def act(verb: str, value: str, job: dict) -> None:
    times = int(value) if value.isdigit() else 99
    first = job["attempt"] <= times
    if verb == "sleep":
        time.sleep(float(value))
    elif verb == "crash" and first:
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "oom" and first:
        fail(job, "out-of-memory")
    elif verb == "bad":
        fail(job, "bad-input")
    elif verb == "engine":
        fail(job, "engine")
    elif verb == "hang":
        time.sleep(600)
    elif verb == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    elif verb == "child":  # one in our group, one in a session of its own that only its environment gives away
        with open(value, "w", encoding="utf-8") as file:
            for alone in (False, True):
                file.write(f"{subprocess.Popen(['sleep', '600'], start_new_session=alone).pid}\n")
            file.write(f"{os.getpid()}\n")
        time.sleep(600)


def fail(job: dict, kind: str) -> None:
    with open(os.path.join(job["work"], "result.failure.json"), "w", encoding="utf-8") as file:
        json.dump({"class": kind, "message": f"the test asked for {kind}"}, file)
    sys.exit(1)


def write(job: dict, digest: str, *, torn: bool, empty: bool) -> None:
    os.mkdir(job["result"])
    text = b"" if empty else json.dumps({"sha256": digest, "quality": job["options"].get("quality")}).encode()
    with open(os.path.join(job["result"], "segmentation.json"), "wb") as file:
        file.write(text)
    manifest = {
        **{name: job[name] for name in ("id", "attempt", "fence", "options")},
        "engine": {"name": job["engine"]},
        "inputs": [{"path": job["inputs"][0], "sha256": digest}],
        "outputs": [
            {
                "path": "segmentation.json",
                "bytes": len(text) + torn,
                "sha256": hashlib.sha256(text).hexdigest(),
            }
        ],
    }
    stage = os.path.join(job["result"], ".manifest")
    with open(stage, "w", encoding="utf-8") as file:
        json.dump(manifest, file)
    os.rename(stage, os.path.join(job["result"], "manifest.json"))


if __name__ == "__main__":
    main()
