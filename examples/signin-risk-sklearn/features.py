"""What is known about a sign-in at its moment, as the numbers a model eats.

The same 16 features, in the same order, as the Rust trainer beside this folder makes, so that one
request suits both models. Only the standard library is used.
"""

import csv
import math
from collections import deque
from datetime import datetime, timezone

COUNT = 16
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
ATTEMPTS_MAX = 256
FAMILIAR_MAX = 32
FAMILIAR = ("IP Address", "ASN", "Country", "User Agent String", "Device Type")


def read(path):
    """The events of a CSV file, each a dict with `at_ms` beside its columns."""
    with open(path, newline="", encoding="utf-8") as file:
        events = list(csv.DictReader(file))
    for event in events:
        at = datetime.fromisoformat(event["Login Timestamp"]).replace(tzinfo=timezone.utc)
        event["at_ms"] = round(at.timestamp() * 1000)
    return events


def of_events(events):
    """Features and labels of the events, oldest first."""
    past = Past()
    events = sorted(events, key=lambda event: event["at_ms"])
    rows = [past.next(event) for event in events]
    labels = [
        int(event["Is Attack IP"] == "True" or event["Is Account Takeover"] == "True")
        for event in events
    ]
    return rows, labels


class Past:
    """What is remembered of earlier events."""

    def __init__(self):
        self.users = {}
        self.addresses = {}

    def next(self, event):
        """The features of an event no older than any before; it becomes part of the past."""
        user_id, failed = event["User ID"], event["Login Successful"] != "True"
        attempt = (event["at_ms"], user_id, failed)
        by_address = self.addresses.setdefault(event["IP Address"], deque(maxlen=ATTEMPTS_MAX))
        minute, hour, users = counts(by_address, attempt[0])
        by_address.append(attempt)
        known = user_id != ""
        user = self.users.setdefault(user_id, User())
        user_failures = counts(user.failures, attempt[0])[1] if known else 0
        news = user.news(event)
        if known:
            user.learn(event, attempt)
        first = not known or news is None
        round_trip = event["Round-Trip Time [ms]"]
        return [
            *clock(attempt[0]),
            float(failed),
            math.log1p(minute),
            math.log1p(hour),
            math.log1p(users),
            math.log1p(user_failures),
            *(news or [0.0] * len(FAMILIAR)),
            float(not known),
            float(first),
            math.log1p(float(int(float(round_trip)))) if round_trip else 0.0,
        ]


class User:
    """What is remembered of one user."""

    def __init__(self):
        self.signed_in = False
        self.failures = deque(maxlen=ATTEMPTS_MAX)
        self.familiar = {column: deque(maxlen=FAMILIAR_MAX) for column in FAMILIAR}

    def news(self, event):
        """Which values are new; none for a user who has not signed in before."""
        if not self.signed_in:
            return None
        return [
            float(says(event[column]) and event[column] not in self.familiar[column])
            for column in FAMILIAR
        ]

    def learn(self, event, attempt):
        if attempt[2]:
            self.failures.append(attempt)
            return
        self.signed_in = True
        for column, familiar in self.familiar.items():
            if says(event[column]) and event[column] not in familiar:
                familiar.append(event[column])


def counts(attempts, now_ms):
    """Failures in the last minute, in the last hour, and users tried in the last hour."""
    while attempts and attempts[0][0] <= now_ms - HOUR_MS:
        attempts.popleft()
    failures = [at_ms for at_ms, _, failed in attempts if failed]
    recent = [at_ms for at_ms in failures if at_ms > now_ms - MINUTE_MS]
    return len(recent), len(failures), len({user for _, user, _ in attempts})


def says(value):
    return value not in ("", "-")


def clock(at_ms):
    turn = at_ms % DAY_MS / DAY_MS * math.tau
    weekday = (at_ms // DAY_MS + 3) % 7
    return math.sin(turn), math.cos(turn), float(weekday >= 5)
